package builder

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/layers"
)

// Names of the steps every Mix project has.
const (
	StepProject = "project"
	stepTools   = "tools"
	stepPlugins = "plugins"
	StepCompile = "compile"
	stepBase    = "release:base"
	StepRelease = "release"
	stepScripts = "scripts"
	stepMix     = "source:mix"
	stepDefs    = "source:mix.exs"
	stepFolders = "source:deps"
	stepConfig  = "source:config"
	stepCode    = "source:code"
	stepRest    = "source:rest"
)

// projectDir is where every project lies inside a sandbox. The path is part of
// what is compiled; as it is the same for all, they share their dependencies.
const projectDir = "/build/project"

// ProjectFile is where the project step's layer holds what Mix said.
const ProjectFile = ".retort/project.json"

// MixApp is everything that the plan of a Mix project is made from, besides
// what Mix itself says of the project.
type MixApp struct {
	Platform env.Platform
	// Root plans the root file system of a step. It is a pure function.
	Root func(Need) (layers.RootFS, error)
	// Toolchain is what of the toolchain is compiled from source, and so lies over
	// the packages.
	Toolchain Toolchain
	// Cross, if not nil, has the release made for its platform, with programs of
	// Platform.
	Cross *Cross
	// Image unpacks further packages that the image takes files from.
	Image []layers.Recipe
	// Generate are commands that write files of the project first of all.
	Generate []Generate
	// Assets makes what browsers load, if it is not nil.
	Assets     *Assets
	Source     []layers.SourceFile
	Locked     []hex.Locked        // mix.lock
	Plugins    []hex.Locked        // rebar3 plugins of the lock
	NIFs       []env.NIF           // the [nif] tables, sorted by Dep
	SharedNIFs bool                // other projects' tables may be among them
	ConfigApps map[string][]string // what else each dependency reads the configuration of
	MixEnv     string
	MixTarget  string
	Version    string   // overrides the release's version, if not ""
	Config     []string // files of the source merged over the release's sys.config
	VMArgs     string   // file of the source in place of the release's vm.args, or ""
}

// A root is what a step's recipe says of its root file system.
type root struct {
	Recipes    []layers.Recipe
	Root, Over []string
}

// root plans a root file system as one view of the packages that all steps
// share, with what only this one needs above it.
func (a MixApp) root(n Need) (root, error) {
	shared, err := a.Root(Need{Compilers: n.Compilers})
	if err != nil {
		return root{}, err
	}
	fs := shared
	if len(n.NIFs) > 0 || n.Git || n.Cross {
		if fs, err = a.Root(n); err != nil {
			return root{}, err
		}
	}
	r := root{Recipes: fs.Recipes, Root: shared.Packages}
	for _, p := range fs.Packages {
		if !slices.Contains(shared.Packages, p) {
			r.Over = append(r.Over, p)
		}
	}
	r.Over = append(append(r.Over, a.over(fs)...), stepScripts)
	if n.Compilers {
		r.Recipes = append(slices.Clone(r.Recipes), compilersRecipe(a.Platform))
		r.Over = append(append(r.Over, a.Toolchain.dev()...), stepCompilers)
	}
	return r, nil
}

// over names what lies over the packages of a root file system, lowest first.
func (a MixApp) over(fs layers.RootFS) []string {
	return append([]string{fs.Config}, a.Toolchain.run()...)
}

