package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retort-build/retort/builder"
)

// A triple is a toolchain that is compiled from source releases which Debian's
// mirrors have. CI builds the first; RETORT_TOOLCHAINS=all builds every one.
type triple struct{ otp, elixir, openssl string }

var triples = []triple{
	{"27.3.4.1", "1.18.3", "3.5.7"},
	{"27.3.4.1", "1.18.3", "3.0.20"},
	{"27.3.4.1", "1.18.3", "3.6.3"},
	{"25.2.3", "1.18.3", "3.0.20"},
	{"25.2.3", "1.18.3", "3.5.7"},
	{"25.2.3", "1.18.3", "3.6.3"},
	{"25.2.3", "1.14.0", "3.0.20"},
	{"25.2.3", "1.14.0", "3.5.7"},
	{"25.2.3", "1.14.0", "3.6.3"},
}

// unusedApps are applications that hello does not need: each is one less to
// compile.
const unusedApps = `["common_test", "debugger", "dialyzer", "diameter", "edoc", "eldap", "et", "eunit", "ftp", "jinterface", "megaco", "mnesia", "observer", "odbc", "os_mon", "reltool", "snmp", "ssh", "tftp", "wx", "xmerl"]`

func (t triple) app(tb testing.TB) app {
	s, err := readExample("hello")
	if err != nil {
		tb.Fatal(err)
	}
	s.variant = "-" + t.otp + "-" + t.elixir + "-" + t.openssl
	s.manifest = fmt.Sprintf(`platforms = ["linux/amd64"]

[toolchain]
otp     = { version = %q, without = %s }
elixir  = %q
openssl = %q
from    = "source"
sources = ["debian"]

[base]
suite         = "trixie"
allow_expired = ["bookworm", "bookworm-updates", "bookworm-security", "forky", "forky-updates", "forky-security", "sid"]
`, t.otp, unusedApps, t.elixir, t.openssl)
	return s
}

// testToolchain builds hello with OTP, Elixir and OpenSSL from source. It starts,
// answers over TLS, and says which versions it has.
func (k *kit) testToolchain(t *testing.T) {
	needRoot(t)
	needTools(t, "podman", "skopeo")
	chosen := triples[:1]
	if os.Getenv("RETORT_TOOLCHAINS") == "all" {
		chosen = triples
	}
	for _, tr := range chosen {
		t.Run(tr.otp+"/"+tr.elixir+"/"+tr.openssl, func(t *testing.T) { k.fromSource(t, tr) })
	}
}

func (k *kit) fromSource(t *testing.T, tr triple) {
	s := tr.app(t)
	s.files["toolchain.lock"] = string(k.lock(t, s))
	o := start{home: k.seed, dir: s.write(t, folder(t), writeOptions{}), timeout: 2 * time.Hour}
	_, paths := k.build(t, o)
	p := newPodman(t)
	image := p.run("pull", "-q", "oci:"+paths[1])
	p.serves(image)
	said := p.health(image)
	release, _, _ := strings.Cut(tr.otp, ".")
	if said.OTP != release || said.Elixir != tr.elixir || !strings.HasPrefix(said.OpenSSL, "OpenSSL "+tr.openssl+" ") {
		t.Errorf("hello says %+v, want %+v", said, tr)
	}
	if os.Getenv("RETORT_TOOLCHAINS") == "all" {
		k.sameElsewhere(t, s, o)
	}
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

// sameElsewhere compiles the toolchain once more, in another store, with one job,
// as another user: every layer of it is the same.
func (k *kit) sameElsewhere(t *testing.T, s app, first start) {
	t.Helper()
	dir := folder(t)
	other := start{
		home: filepath.Join(dir, "home"), dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{uid: 4242}), uid: 4242, umask: "077",
		mirror: first.mirror, timeout: 3 * time.Hour, env: []string{"TZ=Pacific/Kiritimati", "LC_ALL=tr_TR.UTF-8"},
	}
	k.build(t, other, "--jobs", "1")
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
	if out[builder.StepOpenSSL] == "" {
		t.Fatalf("the plan has no %s: %v", builder.StepOpenSSL, out)
	}
	return out
}
