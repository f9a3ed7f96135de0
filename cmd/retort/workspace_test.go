package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/layers"
)

// lockedWorkspace is a project with mix.exs whose lock has the sets that the
// manifest asks for, and of packages what depends on what, as depends says: a
// word a package, "elixir:erlang-base,libc6".
func lockedWorkspace(t *testing.T, manifest string, p env.Platform, target, with, depends string) *workspace {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"toolchain.toml": manifest, "mix.exs": "", "mix.lock": "%{}", "configure": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m, err := env.LoadManifest(filepath.Join(dir, "toolchain.toml"))
	if err != nil {
		t.Fatal(err)
	}
	w := &workspace{dir: dir, manifest: m, lock: &env.Lock{Sets: map[env.Platform]map[string][]string{}}, settings: settings{home: t.TempDir()}}
	cell, err := findCell(m, with)
	if err != nil {
		t.Fatal(err)
	}
	if w.config, err = m.ForCell(p, target, cell); err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Platforms() {
		w.lockPackages(t, p, depends)
	}
	builds, err := builds(m)
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := wantedSources(builds)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range wanted {
		w.lock.Sources = append(w.lock.Sources, env.Source{
			Tool: spec.Tool, Want: spec.Want(), Version: spec.Version, Digest: digest.FromString(spec.Tool + spec.Want()), Size: 1,
		})
	}
	return w
}

// lockPackages adds the sets and packages of a platform to the lock.
func (w *workspace) lockPackages(t *testing.T, p env.Platform, depends string) {
	t.Helper()
	sets, err := requirements(w.manifest, p)
	if err != nil {
		t.Fatal(err)
	}
	sets[env.SetEssential], sets[env.SetGit] = []string{"dash"}, []string{"git"}
	known := map[string][]string{}
	for _, word := range strings.Fields(depends) {
		name, on, _ := strings.Cut(word, ":")
		known[name] = strings.FieldsFunc(on, func(r rune) bool { return r == ',' })
	}
	var names []string
	for name := range known {
		names = append(names, name)
	}
	for set, roots := range sets {
		first := slices.Clone(roots)
		for i := range first {
			first[i], _, _ = strings.Cut(first[i], " ") // of "libssl3t64 | libssl3"
		}
		sets[set], names = first, append(names, first...)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		w.lock.Packages = append(w.lock.Packages, env.Package{Platform: p, Name: name, Version: "1", Architecture: "all", Depends: known[name]})
	}
	w.lock.Sets[p] = sets
}

// Of a tool that comes from source nothing is taken from the sets of a build
// that has it from Debian.
func TestSetsOfTarget(t *testing.T) {
	const manifest = `
platforms = ["linux/amd64", "linux/arm64"]
[toolchain]
elixir = "1.18.3"
hex = "2.0.6"
rebar3 = "3.24.0"
otp = { version = "27", from = "source" }
[image]
packages = ["curl"]
[target.next.toolchain]
elixir = { from = "source" }
hex = { from = "source" }
[target.next.image]
packages = []
[platform.arm64.toolchain]
rebar3 = { from = "source" }
`
	const matrix = "[matrix]\notp = [\"26\", \"27\"]\n"
	const debian = "[target.debian.toolchain]\notp = { from = \"debian\" }\n"
	for _, tt := range []struct {
		name, more                 string
		p                          env.Platform
		target, with               string
		elixir, hex, rebar3, extra string
	}{
		{"plain", "", env.LinuxAMD64, "", "", "elixir", "erlang-hex", "rebar3", "curl"},
		{"target", "", env.LinuxAMD64, "next", "", "", "", "rebar3", ""},
		{"cell", matrix, env.LinuxAMD64, "next", "otp=26", "", "", "rebar3", ""},
		{"platform", "", env.LinuxARM64, "", "", "elixir", "erlang-hex", "", "curl"},
		{"platform and target", "", env.LinuxARM64, "next", "", "", "", "", ""},
		{"Debian's OTP", debian, env.LinuxAMD64, "debian", "", "", "erlang-hex", "rebar3", "curl"},
	} {
		w := lockedWorkspace(t, manifest+tt.more, tt.p, tt.target, tt.with, "")
		for set, want := range map[string]string{
			env.SetElixir: tt.elixir, env.SetHex: tt.hex, env.SetRebar3: tt.rebar3, env.SetExtra: tt.extra,
			env.SetEssential: "dash", env.SetGit: "git",
		} {
			if got := strings.Join(w.set(set), " "); got != want {
				t.Errorf("%s: %s has %q, want %q", tt.name, set, got, want)
			}
		}
		if tt.target == "debian" && !slices.Contains(w.set(env.SetToolchain), "elixir") {
			t.Errorf("%s: %s has %q", tt.name, env.SetToolchain, w.set(env.SetToolchain))
		}
	}
}

