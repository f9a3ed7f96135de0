package builder

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/layers"
)

// Names of the steps every Mix project has.
const (
	StepProject = "project"
	StepDeps    = "deps"
	StepCompile = "compile"
	StepRelease = "release"
	stepScripts = "scripts"
	stepMix     = "source:mix"
	stepFolders = "source:deps"
	stepCode    = "source:code"
	stepRest    = "source:rest"
)

//go:embed mix/project.exs
var projectScript []byte

//go:embed mix/deps.exs
var depsScript []byte

//go:embed mix/release.exs
var releaseScript []byte

// Script gives the content of a file of retort's own that recipes run; false
// for a file that is not one.
func Script(r *layers.Recipe, f layers.SourceFile) (io.ReadCloser, bool) {
	text, ok := scripts[f.Path]
	if r.Name != stepScripts || !ok {
		return nil, false
	}
	return io.NopCloser(bytes.NewReader(text)), true
}

// scripts are retort's own files in the root file system: what steps run, and
// who the sandbox's user is, by name.
var scripts = map[string][]byte{
	"etc/group":          []byte("root:x:0:\nretort:x:1000:\nnogroup:x:65534:\n"),
	"etc/passwd":         []byte("root:x:0:0:root:/root:/bin/sh\nretort:x:1000:1000:retort:/home/retort:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"),
	"retort/deps.exs":    depsScript,
	"retort/project.exs": projectScript,
	"retort/release.exs": releaseScript,
}

// ProjectFile is where the project step's layer holds what Mix said.
const ProjectFile = ".retort/project.json"

// MixApp is everything that the plan of a Mix project is made from, besides
// what Mix itself says of the project.
type MixApp struct {
	Platform env.Platform
	// Base is the root file system that compiles the application, Native the
	// one that compiles its dependencies: with rebar3, compilers and the
	// system packages of the [nif] tables.
	Base, Native layers.RootFS
	// Image unpacks further packages that the image takes files from.
	Image     []layers.Recipe
	Source    []layers.SourceFile
	Locked    []hex.Locked // mix.lock
	Plugins   []hex.Locked // rebar3 plugins of the lock
	MixEnv    string
	MixTarget string
	Version   string   // overrides the release's version, if not ""
	Config    []string // files of the source merged over the release\'s sys.config
	VMArgs    string   // file of the source in place of the release\'s vm.args, or ""
}

// ProjectPlan is the plan of the step that asks Mix about the project.
func (a MixApp) ProjectPlan() layers.Plan {
	var folders []layers.SourceFile
	for _, l := range a.Locked {
		folders = append(folders, layers.SourceFile{Path: "deps/" + l.App, Dir: true, Mode: 0o755})
	}
	slices.SortFunc(folders, func(x, y layers.SourceFile) int { return strings.Compare(x.Path, y.Path) })
	plan := layers.Plan{Recipes: slices.Clone(a.Base.Recipes)}
	return plan.Append(
		scriptRecipe(),
		filesRecipe(stepMix, pick(a.Source, isMix)),
		filesRecipe(stepFolders, folders),
		layers.Recipe{
			Name: StepProject, Kind: layers.Run, Platform: a.Platform,
			Root: a.Base.Packages, Over: []string{a.Base.Config, stepScripts},
			Work:    []string{stepMix, stepFolders},
			Dir:     "/build/project",
			Argv:    []string{"/usr/bin/mix", "run", "--no-compile", "--no-deps-check", "--no-start", "/retort/project.exs"},
			Env:     a.env(),
			Outputs: []layers.Output{{Path: ".retort"}},
		},
	)
}

// ReleasePlan is the plan of a whole release, after Mix was asked. Its last
// step is StepRelease.
func (a MixApp) ReleasePlan(p Project, release string) (layers.Plan, error) {
	plan := a.ProjectPlan()
	sources, err := a.depRecipes(p)
	if err != nil {
		return layers.Plan{}, err
	}
	dir := p.Dir(release)
	var work []string
	if len(sources) > 0 {
		plan = plan.Append(a.Native.Recipes...).Append(sources...)
		deps := layers.Recipe{
			Name: StepDeps, Kind: layers.Run, Platform: a.Platform,
			Root: a.Native.Packages, Over: []string{a.Native.Config, stepScripts},
			Work: append(names(sources), stepMix),
			Dir:  dir, Argv: append([]string{"/usr/bin/elixir", "/retort/deps.exs"}, hexApps(p)...), Env: a.env(),
			Outputs: []layers.Output{{Path: "_build"}, {Path: "deps"}},
		}
		plan = plan.Append(deps)
		work = append(names(sources), StepDeps)
	}
	code, rest := pick(a.Source, isCode), pick(a.Source, func(p string) bool { return !isCode(p) })
	compile := layers.Recipe{
		Name: StepCompile, Kind: layers.Run, Platform: a.Platform,
		Root: a.Base.Packages, Over: []string{a.Base.Config, stepScripts},
		Work: append(slices.Clone(work), stepCode),
		Dir:  dir, Argv: []string{"/usr/bin/mix", "compile"}, Env: a.env(),
		Outputs: []layers.Output{{Path: "_build"}},
	}
	out := "_release/" + release
	argv := []string{"/usr/bin/elixir", "/retort/release.exs"}
	for _, file := range a.Config {
		argv = append(argv, "--config", file)
	}
	if a.VMArgs != "" {
		argv = append(argv, "--vm-args", a.VMArgs)
	}
	argv = append(argv, out)
	if slices.Contains(p.Releases, release) { // without releases: in mix.exs, `mix release` knows no name
		argv = append(argv, release)
	}
	if a.Version != "" {
		argv = append(argv, "--version", a.Version)
	}
	return plan.Append(a.Image...).Append(
		filesRecipe(stepCode, code),
		filesRecipe(stepRest, rest),
		compile,
		layers.Recipe{
			Name: StepRelease, Kind: layers.Run, Platform: a.Platform,
			Root: a.Base.Packages, Over: []string{a.Base.Config, stepScripts},
			Work: append(append(slices.Clone(work), stepCode, stepRest), StepCompile),
			Dir:  dir, Argv: argv, Env: a.env(),
			Outputs: []layers.Output{{Path: out, Strip: true}},
		},
	), nil
}

