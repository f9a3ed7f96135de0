package builder

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestDropCopies(t *testing.T) {
	dir := t.TempDir()
	put := func(path, content string) {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("low/priv/a/same", "same")
	put("low/priv/changed", "before")
	put("lowest/priv/changed", "after") // what lies below another is not seen
	put("lowest/priv/b/deep/same", "x")
	put("upper/priv/a/same", "same")
	put("upper/priv/changed", "after")
	put("upper/priv/b/deep/same", "x")
	put("upper/priv/b/new", "new")
	put("upper/lib/same", "same")
	put("low/lib/same", "same")
	if err := os.MkdirAll(filepath.Join(dir, "upper/priv/empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	w := &Work{Upper: filepath.Join(dir, "upper"), Lowers: []string{filepath.Join(dir, "low"), filepath.Join(dir, "lowest")}}
	if err := dropCopies(w, "lib"); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := filepath.WalkDir(w.Upper, func(path string, _ os.DirEntry, err error) error {
		rel, _ := filepath.Rel(w.Upper, path)
		got = append(got, rel)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{".", "lib", "lib/same", "priv", "priv/b", "priv/b/new", "priv/changed", "priv/empty"}
	if !slices.Equal(got, want) {
		t.Errorf("left %q, want %q", got, want)
	}
}
