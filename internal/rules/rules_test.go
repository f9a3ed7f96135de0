// Package rules holds the architecture of the project as a test.
package rules

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/retort-build/retort/"

// forbidden lists, for each stage, what it must not import: data flows
// env -> layers -> builder, and env, layers -> registry; cmd sees all.
var forbidden = map[string][]string{
	"env":      {"layers", "builder", "registry", "cmd"},
	"layers":   {"builder", "registry", "cmd"},
	"registry": {"builder", "cmd"},
	"builder":  {"registry", "cmd"},
	"internal": {"builder", "registry", "cmd", "layers"},
}

// fenced names the only folders whose shipped code may import a heavy library.
var fenced = map[string][]string{
	"github.com/containerd/containerd/":       {"layers"},
	"github.com/google/go-containerregistry/": {"registry"},
	"github.com/ProtonMail/go-crypto/":        {"env/debian", "env/upstream", "internal/fixture"},
	"mvdan.cc/sh/":                            {"layers/configure", "registry"}, // registry: env.sh of a release
	"github.com/BurntSushi/toml":              {"env", "cmd/retort"},
	"golang.org/x/term":                       {"cmd/retort", "builder/sandbox"},
	"github.com/therootcompany/xz":            {"layers/deb", "env/debian", "builder", "internal/fixture"}, // builder: source releases
	"github.com/klauspost/compress/":          {"layers/deb", "env/debian", "env/hex", "registry", "internal/fixture"},
}

func TestImportDirection(t *testing.T) {
	eachFile(t, func(file, folder string, imports []string, test bool) {
		stage, _, _ := strings.Cut(folder, "/")
		for _, path := range imports {
			rest, ours := strings.CutPrefix(path, module)
			if !ours || test {
				continue
			}
			target, _, _ := strings.Cut(rest, "/")
			for _, bad := range forbidden[stage] {
				if target == bad && !strings.HasPrefix(folder, "internal/fixture") {
					t.Errorf("%s: %s imports %s", file, stage, rest)
				}
			}
		}
	})
}

func TestHeavyLibrariesAreFenced(t *testing.T) {
	eachFile(t, func(file, folder string, imports []string, test bool) {
		if test {
			return
		}
		for _, path := range imports {
			for library, folders := range fenced {
				if strings.HasPrefix(path, library) && !within(folder, folders) {
					t.Errorf("%s: imports %s, which belongs to %v", file, path, folders)
				}
			}
		}
	})
}

func within(folder string, allowed []string) bool {
	for _, a := range allowed {
		if folder == a || strings.HasPrefix(folder, a+"/") {
			return true
		}
	}
	return false
}

// eachFile calls f for every Go file of the module.
func eachFile(t *testing.T, f func(file, folder string, imports []string, test bool)) {
	t.Helper()
	root := "../.."
	seen := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			top, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
			if rel != "." && !within(top, []string{"cmd", "env", "layers", "builder", "registry", "internal"}) || d.Name() == "testdata" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		seen++
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, name)
		}
		f(rel, filepath.ToSlash(filepath.Dir(rel)), imports, strings.HasSuffix(path, "_test.go"))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 50 {
		t.Fatalf("saw only %d Go files: the walk is wrong", seen)
	}
}
