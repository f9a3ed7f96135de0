package configure

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"

	"github.com/retort-build/retort/internal/tarball"
)

// errTooMuch ends a configuration that would fill memory.
var errTooMuch = errors.New("maintainer scripts write too much")

// create puts a new node at a path whose directory exists. What is there goes
// when replace is set and neither is a directory.
func (v *vfs) create(name string, n *node, replace bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	dir, base, old, err := v.walk(name, false)
	if err == nil {
		switch {
		case dir == nil:
			err = syscall.EEXIST
		case old != nil && (!replace || old.kind == tarball.Dir):
			err = syscall.EEXIST
		}
	}
	if err == nil {
		err = v.account(len(n.data), 1)
	}
	if err != nil {
		return pathError("create", name, err)
	}
	dir.children[base] = n
	return nil
}

func (v *vfs) account(bytes, nodes int) error {
	v.written += int64(bytes)
	v.nodes += nodes
	if v.written > maxWritten || v.nodes > maxNodes {
		return errTooMuch
	}
	return nil
}

func (v *vfs) mkdir(name string, mode uint32) error { return v.create(name, newDir(mode), false) }

// mkdirAll makes a directory and those above it that are missing.
func (v *vfs) mkdirAll(name string, mode uint32) error {
	at := "/"
	for part := range strings.SplitSeq(name, "/") {
		at = path.Join(at, part)
		if part == ".." {
			return pathError("mkdir", name, syscall.EINVAL)
		}
		if v.isDir(at) {
			continue
		}
		if err := v.mkdir(at, mode); err != nil {
			return err
		}
	}
	return nil
}

func (v *vfs) symlink(target, name string, replace bool) error {
	return v.create(name, &node{kind: tarball.Symlink, mode: 0o777, link: target}, replace)
}

// writeFile sets the content of a file, which keeps its mode and owner when it
// exists, and is followed when it is a link.
func (v *vfs) writeFile(name string, data []byte, mode uint32, appending bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	dir, base, n, err := v.walk(name, true)
	if err == nil && n != nil && n.kind == tarball.Dir {
		err = syscall.EISDIR
	}
	if err == nil && n == nil && dir == nil {
		err = syscall.ENOENT
	}
	if err == nil {
		err = v.account(len(data), 0)
	}
	if err != nil {
		return pathError("write", name, err)
	}
	if n == nil {
		n = &node{kind: tarball.File, mode: mode}
		dir.children[base] = n
	}
	if appending {
		old, err := n.content()
		if err != nil {
			return pathError("write", name, err)
		}
		data = append(old[:len(old):len(old)], data...)
	}
	n.base, n.data = nil, data
	return nil
}

// install writes a file with a given mode, whatever stood there.
func (v *vfs) install(name string, data []byte, mode uint32) error {
	if err := v.mkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return v.create(name, &node{kind: tarball.File, mode: mode, data: data}, true)
}

// change edits a node's mode or owner.
func (v *vfs) change(name string, follow bool, fn func(*node)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, _, n, err := v.walk(name, follow)
	if err == nil && n == nil {
		err = syscall.ENOENT
	}
	if err != nil {
		return pathError("change", name, err)
	}
	fn(n)
	return nil
}

// remove deletes a file, a link or an empty directory; with all, whatever is
// there.
func (v *vfs) remove(name string, all bool) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	dir, base, n, err := v.walk(name, false)
	switch {
	case err != nil:
	case n == nil:
		err = syscall.ENOENT
	case dir == nil:
		err = syscall.EBUSY
	case n.kind == tarball.Dir && len(n.children) > 0 && !all:
		err = syscall.ENOTEMPTY
	}
	if err != nil {
		return pathError("remove", name, err)
	}
	delete(dir.children, base)
	return nil
}

// rename moves a node over whatever but a full directory is there.
func (v *vfs) rename(from, to string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	fromDir, fromBase, n, err := v.walk(from, false)
	if err == nil && (n == nil || fromDir == nil) {
		err = syscall.ENOENT
	}
	if err != nil {
		return pathError("rename", from, err)
	}
	toDir, toBase, old, err := v.walk(to, false)
	switch {
	case err != nil:
	case toDir == nil:
		err = syscall.EBUSY
	case old == n:
		return nil
	case old != nil && old.kind == tarball.Dir && (n.kind != tarball.Dir || len(old.children) > 0):
		err = syscall.ENOTEMPTY
	case n.kind == tarball.Dir && within(n, toDir):
		err = syscall.EINVAL
	}
	if err != nil {
		return pathError("rename", to, err)
	}
	delete(fromDir.children, fromBase)
	toDir.children[toBase] = n
	return nil
}

// within says that dir is top or lies below it.
func within(top, dir *node) bool {
	if top == dir {
		return true
	}
	for _, c := range top.children {
		if c.kind == tarball.Dir && within(c, dir) {
			return true
		}
	}
	return false
}

// copyNode puts a copy of a file, link or empty directory at another path.
func (v *vfs) copyNode(n node, to string) error {
	c := n
	if n.kind == tarball.Dir {
		c.children = make(map[string]*node)
	}
	if err := v.create(to, &c, true); err != nil {
		return fmt.Errorf("copy: %w", err)
	}
	return nil
}
