package env

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const minimal = "[toolchain]\notp = \"27.3.4.1\"\nelixir = \"1.18.3\"\n"

func parse(t *testing.T, text string) *Manifest {
	t.Helper()
	m, err := ParseManifest("toolchain.toml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func config(t *testing.T, m *Manifest, p Platform, target string) Config {
	t.Helper()
	c, err := m.For(p, target)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func defaults() Config {
	return Config{
		Platform:  LinuxAMD64,
		Toolchain: debianTools("27.3.4.1", "1.18.3", "", "", ""),
		Base:      Base{Distribution: "debian", Suite: "trixie", Components: []string{"main"}},
		Release:   Release{Version: Version{From: VersionMix}, MixEnv: "prod", MixTarget: "host"},
		Image: Image{
			User: User{UID: 65532, GID: 65532}, Env: map[string]string{}, Labels: map[string]string{},
			CACertificates: true, StopSignal: "SIGTERM",
		},
	}
}

func TestDefaults(t *testing.T) {
	m := parse(t, minimal)
	if diff := cmp.Diff(Platforms(), m.Platforms()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(defaults(), config(t, m, LinuxAMD64, "")); diff != "" {
		t.Error(diff)
	}
}

func TestEveryKey(t *testing.T) {
	data, err := os.ReadFile("testdata/every-key.toml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseManifest("app/toolchain.toml", data, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Platform:  LinuxAMD64,
		Toolchain: debianTools("27.3.4.1", "1.18.3", "3.5.7", "2.0.6", "3.24.0"),
		Base: Base{
			Distribution: "debian", Suite: "trixie", Snapshot: "2026-11-20",
			Components: []string{"main", "contrib"}, Packages: []string{"git", "cmake"},
			AllowExpired: []string{"forky"}, Keyring: "keys/debian.gpg",
		},
		Hex: Hex{
			Repos: []HexRepo{
				{Name: "acme", URL: "https://hex.acme.example/repo", PublicKey: "app/keys/acme.pem", AuthEnv: "ACME_KEY"},
				{Name: "hexpm:shop", AuthEnv: "RETORT_HEX_HEXPM_SHOP_KEY"},
			},
			Plugins: []HexPlugin{{"pc", "1.15.0"}, {"rebar3_hex", "7.0.8"}},
		},
		NIFs: []NIF{
			{Dep: "exqlite", Build: []string{"libsqlite3-dev"}, Runtime: []string{"libsqlite3-0"}},
			{Dep: "jiffy", Build: []string{"g++"}},
		},
		Generate: []Generate{
			{
				Name: "configure", Packages: []string{"automake", "autoconf"}, Run: []string{"autoreconf -fi", "./configure --enable-all"},
				Inputs: []string{"configure.ac", "m4/**"}, Outputs: []string{"vars.config", "src/gen"},
			},
			{Name: "tables", Run: []string{"make tables"}, Outputs: []string{"priv/tables"}},
		},
		Assets: &Assets{
			Packages: []string{"nodejs"}, NPM: []string{"assets/package-lock.json"}, Scripts: []string{"@parcel/watcher", "sharp"},
			Run: []string{"npm run deploy --prefix assets", "mix phx.digest"}, Inputs: []string{"assets", "priv"},
			Outputs: []string{"priv/static", "priv/gettext"},
			Tools: []AssetTool{
				{
					Name: "esbuild", Version: "0.25.4", URL: "npm:@esbuild/linux-x64/-/linux-x64-0.25.4.tgz",
					File: "package/bin/esbuild", Path: "_build/esbuild-linux-x64",
				},
				{
					Name: "sass", Version: "1.89.0", URL: "https://example.org/1.89.0/dart-sass-1.89.0-linux-x64.tar.gz",
					File: "dart-sass", Path: "_build/sass-amd64-x86_64",
				},
			},
		},
		Release: Release{Name: "shop", Version: Version{From: VersionFile, Path: "VERSION"}, MixEnv: "prod", MixTarget: "rpi"},
		Image: Image{
			Repository: "registry.example:5000/team/shop", Ports: []string{"4000/tcp", "4001/udp"},
			User: User{UID: 1000, GID: 100}, Env: map[string]string{"PORT": "4000"},
			Labels:  map[string]string{"org.opencontainers.image.source": "https://example.org/shop"},
			Volumes: []string{"/data"}, Packages: []string{"netbase"}, Shell: true, Timezones: true,
			Cmd: []string{"/app/bin/shop", "eval", "Shop.migrate()", "eval"}, StopSignal: "SIGINT",
		},
	}
	if diff := cmp.Diff(want, config(t, m, LinuxAMD64, "")); diff != "" {
		t.Error(diff)
	}
	staging := config(t, m, LinuxARM64, "staging")
	if staging.Release.MixEnv != "staging" || staging.Release.Version.From != VersionGit || staging.Release.Version.Path != "" {
		t.Errorf("release of staging: %+v", staging.Release)
	}
	if got := staging.Assets.Tools[1].Path; got != "_build/sass-arm64-aarch64" {
		t.Errorf("path of sass: %s", got)
	}
	if diff := cmp.Diff([]string{"gcc", "libatomic1"}, staging.NIFs[0].Build); diff != "" {
		t.Error(diff)
	}
	if got := staging.NIFs[0].Runtime; got == nil || len(got) != 0 {
		t.Errorf("runtime named as none: %#v", got)
	}
	if staging.Image.Env["PORT"] != "4000" || staging.Image.Env["STAGE"] != "staging" {
		t.Errorf("env of staging: %v", staging.Image.Env)
	}
	if got := config(t, m, LinuxAMD64, "root").Image.User; got != (User{}) {
		t.Errorf("user of root: %v", got)
	}
}

func TestConfigIsTheCallersOwn(t *testing.T) {
	m := parse(t, minimal+"[base]\npackages = [\"git\"]\n[image]\nenv = {A = \"1\"}\n")
	c := config(t, m, LinuxAMD64, "")
	c.Base.Packages[0], c.Image.Env["A"] = "changed", "changed"
	again := config(t, m, LinuxAMD64, "")
	if again.Base.Packages[0] != "git" || again.Image.Env["A"] != "1" {
		t.Error("a caller changed the manifest")
	}
}

func TestForUnknown(t *testing.T) {
	m := parse(t, "platforms = [\"linux/amd64\"]\n"+minimal+"[target.staging]\n[target.edge]\n")
	for _, tt := range []struct {
		p            Platform
		target, want string
	}{
		{LinuxARM64, "", `platform "linux/arm64": manifest has linux/amd64`},
		{Any, "", `platform "any": manifest has linux/amd64`},
		{LinuxAMD64, "stagin", `target "stagin": manifest has edge, staging`},
	} {
		if _, err := m.For(tt.p, tt.target); err == nil || err.Error() != tt.want {
			t.Errorf("For(%q, %q): %v, want %s", tt.p, tt.target, err, tt.want)
		}
	}
	if _, err := parse(t, minimal).For(LinuxAMD64, "x"); err == nil || err.Error() != `target "x": manifest has no targets` {
		t.Error(err)
	}
}

func TestManifestProblems(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", `
m.toml: toolchain.elixir: missing: the version of Elixir, such as "1.18.3"
m.toml: toolchain.otp: missing: the version of Erlang/OTP, such as "27.3.4.1"`},
		{"all at once", `platfrom = 1
[toolchain]
opt = "27"
elixir = 1.18
from = "git"
[base]
packages = ["git", "Git", 3, "git"]
allow_expired = "forky"
[image]
ports = ["4000", "0/tcp", "4000/tcp", "99999"]
shell = "yes"
user = "app"
env = { RELEASE_COOKIE = "x", "A B" = "1" }
volumes = ["/data/../etc"]
[target.Staging]
`, `
m.toml:1: platfrom: unknown key: nearest is platform
m.toml:3: toolchain.opt: unknown key: nearest is otp
m.toml:4: toolchain.elixir: want a version in quotes, or a table such as { version = "27", from = "source" }, got a float
m.toml:5: toolchain.from: "git": want debian or source
m.toml:7: base.packages[1]: "Git": want the name of a Debian package, such as libssl-dev
m.toml:7: base.packages[2]: want a string in quotes, got an integer
m.toml:7: base.packages[3]: "git" is listed twice
m.toml:8: base.allow_expired: want an array of strings, got a string
m.toml:10: image.ports[1]: "0/tcp": want a port from 1 to 65535 with tcp, udp or sctp, such as 4000/tcp
m.toml:10: image.ports[2]: "4000/tcp" is listed twice
m.toml:10: image.ports[3]: "99999": want a port from 1 to 65535 with tcp, udp or sctp, such as 4000/tcp
m.toml:11: image.shell: want true or false, got a string
m.toml:12: image.user: "app": want numbers as uid or uid:gid, such as 65532:65532
m.toml:13: image.env."A B": "A B": want the name of an environment variable
m.toml:13: image.env.RELEASE_COOKIE: a cookie is a secret and cannot be part of an image; set it where the container runs
m.toml:14: image.volumes[0]: "/data/../etc": want a clean absolute path below /, such as /data
m.toml:15: target.Staging: "Staging": want a target's name, such as staging`},
		{"far from any key", minimal + "qqqqqqqq = 1\n", `
m.toml:4: toolchain.qqqqqqqq: unknown key: known here are elixir, from, hex, openssl, otp, rebar3, sources`},
		{"syntax", "[toolchain]\notp = \n", `
m.toml:2: toolchain.otp: expected value but found '\n' instead`},
		{"unclosed", "[toolchain\notp = 1\n", `
m.toml:2: expected '.' or ']' to end table name, but got '\n' instead`},
		{"key twice", minimal + "otp = \"1\"\n", `
m.toml:4: toolchain.otp: Key 'toolchain.otp' has already been defined.`},
		{"quoted date", minimal + "[base]\nsnapshot = 2026-11-20\n", `
m.toml:5: base.snapshot: want a string in quotes, got a date or time`},
		{"no such day", minimal + "[base]\nsnapshot = \"2026-02-30\"\n", `
m.toml:5: base.snapshot: "2026-02-30": want a day as YYYY-MM-DD, from 2005 on`},
		{"root", minimal + "[target.edge.image]\nuser = \"0\"\n", `
m.toml: image.user: 0:0 is root: set allow_root = true if it must be`},
		{"two toolchains", minimal + "[platform.arm64.toolchain]\nelixir = \"1.19.0\"\n[target.edge.toolchain]\notp = \"28.0\"\n[target.old.base]\nsuite = \"bookworm\"\n", `
m.toml:5: platform.arm64.toolchain.elixir: cannot differ: a lock holds one version of a Debian package for all platforms and targets
m.toml:7: target.edge.toolchain.otp: cannot differ: a lock holds one version of a Debian package for all platforms and targets
m.toml:8: target.old.base: only packages can differ: a lock holds one suite for all platforms and targets`},
		{"secret in URL", minimal + "[hex.repos.acme]\nurl = \"https://me:secret@hex.acme.example\"\n", `
m.toml:5: hex.repos.acme.url: URL holds a user or password: name the variable that holds the key in auth_env`},
		{"repository without URL", minimal + "[hex.repos.acme]\n", `
m.toml:4: hex.repos.acme.url: missing: where the repository is`},
		{"version", minimal + "[release]\nversion = { from = \"git\", path = \"x\" }\n", `
m.toml:5: release.version.path: only goes with from = "file"`},
		{"version without path", minimal + "[release]\nversion = { from = \"file\" }\n", `
m.toml:5: release.version.path: missing: the file that holds the version`},
		{"version outside", minimal + "[release.version]\nfrom = \"file\"\npath = \"../VERSION\"\n", `
m.toml:6: release.version.path: "../VERSION": want a file below the project's folder, such as VERSION`},
		{"mix_env twice", minimal + "[target.edge]\nmix_env = \"edge\"\n[target.edge.release]\nmix_env = \"prod\"\n", `
m.toml:5: target.edge.mix_env: "edge", but its release.mix_env is "prod"`},
		{"nothing generated", minimal + "[generate.a]\n[generate.b]\nrun = [\"\\n\", \"x\\u0007\"]\ninputs = [\"../x\", \"[a\"]\noutputs = [\"deps/x\", \"mix.lock\", \"/x\"]\n[generate.c]\nrun = [\"make\"]\ninputs = []\noutputs = [\"x\"]\n", `
m.toml:6: generate.b.run[0]: empty: want a command of the shell
m.toml:6: generate.b.run[1]: "x\a": control character
m.toml:7: generate.b.inputs[0]: "../x": want a pattern of the project's files, such as m4/**
m.toml:7: generate.b.inputs[1]: "[a": bracket without an end
m.toml:8: generate.b.outputs[0]: "deps/x": what lies in deps is made by other steps
m.toml:8: generate.b.outputs[1]: "mix.lock": is read before anything runs, and cannot be generated
m.toml:8: generate.b.outputs[2]: "/x": want a file or folder below the project's folder, such as priv/static`},
		{"generated without commands", minimal + "[generate.a]\n[generate.b]\nrun = [\"make\"]\ninputs = []\noutputs = [\"x\"]\n", `
m.toml:4: generate.a.outputs: missing: the files and folders that the commands leave
m.toml:4: generate.a.run: missing: the commands that generate, such as ["./configure"]
m.toml:7: generate.b.inputs: empty: leave it out to show all files of the project`},
		{"assets", minimal + `[assets]
npm = ["assets/package.json", "package-lock.json", "../package-lock.json"]
scripts = ["Sharp", "../x"]
run = []
[assets.tools.esbuild]
version = "0.25"
[assets.tools.sass]
path = "_build/esbuild-linux-x64"
[assets.tools.other]
version = "^1"
url = "https://example.org/{os}/x"
file = "../x"
path = "{version}/../x"
`, `
m.toml:5: assets.npm[0]: "assets/package.json": want a package-lock.json below the project's folder, such as assets/package-lock.json
m.toml:5: assets.npm[2]: "../package-lock.json": want a package-lock.json below the project's folder, such as assets/package-lock.json
m.toml:6: assets.scripts[1]: "../x": want the name of an npm package, such as sharp or @parcel/watcher
m.toml:13: assets.tools.other.version: "^1": want an exact version, such as 27.3.4.1
m.toml:14: assets.tools.other.url: "{os}": want one of {version}, {arch}, {cpu}, {machine}
m.toml:15: assets.tools.other.file: "../x": want a file below the project's folder, such as VERSION
m.toml:16: assets.tools.other.path: "0/../x": want a file below the project's folder, such as VERSION`},
		{"assets as a whole", "platforms = [\"amd64\"]\n" + minimal + `[assets]
run = []
outputs = []
inputs = []
scripts = ["sharp"]
[assets.tools.esbuild]
version = "0.25.4"
[assets.tools.sass]
path = "_build/esbuild-linux-x64"
[target.edge.assets.tools.esbuild]
version = "0.25.5"
`, `
m.toml:6: assets.run: empty: leave it out to run mix assets.deploy
m.toml:7: assets.outputs: empty: leave it out to keep priv/static
m.toml:8: assets.inputs: empty: leave it out to show all code of the project
m.toml:9: assets.scripts: names npm packages, and assets.npm names no package-lock.json
m.toml:12: assets.tools.sass.url: missing: where the program is, with {version} and {arch}
m.toml:12: assets.tools.sass.version: missing: an exact version, such as "0.25.4"
m.toml:13: assets.tools.sass.path: "_build/esbuild-linux-x64" is the path of another tool too
m.toml:14: target.edge: version and url of assets.tools cannot differ: a lock holds one tool of a name for all targets`},
		{"repository with tag", minimal + "[image]\nrepository = \"shop:1\"\n", `
m.toml:5: image.repository: "shop:1": want a repository without tag or digest, such as registry.example/shop`},
		{"absolute keyring", minimal + "[base]\nkeyring = \"/etc/x\"\n", `
m.toml:5: base.keyring: "/etc/x": want a file relative to the manifest's folder`},
		{"array of tables", minimal + "[[image]]\n", `
m.toml:4: image: want a table, got an array of tables`},
		{"no platform", "platforms = []\n" + minimal, `
m.toml:1: platforms: empty: want linux/amd64, linux/arm64 or both`},
		{"platform twice", "platforms = [\"amd64\", \"linux/amd64\"]\n" + minimal, `
m.toml:1: platforms[1]: "linux/amd64" is listed twice`},
		{"extends nowhere", "extends = \"x.toml\"\n" + minimal, `
m.toml:1: extends: no other manifest can be read here`},
		{"many keys", minimal + manyKeys(), `
m.toml:4: nif: 2001 keys: want at most 2000`},
		{"long key", strings.Repeat("k", 1000) + " = 1\n" + minimal, `
m.toml: key of 1000 bytes: want at most 256`},
		{"terminal codes", "a = \x1b[31m\n", `
m.toml:1: a: TOML files cannot contain control characters: '0x1b'`},
		{"long value", "a = " + strings.Repeat("1_1", 1000) + "__1\n", `
m.toml:1: a: Invalid integer "` + strings.Repeat("1_1", 1000)[:183] + `...`},
		{"deep key", strings.Repeat("a.", 20000) + "a = 1\n", `
m.toml:1: nested deeper than 12`},
		{"deep array", "a = " + strings.Repeat("[", 20000) + "\n", `
m.toml:1: nested deeper than 12`},
		{"deep table", "a = " + strings.Repeat("{a=", 20000) + "\n", `
m.toml:1: nested deeper than 12`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseManifest("m.toml", []byte(tt.in), nil)
			if err == nil {
				t.Fatal("accepted")
			}
			var list ErrorList
			if !errors.As(err, &list) {
				t.Fatalf("%T is no ErrorList", err)
			}
			if diff := cmp.Diff(strings.TrimPrefix(tt.want, "\n"), err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func manyKeys() string {
	var b strings.Builder
	for i := range maxKeys + 1 {
		fmt.Fprintf(&b, "[nif.a%d]\n", i)
	}
	return b.String()
}

func TestManyProblems(t *testing.T) {
	var b strings.Builder
	for range 500 {
		b.WriteString("\"Bad\",")
	}
	_, err := ParseManifest("m.toml", []byte(minimal+"[base]\npackages = ["+b.String()+"]\n"), nil)
	var list ErrorList
	if !errors.As(err, &list) || len(list) != maxErrors+1 || !strings.Contains(err.Error(), "and 400 more problems") {
		t.Errorf("%d problems, last %v", len(list), list[len(list)-1])
	}
}