// ProjectPlan is the plan of the step that asks Mix about the project.
func (a MixApp) ProjectPlan() (layers.Plan, error) {
	var folders []layers.SourceFile
	work := []string{stepMix, stepFolders}
	var checkouts []layers.Recipe // of git dependencies, whose mix.exs Mix reads
	for _, l := range a.Locked {
		if l.Kind == hex.Git {
			checkouts = append(checkouts, gitRecipe(l))
			work = append(work, gitStep(l.App))
			continue
		}
		folders = append(folders, layers.SourceFile{Path: "deps/" + l.App, Dir: true, Mode: 0o755})
	}
	slices.SortFunc(folders, func(x, y layers.SourceFile) int { return strings.Compare(x.Path, y.Path) })
	root, err := a.root(Need{Git: len(checkouts) > 0})
	if err != nil {
		return layers.Plan{}, err
	}
	tools, err := a.Toolchain.Recipes()
	if err != nil {
		return layers.Plan{}, err
	}
	return layers.Plan{}.Append(root.Recipes...).Append(tools...).Append(checkouts...).Append(a.generateRecipes()...).Append(
		scriptRecipe(),
		filesRecipe(stepMix, pick(a.Source, isMix)),
		filesRecipe(stepFolders, folders),
		layers.Recipe{
			Name: StepProject, Kind: layers.Run, Platform: a.Platform,
			Root: root.Root, Over: root.Over,
			Work:    append(work, a.generated()...),
			Dir:     projectDir,
			Argv:    []string{"/usr/bin/mix", "run", "--no-compile", "--no-deps-check", "--no-start", "/retort/project.exs", "--no-listeners"},
			Env:     a.env(),
			Outputs: []layers.Output{{Path: ".retort"}},
		},
	), nil
}

// ReleasePlan is the plan of a whole release, after Mix was asked. Its last
// step is StepRelease.
func (a MixApp) ReleasePlan(p Project, release string) (layers.Plan, error) {
	plan, err := a.ProjectPlan()
	if err != nil {
		return layers.Plan{}, err
	}
	g := a.graph(p)
	deps, sources, compiled, err := g.steps()
	if err != nil {
		return layers.Plan{}, err
	}
	bare, err := a.root(Need{})
	if err != nil {
		return layers.Plan{}, err
	}
	cross, err := a.crossBase()
	if err != nil {
		return layers.Plan{}, err
	}
	plan = plan.Append(bare.Recipes...).Append(cross...).Append(
		toolsRecipe(a, bare),
		filesRecipe(stepConfig, pick(a.Source, isConfig)),
		filesRecipe(stepCode, pick(a.Source, func(p string) bool { return isCode(p) && !isConfig(p) })),
		filesRecipe(stepRest, pick(a.Source, func(p string) bool { return !isCode(p) && !isConfig(p) && !isTest(p) })),
	).Append(deps...)
	work := slices.Concat(sources, compiled)

	var apps []string
	for _, d := range g.wanted() {
		apps = append(apps, d.App)
	}
	need, environ, err := g.ownNeed(apps)
	if err != nil {
		return layers.Plan{}, err
	}
	native, err := a.root(need)
	if err != nil {
		return layers.Plan{}, err
	}
	config, whole := p.config(slices.Sorted(maps.Keys(p.Config)))
	compile := layers.Recipe{
		Name: StepCompile, Kind: layers.Run, Platform: a.Platform,
		Root: native.Root, Over: withTools(native.Over),
		Work: slices.Concat(work, []string{stepCode}, a.generated()),
		Dir:  projectDir, Argv: append(tool("Compile"), config...), Env: cleanMemory(withEnv(a.parallelEnv(), environ)), Parallel: true,
		Outputs: p.compiled(),
		Resumes: &layers.Resume{Fresh: []string{stepCode}, Facts: definitions(a.Source)},
	}
	if whole {
		compile.Work = append(compile.Work, stepConfig)
	}
	mix, err := a.root(Need{Git: need.Git})
	if err != nil {
		return layers.Plan{}, err
	}
	crossed, foreign, err := g.crossed(compile, need, apps)
	if err != nil {
		return layers.Plan{}, err
	}
	assets := a.assetRecipes(slices.Concat(work, []string{stepConfig, stepCode}, a.generated(), []string{StepCompile}))
	out := "_release/" + release
	base := layers.Recipe{
		Name: stepBase, Kind: layers.Run, Platform: a.Platform,
		Root: mix.Root, Over: withTools(mix.Over),
		Work: slices.Concat(work, []string{stepDefs}, a.generated()),
		Dir:  projectDir, Argv: append(append(tool("Base"), out), p.releaseName(release)...), Env: a.parallelEnv(), Parallel: true,
		Outputs: []layers.Output{{Path: "_release"}},
	}
	assembled := layers.Recipe{
		Name: StepRelease, Kind: layers.Run, Platform: a.Platform,
		Root: mix.Root, Over: withTools(mix.Over),
		Work: slices.Concat([]string{stepBase}, work, []string{stepCode, stepConfig, stepRest}, a.generated(), []string{StepCompile}, a.assetSteps()),
		Dir:  projectDir, Argv: a.releaseArgv(p, release, out), Env: a.parallelEnv(), Parallel: true,
		Outputs: []layers.Output{{Path: out, Strip: true, Base: stepBase}},
		Amends:  []string{stepCode, StepCompile},
	}
	if a.Cross != nil {
		a.Cross.assemble(&base, foreign)
		a.Cross.assemble(&assembled, foreign)
	}
	return plan.Append(native.Recipes...).Append(mix.Recipes...).Append(a.Image...).Append(
		compile, filesRecipe(stepDefs, pick(a.Source, func(p string) bool { return isMix(p) && !isConfig(p) })),
	).Append(crossed...).Append(base).Append(assets...).Append(assembled), nil
}

