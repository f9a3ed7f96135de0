package configure

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/retort-build/retort/internal/tarball"
)

// openTrees makes the view of the packages' trees laid over one another.
func openTrees(ctx context.Context, trees []Tree) (*vfs, error) {
	v := &vfs{root: newDir(0o755), before: make(map[string]node), owned: make(map[string][]string)}
	for _, t := range trees {
		if err := ctx.Err(); err != nil {
			v.close()
			return nil, err
		}
		if err := v.addTree(t); err != nil {
			v.close()
			return nil, fmt.Errorf("read layer %s: %w", t.Dir, err)
		}
	}
	v.snapshot("", v.root)
	return v, nil
}

func (v *vfs) addTree(t Tree) error {
	root, err := os.OpenRoot(t.Dir)
	if err != nil {
		return err
	}
	v.roots = append(v.roots, root)
	entries := t.Entries
	if entries == nil {
		if entries, err = walkTree(root); err != nil {
			return err
		}
	}
	bases := make(map[string]*baseFile)
	for _, e := range entries {
		if err := v.addEntry(root, e, bases); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	v.own(entries)
	return nil
}

// own remembers whose files a tree holds, if it is that of one package.
func (v *vfs) own(entries []tarball.Entry) {
	var names, files []string
	for _, e := range entries {
		if name, ok := strings.CutPrefix(e.Path, dpkgDir[1:]+"status.d/"); ok {
			names = append(names, name)
		}
		if !strings.HasPrefix(e.Path, dpkgDir[1:]) {
			files = append(files, "/"+e.Path)
		}
	}
	if len(names) == 1 {
		v.owned[names[0]] = files
	}
}

func (v *vfs) addEntry(root *os.Root, e tarball.Entry, bases map[string]*baseFile) error {
	if !fs.ValidPath(e.Path) || e.Path == "." {
		return fmt.Errorf("not a path of a layer")
	}
	if v.nodes++; v.nodes > maxNodes {
		return fmt.Errorf("more than %d files", maxNodes)
	}
	dir := v.root
	parts := strings.Split(e.Path, "/")
	for _, part := range parts[:len(parts)-1] {
		next := dir.children[part]
		if next == nil {
			next = newDir(0o755)
			dir.children[part] = next
		}
		if next.kind != tarball.Dir {
			return fmt.Errorf("lies below a file of another layer")
		}
		dir = next
	}
	name := parts[len(parts)-1]
	old := dir.children[name]
	n := &node{kind: e.Kind, mode: e.Mode, uid: e.UID, gid: e.GID, link: e.Link}
	switch e.Kind {
	case tarball.Dir:
		if old != nil && old.kind == tarball.Dir {
			old.mode, old.uid, old.gid = e.Mode, e.UID, e.GID
			return nil
		}
		n.children = make(map[string]*node)
	case tarball.File:
		n.base = &baseFile{root, e.Path, e.Size}
		bases[e.Path] = n.base
	case tarball.Hardlink:
		n.kind, n.link, n.base = tarball.File, "", bases[e.Link]
		if n.base == nil {
			return fmt.Errorf("hard link to %q, which is no earlier file", e.Link)
		}
	case tarball.Symlink:
	default:
		return fmt.Errorf("kind %q", e.Kind)
	}
	if old != nil && old.kind == tarball.Dir {
		return fmt.Errorf("replaces a directory of another layer")
	}
	dir.children[name] = n
	return nil
}

// walkTree lists a directory as the entries of a layer; everything is root's.
func walkTree(root *os.Root) ([]tarball.Entry, error) {
	var entries []tarball.Entry
	err := fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == "." {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		e := tarball.Entry{Path: p, Mode: unixMode(fi.Mode())}
		switch {
		case fi.Mode().IsRegular():
			e.Kind, e.Size = tarball.File, fi.Size()
		case fi.IsDir():
			e.Kind = tarball.Dir
		case fi.Mode()&fs.ModeSymlink != 0:
			e.Kind, e.Mode = tarball.Symlink, 0o777
			if e.Link, err = root.Readlink(p); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s: neither file, directory nor link", p)
		}
		entries = append(entries, e)
		return nil
	})
	return entries, err
}

func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	for _, b := range []struct {
		from fs.FileMode
		to   uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&b.from != 0 {
			mode |= b.to
		}
	}
	return mode
}

// snapshot remembers what the packages ship.
func (v *vfs) snapshot(at string, dir *node) {
	for name, c := range dir.children {
		p := path.Join(at, name)
		v.before[p] = *c
		v.snapshot(p, c)
	}
}

// changes calls fn for every file that is not as packaged, and for the
// directories above it: parents first, siblings by name. It returns the
// packaged paths that are gone.
func (v *vfs) changes(fn func(tarball.Entry, io.Reader) error) ([]string, error) {
	d := differ{v: v, seen: make(map[string]bool), fn: fn}
	if err := d.dir("", v.root); err != nil {
		return nil, err
	}
	var gone []string
	for p := range v.before {
		if parent := path.Dir(p); !d.seen[p] && (parent == "." || d.seen[parent]) {
			gone = append(gone, p)
		}
	}
	slices.Sort(gone)
	return gone, nil
}

// differ compares the tree with what was packaged.
type differ struct {
	v       *vfs
	seen    map[string]bool
	pending []tarball.Entry // unchanged directories above the one at hand, not yet told
	fn      func(tarball.Entry, io.Reader) error
}

// tell passes an entry on, after the directories above it: in a mount the top
// layer's directory decides the mode, so that it must come along.
func (d *differ) tell(e tarball.Entry, content io.Reader) error {
	for _, dir := range d.pending {
		if err := d.fn(dir, nil); err != nil {
			return err
		}
	}
	d.pending = d.pending[:0]
	return d.fn(e, content)
}

func (d *differ) dir(at string, dir *node) error {
	for _, name := range sortedNames(dir.children) {
		if err := d.node(path.Join(at, name), dir.children[name]); err != nil {
			return err
		}
	}
	return nil
}

func (d *differ) node(p string, n *node) error {
	d.seen[p] = true
	old, packaged := d.v.before[p]
	same, data, err := compare(old, n)
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	e := tarball.Entry{Path: p, Kind: n.kind, Mode: n.mode, UID: n.uid, GID: n.gid, Link: n.link}
	if packaged && same {
		if n.kind != tarball.Dir {
			return nil
		}
		depth := len(d.pending)
		d.pending = append(d.pending, e)
		err := d.dir(p, n)
		d.pending = d.pending[:min(depth, len(d.pending))]
		return err
	}
	var content io.Reader
	if n.kind == tarball.File {
		e.Size = int64(len(data))
		content = bytes.NewReader(data)
	}
	if err := d.tell(e, content); err != nil {
		return err
	}
	return d.dir(p, n)
}

// compare says whether a node is what was packaged, and returns its content
// when it is not.
func compare(old node, n *node) (bool, []byte, error) {
	same := old.kind == n.kind && old.mode == n.mode && old.uid == n.uid && old.gid == n.gid && old.link == n.link
	if n.kind != tarball.File || (same && n.base != nil && n.base == old.base) {
		return same, nil, nil
	}
	data, err := n.content()
	if err != nil || !same {
		return false, data, err
	}
	was, err := old.content()
	return bytes.Equal(was, data), data, err
}
