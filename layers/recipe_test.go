package layers

import (
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
)

// sample is one recipe of each kind, with its inputs' layers.
func sample() (map[Kind]*Recipe, map[string]Layer) {
	inputs := map[string]Layer{
		"deb:libc6": {DiffID: digest.FromString("libc6"), Size: 1},
		"configure": {DiffID: digest.FromString("configure"), Size: 2},
		"source":    {DiffID: digest.FromString("source"), Size: 3},
	}
	return map[Kind]*Recipe{
		UnpackDeb: {
			Name: "deb:libc6", Kind: UnpackDeb, Platform: env.LinuxAMD64,
			Archive: Archive{Name: "libc6", Version: "2.41-12", Arch: "amd64", Digest: digest.FromString("deb"), Size: 7},
		},
		UnpackHex: {
			Name: "hex:jason", Kind: UnpackHex, Platform: env.Any, Prefix: "deps/jason",
			Archive: Archive{Name: "jason", Version: "1.4.4", Digest: digest.FromString("hex"), Lock: `%{"jason": {:hex}}`},
		},
		UnpackGit: {
			Name: "git:icons", Kind: UnpackGit, Platform: env.Any, Prefix: "deps/icons",
			Archive: Archive{Name: "icons", Version: "0123456789012345678901234567890123456789", Lock: `%{"icons": {:git}}`},
		},
		UnpackNPM: {
			Name: "npm:assets/node_modules/esbuild", Kind: UnpackNPM, Platform: env.Any, Prefix: "assets/node_modules/esbuild",
			Archive: Archive{Name: "esbuild", Version: "0.25.4", Digest: "sha512:" + digest.Digest(strings.Repeat("0f", 64)), URL: "https://example.org/x.tgz"},
			Facts:   []string{"executable=bin/esbuild"},
		},
		UnpackTool: {
			Name: "tool:esbuild", Kind: UnpackTool, Platform: env.LinuxAMD64, Prefix: "_build/esbuild-linux-x64",
			Archive: Archive{Name: "esbuild", Version: "0.25.4", Digest: digest.FromString("tgz"), Size: 9, URL: "https://example.org/x.tgz"},
			Facts:   []string{"file=package/bin/esbuild"},
		},
		Configure: {
			Name: "configure", Kind: Configure, Platform: env.LinuxAMD64, Inputs: []string{"deb:libc6"},
			Facts: []string{"package=libc6 2.41-12 amd64 ", "suite=trixie"},
		},
		Files: {
			Name: "source", Kind: Files, Platform: env.Any,
			Files: []SourceFile{
				{Path: "deps/x", Dir: true, Mode: 0o755},
				{Path: "lib/a.ex", Mode: 0o644, Digest: digest.FromString("a"), Size: 1},
				{Path: "lib/b.ex", Mode: 0o777, Link: "a.ex"},
			},
		},
		Run: {
			Name: "compile", Kind: Run, Platform: env.LinuxAMD64,
			Root: []string{"deb:libc6"}, Over: []string{"configure"}, Work: []string{"source"},
			Dir: "/build/app", Argv: []string{"/usr/bin/mix", "compile"}, Env: []string{"LC_ALL=C.UTF-8"},
			Outputs: []Output{{Path: "_build"}},
		},
	}, inputs
}

// The keys of equal recipes must never change without a new key salt: a store
// would answer with the result of another program's recipe.
func TestKeysAreGolden(t *testing.T) {
	want := map[Kind]string{
		UnpackDeb:  "b539f3357502db0422a628364b39fe62bfd79c56ed7dd66d3f2240432eed3810",
		UnpackHex:  "dde67d260e59bad76716dfa0eab1ebfb2659f8db399e19492fd5fba61f0d7222",
		UnpackNPM:  "eb15dc84716510e4bb51a7203f0b9b1fc768ebed01ef735e5dc0ac5c0350c171",
		UnpackTool: "d26ac2b88248074eb54b89d6ca376cc48c409ab6abab7eaadbbe3cdd76d7c162",
		Configure:  "3cc9eefe28083518fa1d12a891a1759db26d21038c7b48a86b8cf0a01471bd9c",
		Files:      "bc23d419c060614e045ffeb853ffd664a05e9df07eae1f9bf95dae216cfdc401",
		Run:        "3ac3a090def409a3089d24d962c97c9205aa5ebb84439781833f55fdf1cf2d7e",
		UnpackGit:  "ee15c7665a7a2ca38f209f1dcab2dc86d3d92579c8dec86e704e2943eeb8d833",
	}
	recipes, inputs := sample()
	for kind, r := range recipes {
		key, text, err := KeyOf(r, inputs)
		if err != nil {
			t.Fatal(err)
		}
		if string(key) != want[kind] {
			t.Errorf("%s: key %s, want %s; it hashes\n%s", kind, key, want[kind], text)
		}
	}
}

