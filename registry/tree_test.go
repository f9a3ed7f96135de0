package registry

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/internal/tarball"
)

func linked(p, target string) FileOf {
	return FileOf{Entry: tarball.Entry{Path: p, Kind: tarball.Hardlink, Mode: 0o644, Link: target}}
}

func contentOf(t *testing.T, tree Tree, p string) string {
	t.Helper()
	data, err := readFile(tree, p, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestHardLinksOutliveTheirFile(t *testing.T) {
	tree := mustFiles(t, text("a/file", "same"), linked("b/one", "a/file"), linked("c/two", "a/file"))
	got, err := Filter(tree, func(e tarball.Entry) bool { return !strings.HasPrefix(e.Path, "a/") && e.Kind != tarball.Dir })
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"b/one", "c/two"}, paths(got)); d != "" {
		t.Fatalf("paths (-want +got):\n%s", d)
	}
	if err := tarball.Check(got.Entries()); err != nil {
		t.Error(err)
	}
	if s := contentOf(t, got, "b/one"); s != "same" {
		t.Errorf("b/one holds %q", s)
	}
	moved, err := Edit(tree, func(e tarball.Entry) (tarball.Entry, bool) { // reverses the order of names
		e.Path = map[string]string{"a/file": "z", "b/one": "y", "c/two": "x"}[e.Path]
		return e, e.Path != ""
	})
	if err != nil {
		t.Fatal(err)
	}
	if s := contentOf(t, moved, "x"); s != "same" {
		t.Errorf("x holds %q", s)
	}
	if _, err := tarballDigest(moved); err != nil {
		t.Error(err)
	}
}

func tarballDigest(tree Tree) (string, error) {
	d, _, err := tarball.Digest(tree.Entries(), func(e tarball.Entry) (io.ReadCloser, error) { return tree.Open(e.Path) })
	return d.String(), err
}

func TestRelocateAndMerge(t *testing.T) {
	a, err := Relocate(mustFiles(t, text("bin/x", "1"), linked("bin/y", "bin/x")), "app")
	if err != nil {
		t.Fatal(err)
	}
	both, err := Merge(a, mustFiles(t, text("etc/z", "2")), mustFiles(t, text("etc/z", "2")))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"app/bin/x", "app/bin/y", "etc/z"}, paths(both)); d != "" {
		t.Errorf("paths (-want +got):\n%s", d)
	}
	if contentOf(t, both, "app/bin/x") != "1" || contentOf(t, both, "etc/z") != "2" {
		t.Error("contents are mixed up")
	}
	if _, err := Merge(both, mustFiles(t, text("etc/z", "3"))); err == nil || !strings.Contains(err.Error(), "etc/z") {
		t.Errorf("two versions of a file: %v", err)
	}
	if _, err := Merge(both, mustFiles(t, text("etc", "3"))); err == nil {
		t.Error("a file in the place of a directory was accepted")
	}
}

func TestTreesOpenOnlyTheirFiles(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "inside"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "outside")); err != nil {
		t.Fatal(err)
	}
	tree := Dir(dir, nil)
	if s := contentOf(t, tree, "inside"); s != "x" {
		t.Errorf("inside holds %q", s)
	}
	for _, p := range []string{"outside", "../" + filepath.Base(dir) + "/inside"} {
		if r, err := tree.Open(p); err == nil {
			r.Close()
			t.Errorf("%s was opened", p)
		}
	}
	for _, tree := range []Tree{tree, mustFiles(t, text("a", "b")), merged{}, edited{}} {
		if _, err := tree.Open("absent"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open absent file: %v", err)
		}
	}
}
