package builder

import (
	"bytes"
	"embed"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

//go:embed mix
var mixFiles embed.FS

// Script gives the content of a file of retort's own that recipes run; false
// for a file that is not one.
func Script(r *layers.Recipe, f layers.SourceFile) (io.ReadCloser, bool) {
	var text []byte
	var ok bool
	switch r.Name {
	case stepScripts:
		text, ok = scripts()[f.Path]
	case stepCompilers, layers.ForeignStep(stepCompilers, r.Platform):
		text, ok = compilerFiles(r.Platform)[f.Path]
	case stepCross:
		text, ok = crossFiles(r.Platform)[f.Path]
	case stepCrossTools:
		text, ok = crossTools(r.Platform)[f.Path]
	}
	if !ok {
		return nil, false
	}
	return io.NopCloser(bytes.NewReader(text)), true
}

// scripts are retort's own files in the root file system: what steps run, and
// who the sandbox's user is, by name.
var scripts = sync.OnceValue(func() map[string][]byte {
	out := map[string][]byte{
		"etc/group":  []byte("root:x:0:\nretort:x:1000:\nnogroup:x:65534:\n"),
		"etc/passwd": []byte("root:x:0:0:root:/root:/bin/sh\nretort:x:1000:1000:retort:/home/retort:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"),
	}
	out[assetMix] = []byte("#!/bin/sh\nexec '" + strings.Join(tool("Assets"), "' '") + "' \"$@\"\n")
	files, err := mixFiles.ReadDir("mix")
	if err != nil {
		panic(err) // the program is built wrongly
	}
	for _, f := range files {
		text, err := mixFiles.ReadFile("mix/" + f.Name())
		if err != nil {
			panic(err)
		}
		out["retort/"+f.Name()] = text
	}
	return out
})

func scriptRecipe() layers.Recipe {
	return ownFiles(stepScripts, scripts(), func(name string) bool { return name == assetMix })
}

// ownFiles is the recipe of files that are part of this program.
func ownFiles(step string, texts map[string][]byte, executable func(name string) bool) layers.Recipe {
	var files []layers.SourceFile
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		f := layers.SourceFile{Path: name, Mode: 0o644, Digest: digest.FromBytes(texts[name]), Size: int64(len(texts[name]))}
		if executable(name) {
			f.Mode = 0o755
		}
		files = append(files, f)
	}
	return filesRecipe(step, files)
}

func filesRecipe(name string, files []layers.SourceFile) layers.Recipe {
	return layers.Recipe{Name: name, Kind: layers.Files, Platform: env.Any, Files: files}
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
	p = inApp(p)
	return !strings.Contains(p, "/") || strings.HasPrefix(p, "config/")
}

// isCode reports whether a source file may take part in compiling. What is
// read only when the release is assembled or run does not, and an edit of it
// compiles nothing anew.
func isCode(p string) bool {
	return p != "config/runtime.exs" && !strings.HasPrefix(p, "rel/") && !isTest(p)
}

// isTest reports whether a source file is a test, which no step reads.
func isTest(p string) bool { return strings.HasPrefix(inApp(p), "test/") }

// inApp returns the path of a file within its application of an umbrella.
func inApp(p string) string {
	if rest, ok := strings.CutPrefix(p, "apps/"); ok {
		if _, inner, ok := strings.Cut(rest, "/"); ok {
			return inner
		}
	}
	return p
}

// isConfig reports whether a source file is configuration that is evaluated
// before compiling.
func isConfig(p string) bool {
	p = inApp(p)
	return strings.HasPrefix(p, "config/") && path.Ext(p) == ".exs" && p != "config/runtime.exs"
}
