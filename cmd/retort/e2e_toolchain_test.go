package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retort-build/retort/env"
)

// A triple is a toolchain that is compiled from source releases which Debian's
// mirrors have. CI builds the first; RETORT_TOOLCHAINS=all builds every one.
type triple struct {
	otp, elixir, openssl string
	suite                string   // trixie, if it is ""
	packages             []string // tools that are Debian's
	link, hex            string
}

var triples = []triple{
	{otp: "27.3.4.1", elixir: "1.18.3", openssl: "3.5.7", hex: "2.0.6"},
	{otp: "27.3.4.1", elixir: "1.18.3", openssl: "3.5.7", link: env.LinkStatic},
	{otp: "27.3.4.1", elixir: "1.18.3", openssl: "3.0.20"},
	{otp: "27.3.4.1", elixir: "1.18.3", openssl: "3.6.3"},
	{otp: "25.2.3", elixir: "1.18.3", openssl: "3.0.20"},
	{otp: "25.2.3", elixir: "1.18.3", openssl: "3.5.7"},
	{otp: "25.2.3", elixir: "1.18.3", openssl: "3.6.3"},
	{otp: "25.2.3", elixir: "1.14.0", openssl: "3.0.20"},
	{otp: "25.2.3", elixir: "1.14.0", openssl: "3.5.7"},
	{otp: "25.2.3", elixir: "1.14.0", openssl: "3.6.3"},
	{otp: "29.1.1", elixir: "1.20", openssl: "3.6.3", suite: "forky", packages: []string{env.ToolElixir}},
	{otp: "29.1.1", elixir: "1.20", openssl: "3.5.7", suite: "forky", packages: []string{env.ToolElixir}},
	{otp: "29.1.1", elixir: "1.20", openssl: "3.0.20", suite: "forky", packages: []string{env.ToolElixir}},
	{otp: "25.2.3", elixir: "1.14.0", openssl: "3.0.20", suite: "bookworm"},
	{otp: "27.3.4.1", elixir: "1.18.3", openssl: "3.5", packages: []string{env.ToolOpenSSL}},
	{otp: "27", elixir: "1.18.3", openssl: "3.5", packages: []string{env.ToolOTP, env.ToolOpenSSL}},
	{otp: "27.3.4.1", elixir: "1.18", openssl: "3.5", packages: []string{env.ToolElixir, env.ToolOpenSSL}},
}

func (t triple) String() string {
	parts := append([]string{t.otp, t.elixir, t.openssl, t.link, t.hex, t.suite}, t.packages...)
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "-")
}

// tool is a tool in the manifest; more is what else there is to say of its source.
func (t triple) tool(name, version, more string) string {
	if slices.Contains(t.packages, name) {
		return fmt.Sprintf("%s = { version = %q, from = \"debian\" }", name, version)
	}
	return fmt.Sprintf("%s = { version = %q, %s }", name, version, more)
}

// unusedApps are applications that hello does not need: each is one less to
// compile.
const unusedApps = `["common_test", "debugger", "dialyzer", "diameter", "edoc", "eldap", "et", "eunit", "ftp", "jinterface", "megaco", "mnesia", "observer", "odbc", "os_mon", "reltool", "snmp", "ssh", "tftp", "wx", "xmerl"]`

func (t triple) app(tb testing.TB) app {
	s, err := readExample("hello")
	if err != nil {
		tb.Fatal(err)
	}
	s.variant = "-" + t.String()
	s.timeout = toolchainTimeout
	hex := ""
	if t.hex != "" {
		hex = fmt.Sprintf("hex = %q", t.hex)
	}
	s.manifest = strings.Join([]string{
		fmt.Sprintf("platforms = [%q]", native()),
		`[toolchain]`,
		t.tool(env.ToolOTP, t.otp, "without = "+unusedApps),
		t.tool(env.ToolElixir, t.elixir, "patches = []"),
		t.tool(env.ToolOpenSSL, t.openssl, fmt.Sprintf("link = %q", cmp.Or(t.link, env.LinkDynamic))),
		hex,
		`from = "source"`,
		`sources = ["debian"]`,
		`[base]`,
		fmt.Sprintf("suite = %q", cmp.Or(t.suite, "trixie")),
		`allow_expired = ["bookworm", "bookworm-updates", "bookworm-security", "forky", "forky-updates", "forky-security", "sid"]`,
	}, "\n") + "\n"
	return s
}

// A toolchain takes long where the machine has other work.
const toolchainTimeout = 2 * time.Hour

// compileToolchain begins to compile the first of the triples while other tests
// run: it takes what they leave of the processors. The function that it returns
// waits for the end.
func (k *kit) compileToolchain(t *testing.T) (wait func() error) {
	t.Helper()
	s := triples[0].app(t)
	o := k.online(s)
	o.dir, o.wrap = s.write(t, folder(t), writeOptions{}), []string{"nice", "-n", "19"}
	var commands []*exec.Cmd
	for _, name := range []string{"lock", "build"} {
		cmd, err := k.command(t.Context(), o, name)
		if err != nil {
			t.Fatal(err)
		}
		commands = append(commands, cmd)
	}
	result := make(chan error, 1)
	go func() {
		defer close(result)
		for _, cmd := range commands {
			if said, err := cmd.CombinedOutput(); err != nil {
				result <- fmt.Errorf("%q: %w\n%s", cmd.Args, err, said)
				return
			}
		}
		lock, err := os.ReadFile(filepath.Join(o.dir, "toolchain.lock"))
		if err == nil {
			err = replaceFile(k.keptLock(s), lock)
		}
		result <- err
	}()
	t.Cleanup(func() { <-result })
	return func() error { return <-result }
}