func TestKeyDependsOnEveryField(t *testing.T) {
	change := map[string]struct {
		kind Kind
		edit func(*Recipe, map[string]Layer)
	}{
		"platform":        {UnpackDeb, func(r *Recipe, _ map[string]Layer) { r.Platform = env.LinuxARM64 }},
		"archive digest":  {UnpackDeb, func(r *Recipe, _ map[string]Layer) { r.Archive.Digest = digest.FromString("other") }},
		"archive version": {UnpackDeb, func(r *Recipe, _ map[string]Layer) { r.Archive.Version = "2.42-1" }},
		"fact":            {UnpackDeb, func(r *Recipe, _ map[string]Layer) { r.Facts = []string{"usrmerge=true"} }},
		"prefix":          {UnpackHex, func(r *Recipe, _ map[string]Layer) { r.Prefix = "deps/other" }},
		"mix.lock entry":  {UnpackHex, func(r *Recipe, _ map[string]Layer) { r.Archive.Lock += " " }},
		"git commit":      {UnpackGit, func(r *Recipe, _ map[string]Layer) { r.Archive.Lock = strings.ToUpper(r.Archive.Lock) }},
		"tool digest":     {UnpackTool, func(r *Recipe, _ map[string]Layer) { r.Archive.Digest = digest.FromString("other") }},
		"tool place":      {UnpackTool, func(r *Recipe, _ map[string]Layer) { r.Prefix = "bin/esbuild" }},
		"tool file":       {UnpackTool, func(r *Recipe, _ map[string]Layer) { r.Facts = nil }},
		"npm integrity":   {UnpackNPM, func(r *Recipe, _ map[string]Layer) { r.Archive.Digest = digest.FromString("other") }},
		"npm executables": {UnpackNPM, func(r *Recipe, _ map[string]Layer) { r.Facts[0] += ".js" }},
		"file content":    {Files, func(r *Recipe, _ map[string]Layer) { r.Files[1].Digest = digest.FromString("b") }},
		"file mode":       {Files, func(r *Recipe, _ map[string]Layer) { r.Files[1].Mode = 0o755 }},
		"link":            {Files, func(r *Recipe, _ map[string]Layer) { r.Files[2].Link = "c.ex" }},
		"argv":            {Run, func(r *Recipe, _ map[string]Layer) { r.Argv = []string{"/usr/bin/mix", "compile", ""} }},
		"argv split":      {Run, func(r *Recipe, _ map[string]Layer) { r.Argv = []string{"/usr/bin/mix compile"} }},
		"env":             {Run, func(r *Recipe, _ map[string]Layer) { r.Env = append(r.Env, "A=b") }},
		"dir":             {Run, func(r *Recipe, _ map[string]Layer) { r.Dir = "/build/other" }},
		"output":          {Run, func(r *Recipe, _ map[string]Layer) { r.Outputs[0].Strip = true }},
		"root content":    {Run, func(_ *Recipe, in map[string]Layer) { in["deb:libc6"] = Layer{DiffID: digest.FromString("x")} }},
		"place of input":  {Run, func(r *Recipe, _ map[string]Layer) { r.Root, r.Over = r.Over, r.Root }},
	}
	for name, c := range change {
		before, inputs := sample()
		key, _, err := KeyOf(before[c.kind], inputs)
		if err != nil {
			t.Fatal(err)
		}
		after, inputs := sample()
		c.edit(after[c.kind], inputs)
		changed, _, err := KeyOf(after[c.kind], inputs)
		if err != nil {
			t.Fatal(err)
		}
		if key == changed {
			t.Errorf("%s: the key stayed %s", name, key)
		}
	}
}

