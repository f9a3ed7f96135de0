package env

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// debianTools is a toolchain of Debian's packages.
func debianTools(otp, elixir, openssl, hex, rebar3 string) Toolchain {
	spec := func(tool, version string) ToolSpec {
		return ToolSpec{Tool: tool, Version: version, From: FromDebian}
	}
	return Toolchain{
		OTP: spec(ToolOTP, otp), Elixir: spec(ToolElixir, elixir), OpenSSL: spec(ToolOpenSSL, openssl),
		Hex: spec(ToolHex, hex), Rebar3: spec(ToolRebar3, rebar3),
	}
}

const everyTool = `
[toolchain]
from    = "source"
sources = ["debian:forky", "upstream"]
elixir  = "1.18"
rebar3  = { version = "3.24.0", from = "debian" }

[toolchain.otp]
version   = "27"
patches   = ["otp/*.patch", "../shared/one.patch"]
configure = ["--disable-jit", "--disable-jit"]
cflags    = "-O3"
ldflags   = "-Wl,-z,now"
without   = ["wx", "megaco"]

[toolchain.openssl]
version = "3.5.7"
path    = "../vendor/openssl-3.5.7.tar.gz"
sources = ["upstream"]
link    = "static"

[toolchain.hex]
version = "2.0.6"
url     = "https://example.org/hex-2.0.6.tar.gz"
sha256  = "5f8050a93876f5e7ab01265249673ab79250ad4fcfb711dc1713134ca59dc78c"
`

