package npm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/internal/tarball"
)

// TestNPMCI lays out real packages and compares every file, mode and link with
// what `npm ci --ignore-scripts` makes of the same lock.
func TestNPMCI(t *testing.T) {
	if os.Getenv("RETORT_E2E") != "1" {
		t.Skip("fetches packages with the real npm: set RETORT_E2E=1")
	}
	for _, tt := range []struct{ name, project string }{
		{"links, aliases, platforms", `{
			"dependencies": {"local": "file:./local", "mustache": "4.2.0", "is-odd-alias": "npm:is-odd@3.0.1", "yaml-old": "npm:js-yaml@3.14.1"},
			"devDependencies": {"esbuild": "0.25.4", "rimraf": "5.0.10", "chokidar": "3.6.0"}
		}`},
		{"Phoenix 1.6 and older", `{
			"dependencies": {"topbar": "1.0.1"},
			"devDependencies": {"autoprefixer": "10.4.20", "postcss": "8.4.49", "postcss-cli": "11.0.0", "tailwindcss": "3.4.17", "sass": "1.83.0"}
		}`},
		{"bundled", `{"dependencies": {"npm-bundled-user": "npm:npm@10.9.2", "local": "file:./local"}, "workspaces": ["packages/*"]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			theirs := filepath.Join(t.TempDir(), "assets")
			files := map[string]string{
				"package.json":            tt.project,
				"local/package.json":      `{"name": "local", "version": "1.0.0", "bin": {"local-program": "run.js"}, "dependencies": {"ms": "2.0.0"}}`,
				"local/run.js":            "#!/usr/bin/env node\n",
				"packages/p/package.json": `{"name": "p", "version": "0.1.0", "dependencies": {"ms": "2.1.3"}, "devDependencies": {"he": "1.2.0"}}`,
			}
			for name, text := range files {
				name = filepath.Join(theirs, name)
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			run(t, theirs, "npm", "install", "--package-lock-only", "--ignore-scripts")
			run(t, theirs, "npm", "ci", "--ignore-scripts")
			ours := filepath.Join(t.TempDir(), "ours")
			n := layOut(t, filepath.Join(theirs, "package-lock.json"), ours)
			want, got := listing(t, filepath.Dir(theirs)), listing(t, ours)
			if n < 4 || len(want) < 10 {
				t.Fatalf("%d packages, %d files: this test proves nothing", n, len(want))
			}
			t.Logf("%d packages, %d files", n, len(want))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s%s", name, args, err, out, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// layOut does with a lock what retort does, below dir, and counts packages.
func layOut(t *testing.T, lock, dir string) int {
	t.Helper()
	data, err := os.ReadFile(lock)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse("package-lock.json", data)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := parsed.Tree("assets", env.Platform("linux/"+runtime.GOARCH))
	if err != nil {
		t.Fatal(err)
	}
	registry := Registry{Base: run(t, dir[:strings.LastIndexByte(dir, '/')], "npm", "config", "get", "registry")}
	client := &fetch.Client{}
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(4)
	for _, p := range tree.Packages {
		group.Go(func() error { return unpackTo(ctx, client, registry, p, filepath.Join(dir, p.Path)) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	for _, l := range tree.Links {
		at := filepath.Join(dir, l.Path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(l.Target, at); err != nil {
			t.Fatal(err)
		}
	}
	return len(tree.Packages)
}

func unpackTo(ctx context.Context, client *fetch.Client, registry Registry, p Package, dir string) error {
	var body fetch.Buffer
	urls, err := registry.Locate(p.URL)
	if err != nil {
		return err
	}
	req := fetch.Request{URLs: urls, Digest: p.Integrity, MaxSize: MaxTarball}
	if _, err := client.Get(ctx, req, &body); err != nil {
		return fmt.Errorf("%s@%s: %w", p.Name, p.Version, err)
	}
	return Unpack(ctx, bytes.NewReader(body.Bytes()), int64(body.Len()), Want{Integrity: p.Integrity, Executables: p.Executables}, folder(dir))
}

// folder is a sink that writes files.
type folder string

func (f folder) Add(e tarball.Entry, content io.Reader) error {
	at := filepath.Join(string(f), e.Path)
	if e.Kind == tarball.Dir {
		return os.MkdirAll(at, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	w, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fs.FileMode(e.Mode))
	if err != nil {
		return err
	}
	defer w.Close()
	_, err = io.Copy(w, content)
	return err
}

// listing describes what lies in folders node_modules, but for npm's note to
// itself of what it did.
func listing(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		if !strings.Contains("/"+rel, "/node_modules/") || path.Base(rel) == ".package-lock.json" || d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			to, err := os.Readlink(name)
			out[rel] = "-> " + to
			return err
		}
		data, err := os.ReadFile(name)
		out[rel] = fmt.Sprintf("%o %x", info.Mode().Perm(), sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
