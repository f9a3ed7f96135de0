package builder

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// nif returns the [nif] table of an application.
func (a MixApp) nif(app string) (env.NIF, bool) {
	i, ok := slices.BinarySearchFunc(a.NIFs, app, func(n env.NIF, app string) int { return cmp.Compare(n.Dep, app) })
	if !ok {
		return env.NIF{}, false
	}
	return a.NIFs[i], true
}

// own are the applications that are compiled together: those of the project and
// its path dependencies, but for those among the others.
func (g depGraph) own(others []string) []string {
	var out []string
	for _, app := range g.project.Apps {
		out = append(out, app.App)
	}
	for _, d := range g.project.Deps {
		if !slices.Contains(others, d.App) && !slices.Contains(out, d.App) {
			out = append(out, d.App)
		}
	}
	return out
}

// ownNeed is what the application's compilation asks of its root file system,
// and the environment that [nif] tables add to it: libraries of the others,
// whose native code may be loaded, and all that compiles its own.
func (g depGraph) ownNeed(others []string) (need Need, environ []string, err error) {
	need = g.need(others)
	for _, app := range g.own(others) {
		nif, ok := g.app.nif(app)
		if !ok {
			continue
		}
		if nif.Precompiled != nil {
			return need, nil, fmt.Errorf("toolchain.toml: nif.%s.precompiled: %s is compiled with the application: only what comes from outside can be taken as an archive", app, app)
		}
		need.Compilers = true
		need.NIFs = append(need.NIFs, app)
		environ = append(environ, nifEnv(nif)...)
	}
	slices.Sort(need.NIFs)
	slices.Sort(environ)
	return need, environ, nil
}

// nifEnv is what the manifest adds to the environment of a dependency's step.
func nifEnv(nif env.NIF) []string {
	var out []string
	for name, value := range nif.Env {
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}

// withEnv is an environment with more over it, in order.
func withEnv(environ, more []string) []string {
	out := override(environ, more)
	slices.Sort(out)
	return out
}

// precompiledDir is where the tools that would download native code look for
// an archive first.
const precompiledDir = "_precompiled"

// precompiled is the step that brings the archive which takes the place of
// compiling, if the manifest names one.
func precompiled(nif env.NIF, p env.Platform) (layers.Recipe, bool) {
	if nif.Precompiled == nil {
		return layers.Recipe{}, false
	}
	return layers.Recipe{
		Name: "precompiled:" + nif.Dep, Kind: layers.UnpackTool, Platform: p,
		Prefix:  path.Join(precompiledDir, path.Base(nif.Precompiled.URL)),
		Archive: layers.Archive{Name: nif.Dep, Digest: nif.Precompiled.Digest, URL: nif.Precompiled.URL},
	}, true
}

// precompiledEnv adds where elixir_make and rustler_precompiled find archives.
func precompiledEnv(environ []string) []string {
	dir := path.Join(projectDir, precompiledDir)
	return withEnv(environ, []string{"ELIXIR_MAKE_CACHE_DIR=" + dir, "RUSTLER_PRECOMPILED_GLOBAL_CACHE_PATH=" + dir})
}

// stepCompilers holds what lies over the compilers of a root file system.
const stepCompilers = "compilers"

// specsFile is read by GCC besides its own specs: see its documentation, 3.20.
const specsFile = "retort/gcc.specs"

// specs close what makes GCC's result depend on more than its input. Code for
// the processor that happens to compile is no code for the one that runs it:
// "native" is what every processor of the platform has. The seed of names and
// sections that must be unique is the source's path instead of chance. A compiler
// that can offload to other processors says so in what debuggers read.
const specs = `*self_spec:
+ %{march=native:%n-march=native left out: code for every processor of the platform is made} %<march=native %{mtune=native:%n-mtune=native left out} %<mtune=native %<foffload-options=-l_GCC_m

*cc1_options:
+ %{!frandom-seed*:%{!fltrans:%{!fwpa*:-frandom-seed=%i}}}

`

// compilerFiles replace gcc and g++, which are links to the commands with the
// platform in their names, so that whoever calls them gets the specs.
func compilerFiles(p env.Platform) map[string][]byte {
	wrap := func(name string) []byte {
		return fmt.Appendf(nil, "#!/bin/sh\nexec /usr/bin/%s-%s -specs=/%s \"$@\"\n", p.Triplet(), name, specsFile)
	}
	return map[string][]byte{specsFile: []byte(specs), "usr/bin/g++": wrap("g++"), "usr/bin/gcc": wrap("gcc")}
}

func compilersRecipe(p env.Platform) layers.Recipe {
	r := ownFiles(stepCompilers, compilerFiles(p), func(name string) bool { return name != specsFile })
	r.Platform = p
	return r
}

// unusedNIFs says of each [nif] table that is for no dependency and for no
// application of the project what may have been meant. Of tables that may be
// another project's, as manifests can be shared, only what looks like a
// mistake is reported.
func (a MixApp) unusedNIFs(p Project) []error {
	var known []string
	for _, d := range p.Deps {
		known = append(known, d.App)
	}
	for _, app := range p.Apps {
		known = append(known, app.App)
	}
	for _, l := range a.Locked { // of another MIX_ENV or target
		known = append(known, l.App)
	}
	var out []error
	for _, nif := range a.NIFs {
		if slices.Contains(known, nif.Dep) {
			continue
		}
		if near := nearest(nif.Dep, known); near != "" {
			out = append(out, fmt.Errorf("toolchain.toml: nif.%s: the project has no such dependency: did you mean nif.%s?", nif.Dep, near))
		} else if !a.SharedNIFs {
			out = append(out, fmt.Errorf("toolchain.toml: nif.%s: the project has no such dependency", nif.Dep))
		}
	}
	return out
}

// nearest returns the name that was probably meant: one that begins or ends
// alike, or has nearly the same letters.
func nearest(name string, known []string) string {
	known = slices.Sorted(slices.Values(known))
	for _, k := range known {
		if strings.HasPrefix(k, name+"_") || strings.HasPrefix(name, k+"_") || strings.HasSuffix(k, "_"+name) {
			return k
		}
	}
	best, most := "", 0.7
	for _, k := range known {
		if s := similarity(name, k); s > most {
			best, most = k, s
		}
	}
	return best
}

// similarity is the share of pairs of neighbouring letters that two words have
// in common (Dice's coefficient).
func similarity(a, b string) float64 {
	count := make(map[string]int)
	for i := range len(a) - 1 {
		count[a[i:i+2]]++
	}
	common := 0
	for i := range len(b) - 1 {
		if count[b[i:i+2]] > 0 {
			count[b[i:i+2]]--
			common++
		}
	}
	return 2 * float64(common) / float64(max(len(a)+len(b)-2, 1))
}
