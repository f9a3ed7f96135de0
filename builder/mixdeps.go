package builder

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/layers"
)

// Names of the steps of one dependency: its source, and what it compiles to.
func hexStep(app string) string { return "hex:" + app }

// DepStep names the step that compiles a dependency.
func DepStep(app string) string { return "dep:" + app }

// Need is what a step asks of its root file system besides the toolchain.
type Need struct {
	Compilers bool
	Cross     bool     // and compilers for the platform of MixApp.Cross
	Git       bool     // Mix asks git about git dependencies
	NIFs      []string // [nif] tables, sorted: their build packages
}

// A depGraph is the dependencies that are compiled before the application.
type depGraph struct {
	app     MixApp
	project Project
	deps    map[string]ProjectDep
	locked  map[string]hex.Locked
}

func (a MixApp) graph(p Project) depGraph {
	g := depGraph{app: a, project: p, deps: make(map[string]ProjectDep), locked: make(map[string]hex.Locked)}
	for _, d := range p.Deps {
		g.deps[d.App] = d
	}
	for _, l := range a.Locked {
		g.locked[l.App] = l
	}
	return g
}

// fetched reports whether a dependency comes from outside the project.
func fetched(d ProjectDep) bool { return d.SCM != "Mix.SCM.Path" }

// closure returns everything below a dependency, in the order it compiles. Mix
// forbids circles; one would end here, too.
func (g depGraph) closure(app string) []string {
	seen := map[string]bool{app: true}
	var visit func(string)
	visit = func(app string) {
		for _, child := range g.deps[app].Deps {
			if _, known := g.deps[child]; known && !seen[child] {
				seen[child] = true
				visit(child)
			}
		}
	}
	visit(app)
	var out []string
	for _, d := range g.project.Deps {
		if seen[d.App] && d.App != app {
			out = append(out, d.App)
		}
	}
	return out
}

