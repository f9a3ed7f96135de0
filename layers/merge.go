package layers

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
)

// ViewLayer is one layer of a view.
type ViewLayer struct {
	Layer
	// Override lets the layer replace what layers before it have at the same
	// path. Without it, a difference is an error.
	Override bool
}

// ConflictError says that two layers of a view have different things at a path.
type ConflictError struct {
	Path        string
	Below       digest.Digest // DiffID of the layer that had the path first
	Above       digest.Digest
	BelowIs, Is string // what each has there
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("path %s: layer %s has %s, layer %s has %s", e.Path, e.Below, e.BelowIs, e.Above, e.Is)
}

// merged is one path of a view: an entry, the layer it is from, and for hard
// links the file they name.
type merged struct {
	tarball.Entry
	from int           // index of the layer
	file tarball.Entry // the entry itself, or the file of a hard link
}

// same reports whether two layers agree about a path.
func (m merged) same(o merged) bool {
	a, b := m.file, o.file
	return a.Kind == b.Kind && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID &&
		a.Digest == b.Digest && a.Link == b.Link && maps.Equal(a.Xattrs, b.Xattrs)
}

func (m merged) describe() string {
	e := m.file
	what := map[tarball.Kind]string{tarball.Dir: "a directory", tarball.Symlink: "a symlink to " + e.Link, tarball.File: "a file " + string(e.Digest)}[e.Kind]
	return fmt.Sprintf("%s (mode %04o, owner %d:%d)", what, e.Mode, e.UID, e.GID)
}

// mergeTrees overlays the entries of layers, lowest first, and returns the
// result in order of path.
//
// Directories join; the lowest keeps its mode, as in dpkg, unless the later
// layer overrides. Two layers may have the same file. Anything else at a taken
// path is a *ConflictError, or replaces what is there if the layer overrides.
// A directory never replaces a symlink to one: the layers mean the same place,
// and a process would find half of the files at each.
func mergeTrees(ls []ViewLayer, trees [][]tarball.Entry) ([]merged, error) {
	total := 0
	for _, tree := range trees {
		total = max(total, len(tree))
	}
	all := make(map[string]merged, 2*total)
	for i, tree := range trees {
		files := make(map[string]tarball.Entry)
		for _, e := range tree {
			m := merged{Entry: e, from: i, file: e}
			switch e.Kind {
			case tarball.File:
				files[e.Path] = e
			case tarball.Hardlink:
				m.file = files[e.Link]
			}
			if err := mergeEntry(all, m, ls); err != nil {
				return nil, err
			}
		}
	}
	out := slices.Collect(maps.Values(all))
	slices.SortFunc(out, func(a, b merged) int { return cmp.Compare(a.Path, b.Path) })
	return out, nil
}

func mergeEntry(all map[string]merged, m merged, ls []ViewLayer) error {
	old, taken := all[m.Path]
	if !taken {
		return mergeNew(all, m, ls)
	}
	override := ls[m.from].Override
	if m.Kind == tarball.Dir && old.Kind == tarball.Dir {
		if override {
			all[m.Path] = m
		}
		return nil
	}
	if m.same(old) {
		return nil // the lowest layer's inode serves all
	}
	conflict := &ConflictError{
		Path: m.Path, Below: ls[old.from].DiffID, BelowIs: old.describe(),
		Above: ls[m.from].DiffID, Is: m.describe(),
	}
	if !override || m.Kind == tarball.Dir && old.Kind == tarball.Symlink && leadsToDir(all, m.Path) {
		return conflict
	}
	if old.Kind == tarball.Dir {
		removeBelow(all, m.Path)
	}
	all[m.Path] = m
	return nil
}

// mergeNew adds a path that is free. Its parent may have become something else
// than a directory only if the layer itself lacks the parent, which canonical
// trees do not.
func mergeNew(all map[string]merged, m merged, ls []ViewLayer) error {
	up := path.Dir(m.Path)
	if up != "." {
		if parent, ok := all[up]; !ok || parent.Kind != tarball.Dir {
			return fmt.Errorf("layer %s: %s has no parent directory", ls[m.from].DiffID, m.Path)
		}
	}
	all[m.Path] = m
	return nil
}

func removeBelow(all map[string]merged, dir string) {
	for p := range all {
		if strings.HasPrefix(p, dir+"/") {
			delete(all, p)
		}
	}
}

// leadsToDir follows the symlink at p within the view.
func leadsToDir(all map[string]merged, p string) bool {
	todo := strings.Split(p, "/")
	at := ""
	for hops := 0; len(todo) > 0; {
		c := todo[0]
		todo = todo[1:]
		switch c {
		case "", ".":
			continue
		case "..":
			at = strings.TrimPrefix(path.Dir("/"+at), "/")
			continue
		}
		next := path.Join(at, c)
		m, ok := all[next]
		switch {
		case !ok:
			return false
		case m.Kind == tarball.Dir:
			at = next
		case m.Kind == tarball.Symlink:
			if hops++; hops > 40 { // the kernel's limit
				return false
			}
			if strings.HasPrefix(m.Link, "/") {
				at = ""
			}
			todo = append(strings.Split(m.Link, "/"), todo...)
		default:
			return false
		}
	}
	return true
}