func TestToolchain(t *testing.T) {
	m, err := ParseManifest("/srv/app/toolchain.toml", []byte(everyTool), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := config(t, m, LinuxARM64, "").Toolchain
	forky := []string{"debian:forky", "upstream"}
	want := Toolchain{
		OTP: ToolSpec{
			Tool: "otp", Version: "27", From: "source", Sources: forky,
			Patches:   []Pattern{{"/srv/app", "otp/*.patch"}, {"/srv/app", "../shared/one.patch"}},
			Configure: []string{"--disable-jit", "--disable-jit"}, CFlags: "-O3", LDFlags: "-Wl,-z,now", Without: []string{"wx", "megaco"},
		},
		Elixir: ToolSpec{Tool: "elixir", Version: "1.18", From: "source", Sources: forky},
		OpenSSL: ToolSpec{
			Tool: "openssl", Version: "3.5.7", From: "source", Sources: []string{"upstream"}, Link: "static",
			Path: File{Path: "/srv/vendor/openssl-3.5.7.tar.gz", Rel: "../vendor/openssl-3.5.7.tar.gz"},
		},
		Hex: ToolSpec{
			Tool: "hex", Version: "2.0.6", From: "source", Sources: forky, URL: "https://example.org/hex-2.0.6.tar.gz",
			Digest: "sha256:5f8050a93876f5e7ab01265249673ab79250ad4fcfb711dc1713134ca59dc78c",
		},
		Rebar3: ToolSpec{Tool: "rebar3", Version: "3.24.0", From: "debian"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var wants []string
	for _, s := range got.FromSource() {
		wants = append(wants, s.Tool+" "+s.Want())
	}
	if want := []string{
		"openssl 3.5.7 at file:../vendor/openssl-3.5.7.tar.gz", "otp 27 in debian:forky, upstream",
		"elixir 1.18 in debian:forky, upstream", "hex 2.0.6 at https://example.org/hex-2.0.6.tar.gz",
	}; !slices.Equal(wants, want) {
		t.Errorf("wants %q, want %q", wants, want)
	}
}

// The two forms of a tool merge: a string replaces the version only, a table
// adds to it.
func TestToolForms(t *testing.T) {
	base := "[toolchain]\notp = \"26\"\nelixir = { version = \"1.17\", from = \"source\", patches = [\"a.patch\"] }\n"
	open := func(string) ([]byte, string, error) { return []byte(base), "../toolchain.toml", nil }
	m, err := ParseManifest("toolchain.toml", []byte(`extends = "../toolchain.toml"
[toolchain]
elixir = "1.18"
[platform.arm64.toolchain.otp]
from = "source"
[target.edge.toolchain]
elixir = { patches = [] }
[target.next.toolchain]
otp.version = "27"
otp.from    = "source"
`), open)
	if err != nil {
		t.Fatal(err)
	}
	plain := config(t, m, LinuxAMD64, "").Toolchain
	if got := plain.Elixir; got.Version != "1.18" || got.From != "source" || !slices.Equal(got.Patches, []Pattern{{"..", "a.patch"}}) {
		t.Errorf("a string over a table: %+v", got)
	}
	if got := config(t, m, LinuxARM64, "").Toolchain.OTP; plain.OTP.From != "debian" || got.Version != "26" || got.From != "source" {
		t.Errorf("a table over a string: %+v", got)
	}
	if got := config(t, m, LinuxAMD64, "edge").Toolchain.Elixir; got.Version != "1.18" || len(got.Patches) > 0 {
		t.Errorf("a list over a list: %+v", got)
	}
	if got := config(t, m, LinuxAMD64, "next").Toolchain.OTP; got.Version != "27" || got.From != "source" {
		t.Errorf("a target's: %+v", got)
	}
}

func TestToolchainProblems(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"keys of a source", minimal + "openssl = { version = \"3.5.7\", link = \"static\", cflags = \"-O3\" }\n",
			`m.toml:4: toolchain.openssl.cflags: needs from = "source" for the tool: it is a package of Debian's now
m.toml:4: toolchain.openssl.link: needs from = "source" for the tool: it is a package of Debian's now`},
		{"processor", "[toolchain]\nfrom = \"source\"\nelixir = \"1.18\"\notp = { version = \"27\", cflags = \"-O3 -march=native\" }\n",
			`m.toml:4: toolchain.otp.cflags: "-march=native": its result depends on the machine that compiles: name a processor, such as -march=x86-64-v3`},
		{"processor of an option", "[toolchain]\nfrom = \"source\"\nelixir = \"1.18\"\notp = { version = \"27\", ldflags = \"-mtune=native\" }\nopenssl = { version = \"3\", configure = [\"-mcpu=native\"] }\n",
			`m.toml:4: toolchain.otp.ldflags: "-mtune=native": its result depends on the machine that compiles: name a processor, such as -march=x86-64-v3
m.toml:5: toolchain.openssl.configure[0]: "-mcpu=native": its result depends on the machine that compiles: name a processor, such as -march=x86-64-v3`},
		{"no version", minimal + "hex = { from = \"source\" }\n", `m.toml:4: toolchain.hex.version: missing: which version to take`},
		{"key of another tool", "[toolchain]\nfrom = \"source\"\notp = \"27\"\nelixir = { version = \"1.18\", without = [\"wx\"] }\n",
			`m.toml:4: toolchain.elixir.without: unknown key: known here are from, patches, path, sha256, sources, url, version`},
		{"type", minimal + "hex = 2\n", `m.toml:4: toolchain.hex: want a version in quotes, or a table such as { version = "27", from = "source" }, got an integer`},
		{"places", minimal + "sources = [\"github\", \"debian:\"]\n",
			`m.toml:4: toolchain.sources[0]: "github": want upstream, debian or a suite of it, such as debian:forky
m.toml:4: toolchain.sources[1]: "debian:": want upstream, debian or a suite of it, such as debian:forky`},
		{"url and path", "[toolchain]\nfrom = \"source\"\nelixir = \"1.18.3\"\notp = { version = \"27.0\", url = \"https://a.example/x.zip\", path = \"x.zip\", sha256 = \"00\" }\n",
			`m.toml:4: toolchain.otp.sha256: "00": want 64 hexadecimal digits
m.toml:4: toolchain.otp.url: "https://a.example/x.zip": want the address of a .tar.gz or .tar.xz`},
		{"url or path", "[toolchain]\nfrom = \"source\"\nelixir = { version = \"1.18.3\", path = \"x.zip\" }\notp = { version = \"27.0\", url = \"https://a.example/x.tgz\" }\n",
			`m.toml:3: toolchain.elixir.path: "x.zip": want a .tar.gz or .tar.xz
m.toml:4: toolchain.otp.sha256: missing: the digest of the file at url`},
		{"OpenSSL alone", minimal + "openssl = { version = \"3.5.7\", from = \"source\" }\n",
			`m.toml:4: toolchain.openssl.from: "source" needs from = "source" for otp as well: Debian's OTP links with Debian's OpenSSL`},
		{"two of Debian's", minimal + "[target.next.toolchain]\notp = \"28\"\n",
			`m.toml:5: target.next.toolchain.otp: cannot differ: a lock holds one version of a Debian package for all platforms and targets`},
		{"patterns", "[toolchain]\nfrom = \"source\"\nelixir = \"1.18\"\notp = { version = \"27\", patches = [\"/a.patch\", \"[\"], configure = [\"\"] }\n",
			`m.toml:4: toolchain.otp.configure[0]: empty: want an option, such as --disable-jit
m.toml:4: toolchain.otp.patches[0]: "/a.patch": want a file relative to the manifest's folder
m.toml:4: toolchain.otp.patches[1]: "[": bracket without an end`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseManifest("m.toml", []byte(tt.in), nil)
			if err == nil || err.Error() != tt.want {
				t.Errorf("%v\nwant\n%s", err, tt.want)
			}
		})
	}
}