// wanted returns the dependencies that have steps of their own: those from
// outside, and folders of the project that one of them depends on. Other
// folders are compiled with the application.
func (g depGraph) wanted() []ProjectDep {
	want := make(map[string]bool)
	for _, d := range g.project.Deps {
		if fetched(d) {
			want[d.App] = true
			for _, child := range g.closure(d.App) {
				want[child] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(g.project.Deps), func(d ProjectDep) bool { return !want[d.App] })
}

// steps plans the sources of the dependencies and their compilation. sources
// and compiled name the steps that later ones build on.
func (g depGraph) steps() (recipes []layers.Recipe, sources, compiled []string, err error) {
	if recipes, err = g.plugins(); err != nil {
		return nil, nil, nil, err
	}
	for _, d := range g.wanted() {
		source, err := g.source(d)
		if err != nil {
			return nil, nil, nil, err
		}
		compile, roots, err := g.compile(d, nil)
		if err != nil {
			return nil, nil, nil, err
		}
		recipes = append(recipes, source)
		recipes = append(append(recipes, roots...), compile)
		if g.bound(d) {
			foreign, roots, err := g.compile(d, g.app.Cross)
			if err != nil {
				return nil, nil, nil, err
			}
			recipes = append(append(recipes, roots...), foreign)
		}
		if fetched(d) {
			sources, compiled = append(sources, source.Name), append(compiled, compile.Name)
		}
	}
	return recipes, sources, compiled, nil
}

// plugins plans the sources of the rebar3 plugins and their compilation, once
// for all dependencies.
func (g depGraph) plugins() ([]layers.Recipe, error) {
	if len(g.app.Plugins) == 0 {
		return nil, nil
	}
	root, err := g.app.root(Need{})
	if err != nil {
		return nil, err
	}
	var out []layers.Recipe
	compile := layers.Recipe{
		Name: stepPlugins, Kind: layers.Run, Platform: g.app.Platform,
		Root: root.Root, Over: withTools(root.Over),
		Dir: projectDir, Argv: tool("Plugins"), Env: g.app.env(),
		Outputs: []layers.Output{{Path: "_compiled"}},
	}
	for _, plugin := range g.app.Plugins {
		source := hexRecipe("plugin:"+plugin.App, "_plugins/"+plugin.App, plugin)
		out = append(out, source)
		compile.Work, compile.Argv = append(compile.Work, source.Name), append(compile.Argv, plugin.App)
	}
	return append(out, compile), nil
}

// sourceStep names the step that holds a dependency's source.
func (g depGraph) sourceStep(d ProjectDep) string {
	if l, ok := g.checkout(d); ok {
		return gitStep(l.App)
	}
	if fetched(d) {
		return hexStep(d.App)
	}
	return "source:path:" + d.App
}

// checkout returns the git dependency whose repository holds d: itself, or the
// one that has d as a folder beside its own.
func (g depGraph) checkout(d ProjectDep) (hex.Locked, bool) {
	if fetched(d) {
		l := g.locked[d.App]
		return l, l.Kind == hex.Git
	}
	for _, l := range g.app.Locked {
		if l.Kind == hex.Git && within(d.Dest, "deps/"+l.App) {
			return l, true
		}
	}
	return hex.Locked{}, false
}

func (g depGraph) source(d ProjectDep) (layers.Recipe, error) {
	if l, ok := g.checkout(d); ok {
		return gitRecipe(l), nil
	}
	if !fetched(d) {
		if !within(d.Dest, ".") {
			return layers.Recipe{}, fmt.Errorf("dependency %s lies in %s, outside of the project: run retort in the folder above both", d.App, d.Dest)
		}
		return filesRecipe(g.sourceStep(d), pick(g.app.Source, func(p string) bool { return within(p, d.Dest) })), nil
	}
	l, ok := g.locked[d.App]
	if !ok {
		return layers.Recipe{}, fmt.Errorf("dependency %s is not in mix.lock: run mix deps.get", d.App)
	}
	return hexRecipe(hexStep(d.App), "deps/"+d.App, l), nil
}

// compile plans the compilation of one dependency. It sees its own source,
// those below it with what they compiled to, and nothing else. With cross it is
// compiled for that platform.
func (g depGraph) compile(d ProjectDep, cross *Cross) (step layers.Recipe, roots []layers.Recipe, err error) {
	family := append(g.closure(d.App), d.App)
	need := g.need(family)
	nif, native := g.app.nif(d.App)
	if cross != nil {
		nif, native = cross.nif(d.App)
	}
	need.Compilers = native && nif.Precompiled == nil || g.made(d)
	root, err := g.app.root(need)
	if err != nil {
		return layers.Recipe{}, nil, err
	}
	argv := append(tool("Dep"), d.App)
	var work, locks []string
	for _, app := range family {
		member := g.deps[app]
		if source := g.sourceStep(member); !slices.Contains(work, source) {
			work = append(work, source)
		}
		if app != d.App {
			work = append(work, DepStep(app))
		}
		argv = append(argv, "dep="+depTuple(member))
		if fetched(member) {
			locks = append(locks, "lock="+lockEntry(g.locked[app]))
		}
	}
	slices.Sort(locks)
	argv = append(argv, locks...)
	config, whole := g.project.config(g.configApps(d, family))
	argv = append(argv, config...)
	if whole {
		work = append(work, stepConfig)
	}
	outputs := []layers.Output{{Path: g.app.buildDir() + "/lib/" + d.App}, {Path: d.Dest}}
	if d.Manager == "rebar3" {
		for _, plugin := range g.app.Plugins {
			argv = append(argv, "plugin="+plugin.App)
			work = append(work, "plugin:"+plugin.App)
		}
		if len(g.app.Plugins) > 0 {
			work = append(work, stepPlugins)
		}
	}
	environ := cleanMemory(withEnv(g.app.env(), nifEnv(nif)))
	if archive, ok := precompiled(nif, g.app.Platform); ok {
		if cross != nil {
			archive.Name, archive.Platform = layers.ForeignStep(archive.Name, cross.Platform), cross.Platform
		}
		root.Recipes = append(root.Recipes, archive)
		work = append(work, archive.Name)
		argv = append(argv, "precompiled="+path.Base(archive.Prefix))
		environ = precompiledEnv(environ)
	}
	step = layers.Recipe{
		Name: DepStep(d.App), Kind: layers.Run, Platform: g.app.Platform,
		Root: root.Root, Over: withTools(root.Over), Work: work,
		Dir: projectDir, Argv: argv, Env: environ, Outputs: outputs, Jobs: true,
	}
	if cross == nil {
		return step, root.Recipes, nil
	}
	step, roots, err = g.inForeign(step, need, d.App)
	return step, append(roots, root.Recipes...), err
}

// made reports whether make compiles a dependency. Mix knows that only from its
// source; it takes the other managers from mix.lock.
func (g depGraph) made(d ProjectDep) bool {
	return d.Manager == "make" || d.Manager == "" && slices.Contains(g.locked[d.App].Managers, "make")
}

// need collects the system packages of several dependencies.
func (g depGraph) need(apps []string) Need {
	var n Need
	for _, app := range apps {
		_, ok := g.app.nif(app)
		if c := g.app.Cross; c != nil && !ok {
			_, ok = c.nif(app)
		}
		if ok {
			n.NIFs = append(n.NIFs, app)
		}
		n.Git = n.Git || fetched(g.deps[app]) && g.locked[app].Kind == hex.Git
	}
	slices.Sort(n.NIFs)
	return n
}

// configApps are the applications whose configuration a dependency sees: its
// own, those below it, those of Elixir and OTP, and what the manifest names.
func (g depGraph) configApps(d ProjectDep, family []string) []string {
	apps := slices.Concat(family, g.project.OTPApps, g.project.ElixirApps, g.app.ConfigApps[d.App])
	slices.Sort(apps)
	return slices.Compact(apps)
}

// config returns the arguments that carry the configuration of the apps; whole
// says that the files must be read as they are, as a value in them means
// nothing to another VM.
func (p Project) config(apps []string) (args []string, whole bool) {
	for _, app := range apps {
		value, ok := p.Config[app]
		switch {
		case !ok:
		case value == nil:
			return []string{"config=whole"}, true
		default:
			args = append(args, "config="+app+" "+*value)
		}
	}
	return args, false
}

// depTuple is a dependency as a project names it in Elixir.
func depTuple(d ProjectDep) string {
	options := strings.TrimSuffix(strings.TrimPrefix(d.Options, "["), "]")
	requirement := ""
	if d.SCM == "Hex.SCM" {
		requirement = `">= 0.0.0", `
	}
	return fmt.Sprintf("{:%s, %s%s}", d.App, requirement, strings.TrimSuffix("override: true, "+options, ", "))
}

// lockEntry is a line of mix.lock.
func lockEntry(l hex.Locked) string { return fmt.Sprintf("%q: %s", l.App, lockText(l)) }

// lockText is the tuple that mix.lock has for a dependency, or would have for
// a pin of toolchain.lock.
func lockText(l hex.Locked) string {
	if l.Text != "" {
		return l.Text
	}
	return fmt.Sprintf("{:hex, :%s, %q, %q, [:rebar3], [], %q, %q}", l.Name, l.Version, l.Inner.Encoded(), l.Repo, l.Outer.Encoded())
}

func hexRecipe(name, prefix string, l hex.Locked) layers.Recipe {
	return layers.Recipe{
		Name: name, Kind: layers.UnpackHex, Platform: env.Any, Prefix: prefix,
		Archive: layers.Archive{
			Name: l.Name, Version: l.Version, Digest: l.Outer,
			Lock: fmt.Sprintf("%%{%s}", lockEntry(l)),
		},
	}
}

// within reports whether a path lies in a folder; every relative path that
// leads nowhere else lies in ".".
func within(p, dir string) bool {
	p = path.Clean(p)
	if dir == "." {
		return !path.IsAbs(p) && p != ".." && !strings.HasPrefix(p, "../")
	}
	return p == dir || strings.HasPrefix(p, dir+"/")
}