// rootSteps plans a project with dependencies, and returns the packages of each
// root file system that programs of the toolchain run in.
func rootSteps(t *testing.T, w *workspace) map[string][]string {
	t.Helper()
	a := builder.MixApp{
		Platform: w.config.Platform, Source: []layers.SourceFile{{Path: "mix.exs"}, {Path: "configure"}}, Locked: []hex.Locked{{App: "jason"}},
	}
	if err := w.roots(&a); err != nil {
		t.Fatal(err)
	}
	mix, err := a.Root(builder.Need{})
	if err != nil {
		t.Fatal(err)
	}
	tool, err := a.Toolchain.Root(env.ToolHex)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]string{"mix": mix.Packages, "hex": tool.Packages, "assets": a.Assets.Root.Packages, "generate": a.Generate[0].Root.Packages}
}

// Debian's tools on a compiled OTP come without Debian's OTP, which the lock
// has for another build.
func TestRootsOnCompiledOTP(t *testing.T) {
	const manifest = `
[toolchain]
otp = "27"
elixir = "1.18.3"
hex = "2.0.6"
rebar3 = "3.24.0"
[assets]
run = ["mix assets.deploy"]
outputs = ["priv/static"]
packages = ["nodejs"]
[generate.configure]
packages = ["autoconf"]
run = ["./configure"]
outputs = ["vars.config"]
[target.next.toolchain]
otp = { from = "source" }
[target.both.toolchain]
otp = { from = "source" }
elixir = { from = "source" }
`
	const depends = "elixir:erlang-base erlang-base:libc6 libc6: erlang-hex:elixir rebar3:erlang-wx erlang-wx:erlang-base nodejs:libc6"
	for _, tt := range []struct {
		target, root, has, hasNot string
	}{
		{"", "mix", "elixir erlang-base erlang-hex rebar3 erlang-wx", "nodejs"},
		{"", "hex", "elixir erlang-base", "nodejs"},
		{"", "assets", "elixir erlang-base erlang-hex nodejs", "rebar3"},
		{"", "generate", "elixir erlang-base rebar3 gcc autoconf", "erlang-hex"},
		{"next", "mix", "elixir erlang-hex rebar3 zlib1g", "erlang-base erlang-wx"},
		{"next", "hex", "elixir zlib1g", "erlang-base erlang-wx"},
		{"next", "assets", "elixir erlang-hex nodejs libc6", "erlang-base erlang-wx"},
		{"next", "generate", "elixir rebar3 gcc autoconf", "erlang-base erlang-wx erlang-hex"},
		{"both", "mix", "erlang-hex rebar3 zlib1g", "elixir erlang-base erlang-wx"},
		{"both", "hex", "zlib1g", "elixir erlang-base erlang-wx"},
		{"both", "assets", "erlang-hex nodejs", "elixir erlang-base erlang-wx"},
	} {
		packages := rootSteps(t, lockedWorkspace(t, manifest, env.LinuxAMD64, tt.target, "", depends))[tt.root]
		for name := range strings.FieldsSeq(tt.has) {
			if !slices.Contains(packages, layers.DebStep(name)) {
				t.Errorf("target %q: %s lacks %s: %q", tt.target, tt.root, name, packages)
			}
		}
		for name := range strings.FieldsSeq(tt.hasNot) {
			if slices.Contains(packages, layers.DebStep(name)) {
				t.Errorf("target %q: %s has %s", tt.target, tt.root, name)
			}
		}
	}
}
