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

// precompiledDir is where the tools that would download native code look for
// an archive first.
const precompiledDir = "_precompiled"

// nif returns the [nif] table of an application.
func (a MixApp) nif(app string) (env.NIF, bool) {
	i, ok := slices.BinarySearchFunc(a.NIFs, app, func(n env.NIF, app string) int { return cmp.Compare(n.Dep, app) })
	if !ok {
		return env.NIF{}, false
	}
	return a.NIFs[i], true
}

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
func precompiledEnv(env []string) []string {
	dir := path.Join(projectDir, precompiledDir)
	env = append(slices.Clone(env), "ELIXIR_MAKE_CACHE_DIR="+dir, "RUSTLER_PRECOMPILED_GLOBAL_CACHE_PATH="+dir)
	slices.Sort(env)
	return env
}

// checkNIFs refuses a [nif] table for what is neither a dependency nor an
// application of the project: it would do nothing.
func (a MixApp) checkNIFs(p Project) error {
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
	for _, nif := range a.NIFs {
		if slices.Contains(known, nif.Dep) {
			continue
		}
		hint := "remove the table"
		if near := nearest(nif.Dep, known); near != "" {
			hint = fmt.Sprintf("did you mean [nif.%s]?", near)
		}
		return fmt.Errorf("toolchain.toml: nif.%s: the project has no dependency of that name: %s", nif.Dep, hint)
	}
	return nil
}

// nearest returns the name that was probably meant: one that begins or ends
// alike, or has nearly the same letters.
func nearest(name string, known []string) string {
	for _, k := range slices.Sorted(slices.Values(known)) {
		if strings.HasPrefix(k, name) || strings.HasPrefix(name, k) || strings.HasSuffix(k, "_"+name) {
			return k
		}
	}
	best, most := "", 0.6
	for _, k := range slices.Sorted(slices.Values(known)) {
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