// compiled are the folders that the application compiles to. In _build, priv is
// a link to the source's, if that has one: native code of its own goes there.
func (p Project) compiled() []layers.Output {
	out := []layers.Output{{Path: "_build"}}
	for _, app := range p.Apps {
		out = append(out, layers.Output{Path: path.Join(app.Path, "priv")})
	}
	return out
}

// toolsRecipe compiles retort's own modules, which later steps run: starting
// them from source costs each as much again as starting Elixir.
func toolsRecipe(a MixApp, base root) layers.Recipe {
	return layers.Recipe{
		Name: stepTools, Kind: layers.Run, Platform: a.Platform,
		Root: base.Root, Over: base.Over,
		Dir: projectDir, Argv: []string{"/usr/bin/elixir", "/retort/tools.exs"}, Env: a.env(),
		Outputs: []layers.Output{{Path: "retort"}},
	}
}

// tool is the command that runs one of those modules in a VM that has made all
// names of the toolchain, in one order: see mix/tools.exs.
func tool(name string) []string {
	return []string{"/usr/bin/elixir", "--boot", "/retort/start", "-pa", "/retort/ebin", "-e", "Retort." + name + ".main()", "--"}
}

// schedulers is such a command with so many schedulers in its VM. Its
// environment, which an application may keep, does not say how many.
func schedulers(argv []string, n int) []string {
	return slices.Insert(slices.Clone(argv), 1, "--erl", fmt.Sprintf("+S %d:%d", n, n))
}

// withTools puts them into a root file system.
func withTools(over []string) []string { return append(slices.Clone(over), stepTools) }

func (a MixApp) releaseArgv(p Project, release, out string) []string {
	argv := tool("Release")
	for _, file := range a.Config {
		argv = append(argv, "--config", file)
	}
	if a.VMArgs != "" {
		argv = append(argv, "--vm-args", a.VMArgs)
	}
	argv = append(argv, out)
	argv = append(argv, p.releaseName(release)...)
	if a.Version != "" {
		argv = append(argv, "--version", a.Version)
	}
	return argv
}

// releaseName is how `mix release` is told which: without releases: in mix.exs
// it knows no name.
func (p Project) releaseName(release string) []string {
	if slices.Contains(p.Releases, release) {
		return []string{release}
	}
	return nil
}

// definitions are what decides about a project besides its code: an earlier
// run for others is nothing to begin from.
func definitions(files []layers.SourceFile) []string {
	var out []string
	for _, f := range files {
		if path.Base(f.Path) == "mix.exs" || f.Path == "mix.lock" {
			out = append(out, f.Path+"="+f.Digest.String())
		}
	}
	slices.Sort(out)
	return out
}
