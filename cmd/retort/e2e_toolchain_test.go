package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
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
	suite                string // trixie, if it is ""
	elixirFrom           string // source, if it is ""
	link                 string
}

var triples = []triple{
	{otp: "27.3.4.1", elixir: "1.18.3", openssl: "3.5.7"},
	{otp: "27.3.4.1", elixir: "1.18.3", openssl: "3.5.7", link: env.LinkStatic},
	{otp: "27.3.4.1", elixir: "1.18.3", openssl: "3.0.20"},
	{otp: "27.3.4.1", elixir: "1.18.3", openssl: "3.6.3"},
	{otp: "25.2.3", elixir: "1.18.3", openssl: "3.0.20"},
	{otp: "25.2.3", elixir: "1.18.3", openssl: "3.5.7"},
	{otp: "25.2.3", elixir: "1.18.3", openssl: "3.6.3"},
	{otp: "25.2.3", elixir: "1.14.0", openssl: "3.0.20"},
	{otp: "25.2.3", elixir: "1.14.0", openssl: "3.5.7"},
	{otp: "25.2.3", elixir: "1.14.0", openssl: "3.6.3"},
	{otp: "29.1.1", elixir: "1.20", openssl: "3.6.3", suite: "forky", elixirFrom: "debian"},
	{otp: "29.1.1", elixir: "1.20", openssl: "3.5.7", suite: "forky", elixirFrom: "debian"},
	{otp: "29.1.1", elixir: "1.20", openssl: "3.0.20", suite: "forky", elixirFrom: "debian"},
}

func (t triple) String() string {
	return strings.Join(slices.DeleteFunc([]string{t.otp, t.elixir, t.openssl, t.link}, func(s string) bool { return s == "" }), "-")
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
	s.manifest = fmt.Sprintf(`platforms = ["linux/amd64"]

[toolchain]
otp     = { version = %q, without = %s }
elixir  = { version = %q, from = %q }
openssl = { version = %q, link = %q }
from    = "source"
sources = ["debian"]

[base]
suite         = %q
allow_expired = ["bookworm", "bookworm-updates", "bookworm-security", "forky", "forky-updates", "forky-security", "sid"]
`, t.otp, unusedApps, t.elixir, cmp.Or(t.elixirFrom, "source"), t.openssl, cmp.Or(t.link, "dynamic"), cmp.Or(t.suite, "trixie"))
	return s
}

// A toolchain takes long where the machine has other work.
const toolchainTimeout = 2 * time.Hour

// testToolchain builds hello with OTP, Elixir and OpenSSL from source. It starts,
// answers over TLS, and says which versions it has.
func (k *kit) testToolchain(t *testing.T) {
	needRoot(t)
	needTools(t, "podman", "skopeo")
	chosen := triples[:1]
	if os.Getenv("RETORT_TOOLCHAINS") == "all" {
		chosen = triples
	}
	elsewhere := filepath.Join(folder(t), "home")
	for i, tr := range chosen {
		t.Run(tr.String(), func(t *testing.T) {
			s, o := k.fromSource(t, tr)
			if len(chosen) > 1 {
				k.sameElsewhere(t, s, o, elsewhere, []string{"1", "5"}[i%2])
			}
		})
	}
	if len(chosen) > 1 {
		t.Run("cut off", k.toolchainCutOff)
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
	image := p.run("pull", "-q", "oci:"+paths[1])
	p.serves(image)
	said := p.health(image)
	release, _, _ := strings.Cut(tr.otp, ".")
	if said.OTP != release || !strings.HasPrefix(said.Elixir+".", tr.elixir+".") || !strings.HasPrefix(said.OpenSSL, "OpenSSL "+tr.openssl+" ") {
		t.Errorf("hello says %+v, want %+v", said, tr)
	}
	version := k.must(t, o, "exec", "--", "cat", "/usr/lib/erlang/releases/"+release+"/OTP_VERSION").stdout
	if strings.TrimSpace(version) != tr.otp {
		t.Errorf("OTP is %s, want %s", version, tr.otp)
	}
	return s, o
}

// health is what hello says of itself.
type health struct{ OTP, Elixir, OpenSSL string }

func (p podman) health(image string) health {
	p.t.Helper()
	port := freePort(p.t)
	id := p.run("run", "-d", "--network", "host", "--read-only", "--ulimit", "nofile=1024:20000", "--ulimit", "nproc=1000:1000",
		"-e", "PORT="+port, "-e", "TLS_PORT="+freePort(p.t), image)
	body, err := getUntil(p.t.Context(), "http://127.0.0.1:"+port+"/health", time.Minute)
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.run("logs", id))
	}
	p.run("rm", "-f", "-t", "0", id)
	var said health
	if err := json.Unmarshal([]byte(body), &said); err != nil {
		p.t.Fatalf("%s: %v", body, err)
	}
	return said
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
	var steps []planStep
	if err := json.Unmarshal([]byte(k.must(t, o, "plan", "--json").stdout), &steps); err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string)
	for _, s := range steps {
		if s.Kind == "run" {
			out[s.Step] = s.DiffID
		}
	}
	if out[env.ToolOTP] == "" {
		t.Fatalf("the plan compiles no OTP: %v", out)
	}
	return out
}