// testToolchain builds hello with OTP, Elixir and OpenSSL from source. It starts,
// answers over TLS, and says which versions it has.
func (k *kit) testToolchain(t *testing.T) {
	needRoot(t)
	needTools(t, "podman", "skopeo")
	if k.toolchain != nil {
		if err := k.toolchain(); err != nil {
			t.Fatal(err)
		}
	}
	chosen := triples[:1]
	if os.Getenv("RETORT_TOOLCHAINS") == "all" {
		chosen = triples
	}
	elsewhere := filepath.Join(folder(t), "home")
	for i, tr := range chosen {
		t.Run(tr.String(), func(t *testing.T) {
			s, o := k.fromSource(t, tr)
			if len(chosen) > 1 {
				k.sameElsewhere(t, s, o, elsewhere, []string{"5", "1"}[i%2])
			}
		})
	}
	if len(chosen) > 1 {
		t.Run("cut off", k.toolchainCutOff)
		t.Run("matrix", k.toolchainMatrix)
	}
	t.Run("refused", k.toolchainRefused)
}

func (k *kit) fromSource(t *testing.T, tr triple) (app, start) {
	t.Helper()
	s := tr.app(t)
	s.files["toolchain.lock"] = string(k.lock(t, s))
	o := start{home: k.seed, dir: s.write(t, folder(t), writeOptions{}), timeout: s.timeout}
	_, paths := k.build(t, o)
	p := newPodman(t)
	said := p.serves(p.run("pull", "-q", "oci:"+paths[1]))
	release, _, _ := strings.Cut(tr.otp, ".")
	if said.OTP != release || !isVersion(said.Elixir, tr.elixir) || !isVersion(strings.TrimPrefix(said.OpenSSL, "OpenSSL "), tr.openssl) {
		t.Errorf("hello says %+v, want %+v", said, tr)
	}
	version := k.must(t, o, "exec", "--", "cat", "/usr/lib/erlang/releases/"+release+"/OTP_VERSION").stdout
	if !isVersion(version, tr.otp) {
		t.Errorf("OTP is %s, want %s", version, tr.otp)
	}
	if tr.hex == "" {
		return s, o
	}
	if r := k.must(t, o, "exec", "--", "mix", "hex.info"); !strings.Contains(r.stdout, tr.hex) {
		t.Errorf("Hex is %s, want %s", r, tr.hex)
	}
	return s, o
}

// isVersion reports whether what a program says of itself begins with a version,
// or with the beginning of one.
func isVersion(said, want string) bool {
	return strings.HasPrefix(said+"\n", want) && strings.ContainsRune(". \n", rune((said + "\n")[len(want)]))
}

// sameElsewhere compiles the toolchain once more, in the store home, with another
// number of jobs, as another user: every layer of it is the same.
func (k *kit) sameElsewhere(t *testing.T, s app, first start, home, jobs string) {
	t.Helper()
	other := start{
		home: home, dir: s.write(t, folder(t), writeOptions{uid: 4242}), uid: 4242, umask: "077",
		mirror: first.mirror, timeout: s.timeout, env: []string{"TZ=Pacific/Kiritimati", "LC_ALL=tr_TR.UTF-8"},
	}
	k.build(t, other, "--jobs", jobs)
	want, got := k.layersOf(t, first), k.layersOf(t, other)
	for _, step := range slices.Sorted(maps.Keys(want)) {
		if want[step] != got[step] {
			t.Errorf("%s: %s, and elsewhere %s", step, want[step], got[step])
		}
	}
}

// layersOf are the layers of a toolchain's steps that ran a program.
func (k *kit) layersOf(t *testing.T, o start) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for _, s := range k.plan(t, o) {
		if s.Kind == "run" {
			out[s.Step] = s.DiffID
		}
	}
	if len(out) == 0 {
		t.Fatal("no step of the plan runs a program")
	}
	return out
}

// plan is what retort plan says.
func (k *kit) plan(t *testing.T, o start) []planStep {
	t.Helper()
	var steps []planStep
	if err := json.Unmarshal([]byte(k.must(t, o, "plan", "--json").stdout), &steps); err != nil {
		t.Fatal(err)
	}
	return steps
}

// openssl locks the first of the triples with another table of OpenSSL, to which
// more is added, and a patch file. It is left online.
func (k *kit) openssl(t *testing.T, more, name, patch string) start {
	t.Helper()
	s := triples[0].app(t)
	table := "openssl = { version = \"" + triples[0].openssl + "\", "
	if !strings.Contains(s.manifest, table) {
		t.Fatalf("no %q in\n%s", table, s.manifest)
	}
	s.manifest = strings.Replace(s.manifest, table, table+more+", ", 1)
	dir := folder(t)
	write(t, filepath.Join(dir, name), patch)
	o := k.online(s)
	o.dir = s.write(t, dir, writeOptions{})
	k.must(t, o, "lock")
	return o
}
