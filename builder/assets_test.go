package builder

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/npm"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/internal/tarball"
	"github.com/retort-build/retort/layers"
)

func TestAssetPlan(t *testing.T) {
	app, project := shop()
	root, err := app.Root(Need{})
	if err != nil {
		t.Fatal(err)
	}
	tree := npm.Tree{
		Packages: []npm.Package{{Path: "assets/node_modules/a", Name: "a", Version: "1.0.0", Integrity: digest.SHA512.FromString("a"), Executables: []string{"a.js"}}},
		Links:    []npm.Link{{Path: "assets/node_modules/.bin/a", Target: "../a/a.js"}},
	}
	tool := ToolRecipe(env.AssetTool{Name: "esbuild", File: "package/bin/esbuild", Path: "_build/esbuild-linux-x64"}, env.Tool{Platform: env.LinuxAMD64, Digest: digest.FromString("esbuild"), Size: 7})
	app.Assets = &Assets{
		Root: root, Below: append(NPMRecipes("assets", tree), tool), Scripts: []string{"assets/node_modules/a"},
		Run: []string{"mix assets.deploy"}, Outputs: []string{"priv/static"},
	}
	plan, err := app.ReleasePlan(project, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Check(); err != nil {
		t.Fatal(err)
	}
	assets, _ := plan.Recipe(StepAssets)
	for _, in := range []string{"npm:assets/node_modules/a", "npm:assets/links", "tool:esbuild", stepCode, StepCompile} {
		if !slices.Contains(assets.Work, in) {
			t.Errorf("assets reads %v, not %s", assets.Work, in)
		}
	}
	if slices.Contains(assets.Work, stepRest) {
		t.Error("assets reads what only a release reads")
	}
	if i := slices.IndexFunc(assets.Env, func(kv string) bool { return strings.HasPrefix(kv, "PATH=/retort/bin:") }); i < 0 {
		t.Errorf("assets has no mix of its own: %v", assets.Env)
	}
	scripts, _ := plan.Recipe(stepScripts)
	for _, f := range scripts.Files {
		if program := f.Path == assetMix; program != (f.Mode == 0o755) {
			t.Errorf("%s has mode %o", f.Path, f.Mode)
		}
	}
	release, _ := plan.Recipe(StepRelease)
	if slices.Index(release.Work, StepAssets) != len(release.Work)-1 {
		t.Errorf("release reads %v: the assets do not lie over the rest", release.Work)
	}
	for _, in := range release.Work {
		if strings.HasPrefix(in, "npm:") || strings.HasPrefix(in, "tool:") {
			t.Errorf("release reads %s", in)
		}
	}
	compile, _ := plan.Recipe(StepCompile)
	for _, in := range compile.InputNames() {
		if strings.HasPrefix(in, "npm:") || strings.HasPrefix(in, "tool:") {
			t.Errorf("compile reads %s", in)
		}
	}
	app.Assets.Files = []layers.SourceFile{file("assets/app.js")}
	if plan, err = app.ReleasePlan(project, "shop"); err != nil {
		t.Fatal(err)
	}
	if assets, _ = plan.Recipe(StepAssets); slices.Contains(assets.Work, stepCode) || !slices.Contains(assets.Work, "source:assets") {
		t.Errorf("with inputs, assets reads %v", assets.Work)
	}
}

// packed makes a .tar.gz of names and contents; a name that ends in a slash is
// a folder, content that begins with "-> " a symbolic link.
func packed(t testing.TB, files ...[2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range files {
		h := tar.Header{Typeflag: tar.TypeReg, Name: f[0], Size: int64(len(f[1])), Mode: 0o640}
		if strings.HasSuffix(f[0], "/") {
			h.Typeflag = tar.TypeDir
		} else if to, ok := strings.CutPrefix(f[1], "-> "); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, to, 0
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, f[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// taken is a sink that remembers.
type taken map[string]string

func (s taken) Add(e tarball.Entry, content io.Reader) error {
	var data []byte
	if e.Kind == tarball.File {
		var err error
		if data, err = io.ReadAll(content); err != nil {
			return err
		}
	}
	s[e.Path] = fmt.Sprintf("%c %o %s%s", e.Kind, e.Mode, e.Link, data)
	return nil
}

func TestToolFrom(t *testing.T) {
	archive := packed(t, [2]string{"sass/", ""}, [2]string{"sass/sass", "#!"}, [2]string{"sass/src/", ""}, [2]string{"sass/src/dart", "ELF"}, [2]string{"sass/src/lib", "-> ../sass"}, [2]string{"out", "-> ../x"}, [2]string{"bad/l", "-> ../../x"})
	for _, tt := range []struct {
		file string
		want taken
		err  string
	}{
		{"sass/src/dart", taken{"": "f 755 ELF"}, ""},
		{"sass", taken{"sass": "f 644 #!", "src": "d 755 ", "src/dart": "f 644 ELF", "src/lib": "l 777 ../sass"}, ""},
		{"esbuild", nil, "the archive has no esbuild: it has sass, sass/sass, sass/src, sass/src/dart, sass/src/lib"},
		{"out", nil, "the archive has no out"},
		{"bad", nil, "leads out of the folder"},
	} {
		got := taken{}
		err := toolFrom(bytes.NewReader(archive), tt.file, got)
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v, want %q", tt.file, err, tt.err)
		}
		if diff := cmp.Diff(tt.want, got); tt.want != nil && diff != "" {
			t.Errorf("%s: %s", tt.file, diff)
		}
	}
	if err := toolFrom(strings.NewReader("#!/bin/sh"), "x", taken{}); err == nil || !strings.Contains(err.Error(), "a plain program goes without file") {
		t.Error(err)
	}
}

func FuzzToolFrom(f *testing.F) {
	f.Add(packed(f, [2]string{"a/", ""}, [2]string{"a/b", "x"}, [2]string{"a/l", "-> b"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		got := taken{}
		if toolFrom(bytes.NewReader(data), "a", got) != nil {
			return
		}
		for name := range got {
			if at := path.Join("tool", name); at != "tool" && !strings.HasPrefix(at, "tool/") {
				t.Fatalf("%q", name)
			}
		}
	})
}

// serveBytes gives every recipe the same bytes.
type serveBytes struct {
	data  []byte
	asked atomic.Int64
}

func (s *serveBytes) Fetch(_ context.Context, _ *layers.Recipe, to fetch.Sink, _ func(int64)) error {
	s.asked.Add(1)
	_, err := to.Write(s.data)
	return err
}

func TestRealiseNPM(t *testing.T) {
	store, err := layers.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	data := packed(t, [2]string{"package/package.json", "{}"}, [2]string{"package/cli.js", "#!/usr/bin/env node\r\n1\n"})
	tree := npm.Tree{
		Packages: []npm.Package{
			{Path: "assets/node_modules/a", Name: "a", Version: "1.0.0", Integrity: digest.SHA512.FromBytes(data), Executables: []string{"cli.js"}},
			{Path: "assets/node_modules/b", Name: "b", Version: "1.0.0", Integrity: digest.SHA512.FromBytes(data)},
		},
		Links: []npm.Link{{Path: "assets/node_modules/.bin/a", Target: "../a/cli.js"}},
	}
	served := &serveBytes{data: data}
	b := &Builder{Store: store, Fetcher: served}
	plan := layers.Plan{Recipes: NPMRecipes("assets", tree)}
	if _, err := b.Realise(t.Context(), layers.Plan{Recipes: plan.Recipes[:1]}); err != nil {
		t.Fatal(err)
	}
	got, err := b.Realise(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if n := served.asked.Load(); n != 1 {
		t.Errorf("one tarball was fetched %d times", n)
	}
	entries, err := store.Entries(t.Context(), got["npm:assets/node_modules/a"])
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, fmt.Sprintf("%c %o %s", e.Kind, e.Mode, e.Path))
	}
	want := "d 755 assets\nd 755 assets/node_modules\nd 755 assets/node_modules/a\nf 755 assets/node_modules/a/cli.js\nf 644 assets/node_modules/a/package.json"
	if diff := cmp.Diff(want, strings.Join(list, "\n")); diff != "" {
		t.Error(diff)
	}
	if to, err := os.Readlink(filepath.Join(store.Path(got["npm:assets/links"]), "assets/node_modules/.bin/a")); to != "../a/cli.js" {
		t.Errorf("link to %q, %v", to, err)
	}
	// What is served instead is refused, whatever the fetcher thinks of it.
	other, err := layers.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	served.data = append(slices.Clone(data), 0)
	b = &Builder{Store: other, Fetcher: served}
	if _, err := b.Realise(t.Context(), plan); err == nil || !strings.Contains(err.Error(), "digest: digest mismatch: want sha512:") {
		t.Error(err)
	}
}
