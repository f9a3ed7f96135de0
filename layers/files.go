package layers

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-build/retort/internal/tarball"
)

// checkNames reports what a directory holds beyond or short of names.
func checkNames(dir string, names ...string) []string {
	found, err := os.ReadDir(dir)
	if err != nil {
		return []string{err.Error()}
	}
	var what []string
	for _, f := range found {
		if !slices.Contains(names, f.Name()) {
			what = append(what, fmt.Sprintf("holds %q", f.Name()))
		}
	}
	if len(found) < len(names) {
		what = append(what, "is not complete")
	}
	return what
}

// checkFiles compares the names, kinds, modes, sizes, targets and times below
// dir with entries, and reports each difference. It reads no contents.
func checkFiles(dir string, entries []tarball.Entry) []string {
	want := make(map[string]tarball.Entry, len(entries))
	for _, e := range entries {
		want[e.Path] = e
	}
	var what []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if p == dir {
			return nil
		}
		rel := p[len(dir)+1:]
		e, ok := want[rel]
		if !ok {
			what = append(what, fmt.Sprintf("extra file %q", rel))
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		delete(want, rel)
		fi, err := d.Info()
		if err != nil {
			return err
		}
		if diff := checkFile(dir, e, fi); diff != "" {
			what = append(what, fmt.Sprintf("file %q: %s", rel, diff))
		}
		return nil
	})
	if err != nil {
		what = append(what, err.Error())
	}
	for _, e := range entries {
		if _, ok := want[e.Path]; ok {
			what = append(what, fmt.Sprintf("missing file %q", e.Path))
		}
	}
	return what
}

func checkFile(dir string, e tarball.Entry, fi fs.FileInfo) string {
	kinds := map[tarball.Kind]fs.FileMode{tarball.File: 0, tarball.Hardlink: 0, tarball.Dir: fs.ModeDir, tarball.Symlink: fs.ModeSymlink}
	if fi.Mode().Type() != kinds[e.Kind] {
		return fmt.Sprintf("is a %s", fi.Mode().Type())
	}
	if !fi.ModTime().Equal(tarball.Epoch) {
		return fmt.Sprintf("has time %s", fi.ModTime().UTC())
	}
	const special = fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	if want := fs.FileMode(diskMode(e)); e.Kind != tarball.Symlink && fi.Mode()&(fs.ModePerm|special) != want {
		return fmt.Sprintf("has mode %s, want %s", fi.Mode(), want)
	}
	switch e.Kind {
	case tarball.Symlink:
		if link, err := os.Readlink(dir + "/" + e.Path); err != nil || link != e.Link {
			return fmt.Sprintf("leads to %q, want %q", link, e.Link)
		}
	case tarball.File:
		if fi.Size() != e.Size {
			return fmt.Sprintf("has %d bytes, want %d", fi.Size(), e.Size)
		}
	case tarball.Hardlink:
		if first, err := os.Lstat(dir + "/" + e.Link); err != nil || !os.SameFile(first, fi) {
			return fmt.Sprintf("is not the same file as %q", e.Link)
		}
	}
	return ""
}