// A step's name, and the names of its inputs, are for people: another plan that
// calls the same work differently shares its result.
func TestKeyLeavesNamesOut(t *testing.T) {
	recipes, inputs := sample()
	key, _, err := KeyOf(recipes[Run], inputs)
	if err != nil {
		t.Fatal(err)
	}
	r := *recipes[Run]
	r.Name, r.Root = "build", []string{"deb:libc6:amd64"}
	inputs["deb:libc6:amd64"] = inputs["deb:libc6"]
	renamed, text, err := KeyOf(&r, inputs)
	if err != nil {
		t.Fatal(err)
	}
	if key != renamed {
		t.Errorf("key changed from %s to %s", key, renamed)
	}
	if !strings.Contains(text, "(deb:libc6:amd64)") {
		t.Errorf("the text does not name the input:\n%s", text)
	}
}

func TestPlanCheck(t *testing.T) {
	files := func(name string) Recipe { return Recipe{Name: name, Kind: Files, Platform: env.Any} }
	reads := func(name string, in ...string) Recipe {
		return Recipe{Name: name, Kind: Configure, Platform: env.LinuxAMD64, Inputs: in}
	}
	for _, c := range []struct {
		name string
		plan []Recipe
		want string
	}{
		{"good", []Recipe{files("a"), reads("b", "a")}, ""},
		{"twice", []Recipe{files("a"), files("a")}, `"a" is empty or used twice`},
		{"later input", []Recipe{reads("b", "a"), files("a")}, "b reads a, which is not an earlier recipe"},
		{"no platform", []Recipe{{Name: "a", Kind: Files}}, "a has no platform"},
	} {
		err := Plan{Recipes: c.plan}.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestToolchainOfBookwormRewritesPaths(t *testing.T) {
	lock := &env.Lock{Packages: []env.Package{
		{Platform: env.LinuxAMD64, Name: "bash", Version: "5.2", Architecture: "amd64", Depends: []string{"libc6"}},
		{Platform: env.LinuxAMD64, Name: "libc6", Version: "2.36", Architecture: "amd64"},
		{Platform: env.LinuxAMD64, Name: "unrelated", Version: "1", Architecture: "all"},
	}}
	root, err := Toolchain(lock, env.LinuxAMD64, "bookworm", "configure", []string{"bash"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(root.Packages, " "); got != "deb:bash deb:libc6" {
		t.Errorf("packages %s", got)
	}
	for _, r := range root.Recipes {
		if len(r.Facts) == 0 || !strings.Contains(strings.Join(r.Facts, " "), "usrmerge=true") {
			t.Errorf("%s: facts %q lack the rewriting of paths", r.Name, r.Facts)
		}
	}
	p, ok := ParsePackageFact(root.Recipes[2].Facts[0])
	if !ok || p.Name != "bash" || p.Depends[0] != "libc6" {
		t.Errorf("fact %q reads as %+v", root.Recipes[2].Facts[0], p)
	}
	if _, err := Toolchain(lock, env.LinuxAMD64, "bookworm", "configure", []string{"gcc"}, nil); err == nil {
		t.Error("a root that is not locked passed")
	}
	if root, err = Toolchain(lock, env.LinuxAMD64, "bookworm", "configure", nil, []string{"bash"}); err != nil {
		t.Fatal(err)
	}
	p, ok = ParsePackageFact(root.Recipes[1].Facts[0])
	if len(root.Packages) != 1 || !ok || p.Name != "bash" || p.Depends != nil {
		t.Errorf("packages %q, fact %+v", root.Packages, p)
	}
}

func TestQuoteIsGos(t *testing.T) {
	for _, s := range []string{"", "plain value=1/2.3", `a"b`, `a\b`, "a\nb", "ü", "a\x7fb", "\xff", "~ "} {
		if got, want := string(appendQuote([]byte("x"), s)), "x"+strconv.Quote(s); got != want {
			t.Errorf("appendQuote(%q) = %s, want %s", s, got, want)
		}
	}
}