func TestPatternFiles(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"[app]/otp/b.patch", "[app]/otp/a.patch", "[app]/otp/readme", "one.patch"} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	app := filepath.Join(dir, "[app]")
	for glob, want := range map[string][]string{
		"otp/*.patch":  {filepath.Join(app, "otp/a.patch"), filepath.Join(app, "otp/b.patch")},
		"../one.patch": {filepath.Join(dir, "one.patch")},
		"../*.patch":   {filepath.Join(dir, "one.patch")},
		"otp/[a]*":     {filepath.Join(app, "otp/a.patch")},
	} {
		if got, err := (Pattern{app, glob}).Files(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", glob, got, err)
		}
	}
	for _, glob := range []string{"otp/*.diff", "none.patch", "none/*.patch"} {
		if got, err := (Pattern{app, glob}).Files(); err == nil || !strings.Contains(err.Error(), glob) {
			t.Errorf("%s: %q, %v", glob, got, err)
		}
	}
}

func TestToolchainRequirements(t *testing.T) {
	vm := []string{"libstdc++6", "libtinfo6", "zlib1g"}
	debian := []string{"erlang-base", "erlang-dev", "erlang-nox"}
	tls := []string{"libssl3t64 | libssl3", "libstdc++6", "libtinfo6", "zlib1g"}
	otp := []string{"g++", "gcc", "libc6-dev", "libncurses-dev", "make", "patch", "perl", "zlib1g-dev"}
	for _, tt := range []struct {
		name, in string
		want     map[string][]string
	}{
		{"all of Debian", minimal + "hex = \"2\"\nrebar3 = \"3\"\nopenssl = \"3.5\"\n", map[string][]string{
			"toolchain": {"elixir", "erlang-base", "erlang-dev", "erlang-nox", "file"}, "hex": {"erlang-hex"}, "rebar3": {"rebar3"},
		}},
		{"all from source", minimal + "from = \"source\"\nhex = \"2\"\nrebar3 = \"3\"\nopenssl = \"3.5\"\n", map[string][]string{
			"toolchain": sorted(vm, []string{"file"}), "otp.build": otp, "openssl.build": {"gcc", "libc6-dev", "make", "patch", "perl"},
			"elixir.build": {"make", "patch"}, "hex.build": {"make", "patch"}, "rebar3.build": {"make", "patch"},
		}},
		{"with packages", "[toolchain]\nfrom = \"source\"\notp = { version = \"27\", packages = [\"unixodbc-dev\"] }\nelixir = \"1.18\"\nopenssl = { version = \"3.5\", packages = [\"libzstd-dev\"] }\n", map[string][]string{
			"toolchain": sorted(vm, []string{"file", "libzstd-dev", "unixodbc-dev"}), "otp.build": sorted(otp, []string{"unixodbc-dev"}),
			"openssl.build": {"gcc", "libc6-dev", "libzstd-dev", "make", "patch", "perl"}, "elixir.build": {"make", "patch"},
		}},
		{"OTP alone", "[toolchain]\notp = { version = \"27\", from = \"source\" }\nelixir = \"1.18\"\n", map[string][]string{
			"toolchain": sorted(tls, []string{"file"}), "otp.build": otp, "crypto.build": sorted(otp, []string{"libssl-dev"}), "elixir": {"elixir"},
		}},
		{"Elixir alone", "[toolchain]\notp = \"27\"\nelixir = { version = \"1.18\", from = \"source\" }\n", map[string][]string{
			"toolchain": sorted(debian, []string{"file"}), "elixir.build": {"make", "patch"},
		}},
	} {
		c := config(t, parse(t, tt.in+"[base]\npackages = [\"file\"]\n"), LinuxAMD64, "")
		got := c.Requirements()
		delete(got, SetImage)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
	}
}

// What says how a tool is built leaves the lock as it is; what says which one
// does not.
func TestToolchainStale(t *testing.T) {
	source := "[toolchain]\nelixir = \"1.18\"\n[toolchain.otp]\nversion = \"27\"\nfrom = \"source\"\n"
	base := parse(t, source).LockDigest()
	if base == parse(t, strings.Replace(source, "\"source\"", "\"debian\"", 1)).LockDigest() {
		t.Error("another from: not stale")
	}
	for add, stale := range map[string]bool{
		"patches = [\"a\"]\nconfigure = [\"--x\"]\ncflags = \"-O3\"\nldflags = \"-s\"\nwithout = [\"wx\"]\n": false,
		"sources = [\"upstream\", \"debian\"]\n":          false,
		"sources = [\"debian\"]\n":                        true,
		"path = \"otp.tar.gz\"\n":                         true,
		"[matrix]\notp = [\"26\"]\n":                      true,
		"[target.next.toolchain]\notp = \"28\"\n":         true,
		"[target.next.toolchain.otp]\ncflags = \"-O0\"\n": false,
	} {
		if got := parse(t, source+add).LockDigest() != base; got != stale {
			t.Errorf("%sstale is %t", add, got)
		}
	}
}
