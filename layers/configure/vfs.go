package configure

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"sync"
	"syscall"

	"github.com/retort-build/retort/internal/tarball"
)

const (
	maxLinks    = 40        // symbolic links followed in one look-up, as Linux does
	maxFileRead = 256 << 20 // largest file a script may read
	maxWritten  = 256 << 20 // bytes that all scripts together may write
	maxNodes    = 4 << 20
)

// node is a file of the virtual tree. Nodes are changed by replacing their
// fields under the tree's lock; content slices are never written in place.
type node struct {
	kind     tarball.Kind
	mode     uint32
	uid, gid int
	link     string
	children map[string]*node // of directories
	base     *baseFile        // content as packaged; nil once written
	data     []byte           // content as written
}

// baseFile is where the content of a packaged file lies.
type baseFile struct {
	root *os.Root
	path string
	size int64
}

// vfs is a copy-on-write view of the packages' trees. Nothing it does changes
// a file on disk. Paths are absolute or taken from the root.
type vfs struct {
	mu      sync.Mutex
	root    *node
	before  map[string]node // what the packages ship, by path without a leading slash
	roots   []*os.Root
	owned   map[string][]string // what each package ships, where its tree is its own
	written int64
	nodes   int
}

func newDir(mode uint32) *node {
	return &node{kind: tarball.Dir, mode: mode, children: make(map[string]*node)}
}

func (v *vfs) close() {
	for _, r := range v.roots {
		r.Close()
	}
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// walk finds the directory that holds the last component of name, and the
// component itself, which need not exist. With follow, links are resolved to
// their end. The node is nil where nothing is there.
func (v *vfs) walk(name string, follow bool) (dir *node, base string, n *node, err error) {
	stack := []*node{v.root}
	rest := strings.Split(name, "/")
	links := 0
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		dir = stack[len(stack)-1]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
			continue
		}
		child := dir.children[part]
		last := lastPart(rest)
		if child != nil && child.kind == tarball.Symlink && (!last || follow || endsInSlash(rest)) {
			if links++; links > maxLinks {
				return nil, "", nil, syscall.ELOOP
			}
			if strings.HasPrefix(child.link, "/") {
				stack = stack[:1]
			}
			rest = append(strings.Split(child.link, "/"), rest...)
			continue
		}
		if last {
			return dir, part, child, nil
		}
		if child == nil {
			return nil, "", nil, syscall.ENOENT
		}
		if child.kind != tarball.Dir {
			return nil, "", nil, syscall.ENOTDIR
		}
		stack = append(stack, child)
	}
	// The path ended in a directory that is there: "/", ".." or a link to one.
	n = stack[len(stack)-1]
	if len(stack) > 1 {
		dir = stack[len(stack)-2]
		for name, c := range dir.children {
			if c == n {
				return dir, name, n, nil
			}
		}
	}
	return nil, "", n, nil
}

// lastPart says that nothing but slashes and dots follows.
func lastPart(rest []string) bool {
	for _, p := range rest {
		if p != "" && p != "." {
			return false
		}
	}
	return true
}

func endsInSlash(rest []string) bool { return len(rest) > 0 }

// find returns a copy of the node at a path.
func (v *vfs) find(name string, follow bool) (node, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, _, n, err := v.walk(name, follow)
	if err == nil && n == nil {
		err = syscall.ENOENT
	}
	if err != nil {
		return node{}, pathError("stat", name, err)
	}
	return *n, nil
}

func (v *vfs) exists(name string) bool { _, err := v.find(name, true); return err == nil }

func (v *vfs) isDir(name string) bool {
	n, err := v.find(name, true)
	return err == nil && n.kind == tarball.Dir
}

// list returns the sorted names in a directory.
func (v *vfs) list(name string) ([]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, _, n, err := v.walk(name, true)
	switch {
	case err != nil:
	case n == nil:
		err = syscall.ENOENT
	case n.kind != tarball.Dir:
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathError("list", name, err)
	}
	return sortedNames(n.children), nil
}

func sortedNames(children map[string]*node) []string {
	names := make([]string, 0, len(children))
	for name := range children {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// content reads a whole file.
func (n node) content() ([]byte, error) {
	if n.base == nil {
		return n.data, nil
	}
	if n.base.size > maxFileRead {
		return nil, syscall.EFBIG
	}
	f, err := n.base.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, n.base.size)
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, fmt.Errorf("%s: shorter than the layer says: %w", n.base.path, err)
	}
	return b, nil
}

// open opens the packaged content, which a symbolic link must not stand for.
func (b *baseFile) open() (*os.File, error) {
	f, err := b.root.OpenFile(b.path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		// Not wrapped: the layer lacks what it says it has, which must not pass
		// for a file that does not exist.
		return nil, fmt.Errorf("open packaged file: %v", err) //nolint:errorlint
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("%s: not the file that the layer has", b.path)
	}
	return f, nil
}

func (v *vfs) readFile(name string) ([]byte, error) {
	n, err := v.find(name, true)
	if err != nil {
		return nil, err
	}
	if n.kind != tarball.File {
		return nil, pathError("read", name, syscall.EISDIR)
	}
	return n.content()
}

// real resolves every link of a path; what does not exist is kept as it is.
func (v *vfs) real(name string) string {
	for range maxLinks {
		dir, base := path.Split(path.Clean("/" + name))
		if base == "" {
			return "/"
		}
		dir = v.realDir(dir)
		full := path.Join(dir, base)
		n, err := v.find(full, false)
		if err != nil || n.kind != tarball.Symlink {
			return full
		}
		if name = n.link; !path.IsAbs(name) {
			name = path.Join(dir, name)
		}
	}
	return name
}

func (v *vfs) realDir(dir string) string {
	out := "/"
	for part := range strings.SplitSeq(dir, "/") {
		if part == "" {
			continue
		}
		out = path.Join(out, part)
		for range maxLinks {
			n, err := v.find(out, false)
			if err != nil || n.kind != tarball.Symlink {
				break
			}
			if path.IsAbs(n.link) {
				out = v.realDir(n.link)
			} else {
				out = v.realDir(path.Join(path.Dir(out), n.link))
			}
		}
	}
	return out
}