// depRecipes unpack the project's Hex packages and the plugins beside those
// that rebar3 compiles.
func (a MixApp) depRecipes(p Project) ([]layers.Recipe, error) {
	locked := make(map[string]hex.Locked, len(a.Locked))
	for _, l := range a.Locked {
		locked[l.App] = l
	}
	var out []layers.Recipe
	for _, d := range p.Deps {
		if d.SCM == "Mix.SCM.Path" {
			continue
		}
		l, ok := locked[d.App]
		if !ok {
			return nil, fmt.Errorf("dependency %s is not in mix.lock: run mix deps.get", d.App)
		}
		if l.Kind != hex.Package {
			return nil, fmt.Errorf("dependency %s comes from git: retort builds dependencies from Hex and from paths of the project", d.App)
		}
		out = append(out, hexRecipe("hex:"+d.App, "deps/"+d.App, l))
		if d.Manager != "rebar3" {
			continue
		}
		for _, plugin := range a.Plugins {
			out = append(out, hexRecipe("hex:"+d.App+"/"+plugin.App, path.Join("deps", d.App, "_checkouts", plugin.App), plugin))
		}
	}
	return out, nil
}

func hexRecipe(name, prefix string, l hex.Locked) layers.Recipe {
	text := l.Text
	if text == "" { // a pin of toolchain.lock
		text = fmt.Sprintf("{:hex, :%s, %q, %q, [:rebar3], [], %q, %q}", l.Name, l.Version, l.Inner.Encoded(), l.Repo, l.Outer.Encoded())
	}
	return layers.Recipe{
		Name: name, Kind: layers.UnpackHex, Platform: env.Any, Prefix: prefix,
		Archive: layers.Archive{
			Name: l.Name, Version: l.Version, Digest: l.Outer,
			Lock: fmt.Sprintf("%%{%q: %s}", l.App, text),
		},
	}
}

func hexApps(p Project) []string {
	var out []string
	for _, d := range p.Deps {
		if d.SCM != "Mix.SCM.Path" {
			out = append(out, d.App)
		}
	}
	return out
}

func scriptRecipe() layers.Recipe {
	var files []layers.SourceFile
	for name, text := range scripts {
		files = append(files, layers.SourceFile{Path: name, Mode: 0o644, Digest: digest.FromBytes(text), Size: int64(len(text))})
	}
	slices.SortFunc(files, func(x, y layers.SourceFile) int { return strings.Compare(x.Path, y.Path) })
	return filesRecipe(stepScripts, files)
}

func filesRecipe(name string, files []layers.SourceFile) layers.Recipe {
	return layers.Recipe{Name: name, Kind: layers.Files, Platform: env.Any, Files: files}
}

func names(recipes []layers.Recipe) []string {
	var out []string
	for _, r := range recipes {
		out = append(out, r.Name)
	}
	return out
}

func pick(files []layers.SourceFile, keep func(path string) bool) []layers.SourceFile {
	var out []layers.SourceFile
	for _, f := range files {
		if keep(f.Path) {
			out = append(out, f)
		}
	}
	return out
}

// isMix reports whether a source file may decide what Mix says of the project
// or how its dependencies compile: mix.exs, the lock, compile-time
// configuration, and files beside them that mix.exs may read.
func isMix(p string) bool {
	if path.Base(p) == "mix.exs" {
		return true
	}
	if !isCode(p) || strings.HasSuffix(p, ".md") {
		return false
	}
	if rest, ok := strings.CutPrefix(p, "apps/"); ok {
		if _, inner, ok := strings.Cut(rest, "/"); ok {
			p = inner
		}
	}
	return !strings.Contains(p, "/") || strings.HasPrefix(p, "config/")
}

// isCode reports whether a source file may take part in compiling. What is
// read only when the release is assembled or run does not, and an edit of it
// compiles nothing anew.
func isCode(p string) bool {
	return p != "config/runtime.exs" && !strings.HasPrefix(p, "rel/") && !strings.HasPrefix(p, "test/") &&
		!(strings.HasPrefix(p, "apps/") && strings.Contains(p, "/test/"))
}
