package registry

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
)

// Tree is a read-only file tree.
type Tree interface {
	// Entries returns a canonical tree, as tarball.Check defines it. The
	// caller must not change it.
	Entries() []tarball.Entry
	// Open returns the content of the entry of kind File at path; other paths
	// give an error that is fs.ErrNotExist. The caller closes the reader. Open
	// is safe for concurrent use.
	Open(path string) (io.ReadCloser, error)
}

// Dir is the tree of entries whose contents lie below the directory root, as
// in the store. Nothing outside root is opened, whatever links lie below it.
func Dir(root string, entries []tarball.Entry) Tree { return dirTree{root, entries} }

type dirTree struct {
	root    string
	entries []tarball.Entry
}

func (t dirTree) Entries() []tarball.Entry { return t.entries }

func (t dirTree) Open(p string) (io.ReadCloser, error) {
	f, err := os.OpenInRoot(t.root, p)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, err)
	}
	return f, nil
}

// Opened is the tree of entries whose contents open gives.
func Opened(entries []tarball.Entry, open func(path string) (io.ReadCloser, error)) Tree {
	return openTree{entries, open}
}

type openTree struct {
	entries []tarball.Entry
	open    func(string) (io.ReadCloser, error)
}

func (t openTree) Entries() []tarball.Entry             { return t.entries }
func (t openTree) Open(p string) (io.ReadCloser, error) { return t.open(p) }

// FileOf is a file made in memory, with the kind, mode and owner of Entry.
// Size and Digest are computed.
type FileOf struct {
	tarball.Entry
	Content string
}

// Files is a tree of files made in memory. Missing directories are added.
func Files(files ...FileOf) (Tree, error) {
	contents := make(map[string]string, len(files))
	entries := make([]tarball.Entry, 0, len(files))
	for _, f := range files {
		e := f.Entry
		if e.Kind == tarball.File {
			e.Size, e.Digest = int64(len(f.Content)), digest.FromString(f.Content)
			contents[e.Path] = f.Content
		}
		entries = append(entries, e)
	}
	entries, err := tarball.Normalise(entries)
	if err != nil {
		return nil, fmt.Errorf("make tree: %w", err)
	}
	return openTree{entries, func(p string) (io.ReadCloser, error) {
		content, ok := contents[p]
		if !ok {
			return nil, notExist(p)
		}
		return io.NopCloser(strings.NewReader(content)), nil
	}}, nil
}

func notExist(p string) error { return &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist} }

// An edit is a tree of which some entries were renamed, changed or left out.
type edited struct {
	entries []tarball.Entry
	from    map[string]string // path of a File here: its path in base
	base    Tree
}

func (t edited) Entries() []tarball.Entry { return t.entries }

func (t edited) Open(p string) (io.ReadCloser, error) {
	from, ok := t.from[p]
	if !ok {
		return nil, notExist(p)
	}
	return t.base.Open(from)
}

// Edit returns t with every entry as change gives it, or without it if keep is
// false. A hard link outlives the name that it was linked to. Missing
// directories are added.
func Edit(t Tree, change func(tarball.Entry) (e tarball.Entry, keep bool)) (Tree, error) {
	out := edited{from: make(map[string]string), base: t}
	renamed := make(map[string]string)      // path of a File in t: its first path in out
	files := make(map[string]tarball.Entry) // path of a File in t: the File
	for _, e := range t.Entries() {
		source := e.Path
		if e.Kind == tarball.File {
			files[e.Path] = e
		}
		if e.Kind == tarball.Hardlink {
			source = e.Link
			e.Size, e.Digest, e.Xattrs = files[source].Size, files[source].Digest, files[source].Xattrs
		}
		link := e.Kind == tarball.Hardlink
		if link { // shown to change as the file that it is
			e.Kind, e.Link = tarball.File, ""
		}
		e, keep := change(e)
		if !keep {
			continue
		}
		if e.Kind == tarball.File {
			if first, ok := renamed[source]; ok && link {
				e = tarball.Entry{Path: e.Path, Kind: tarball.Hardlink, Mode: e.Mode, UID: e.UID, GID: e.GID, Link: first}
			} else {
				renamed[source] = e.Path
				out.from[e.Path] = source
			}
		}
		out.entries = append(out.entries, e)
	}
	entries, err := tarball.Normalise(out.entries)
	if err != nil {
		return nil, fmt.Errorf("edit tree: %w", err)
	}
	// Normalise may have chosen another name of a hard-linked set as the file.
	for _, e := range entries {
		if e.Kind != tarball.Hardlink {
			continue
		}
		if from, ok := out.from[e.Path]; ok {
			out.from[e.Link] = from
			delete(out.from, e.Path)
		}
	}
	out.entries = entries
	return out, nil
}

// Filter returns the part of t that keep accepts, and the directories above it.
func Filter(t Tree, keep func(tarball.Entry) bool) (Tree, error) {
	return Edit(t, func(e tarball.Entry) (tarball.Entry, bool) { return e, keep(e) })
}

// Relocate returns t below the directory prefix.
func Relocate(t Tree, prefix string) (Tree, error) {
	return Edit(t, func(e tarball.Entry) (tarball.Entry, bool) {
		e.Path = path.Join(prefix, e.Path)
		return e, true
	})
}

type merged struct {
	entries []tarball.Entry
	owner   map[string]Tree // path of a File: the tree that has it
}

func (t merged) Entries() []tarball.Entry { return t.entries }

func (t merged) Open(p string) (io.ReadCloser, error) {
	owner, ok := t.owner[p]
	if !ok {
		return nil, notExist(p)
	}
	return owner.Open(p)
}

// Merge returns the union of trees. Directories may meet, the later one's mode
// and owner winning; so may entries which are the same. Anything else at one
// path is an error.
func Merge(trees ...Tree) (Tree, error) {
	out := merged{owner: make(map[string]Tree)}
	at := make(map[string]int)
	for _, t := range trees {
		for _, e := range t.Entries() {
			if i, ok := at[e.Path]; ok {
				have := out.entries[i]
				if have.Kind == tarball.Dir && e.Kind == tarball.Dir {
					out.entries[i] = e
					continue
				}
				if !same(have, e) {
					return nil, fmt.Errorf("merge trees: %s differs between two of them", e.Path)
				}
				continue
			}
			at[e.Path] = len(out.entries)
			out.entries = append(out.entries, e)
			if e.Kind == tarball.File {
				out.owner[e.Path] = t
			}
		}
	}
	entries, err := tarball.Normalise(out.entries)
	if err != nil {
		return nil, fmt.Errorf("merge trees: %w", err)
	}
	out.entries = entries
	return out, nil
}

func same(a, b tarball.Entry) bool {
	return a.Kind == b.Kind && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID &&
		a.Size == b.Size && a.Digest == b.Digest && a.Link == b.Link && maps.Equal(a.Xattrs, b.Xattrs)
}

// readFile returns the content of a small file of t.
func readFile(t Tree, p string, limit int64) ([]byte, error) {
	r, err := t.Open(p)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var b bytes.Buffer
	if n, err := io.Copy(&b, io.LimitReader(r, limit+1)); err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	} else if n > limit {
		return nil, fmt.Errorf("read %s: more than %d bytes", p, limit)
	}
	return b.Bytes(), nil
}
