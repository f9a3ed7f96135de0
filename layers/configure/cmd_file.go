package configure

import (
	"context"
	"errors"
	"path"
	"strings"
	"syscall"

	"github.com/retort-build/retort/internal/tarball"
)

func cmdMkdir(_ context.Context, c *call) int {
	o := parseOptions(c.args, "m", "mode")
	mode := uint32(0o777) &^ c.umask.Load()
	if o.has("m", "mode") {
		var ok bool
		if mode, ok = parseMode(o.value("m", "mode"), 0o777); !ok {
			return c.fail("invalid mode %q", o.value("m", "mode"))
		}
	}
	status := 0
	for _, arg := range o.args {
		p := c.path(arg)
		if o.has("p", "parents") {
			if c.v.isDir(p) {
				continue
			}
			if err := c.v.mkdirAll(path.Dir(path.Clean(p)), 0o777&^c.umask.Load()); err != nil {
				status = c.fail("%v", err)
				continue
			}
		}
		if err := c.v.mkdir(p, mode); err != nil {
			status = c.fail("%v", err)
		}
	}
	return status
}

func cmdRmdir(_ context.Context, c *call) int {
	o := parseOptions(c.args)
	status := 0
	for _, arg := range o.args {
		for p := path.Clean(c.path(arg)); p != "/"; p = path.Dir(p) {
			n, err := c.v.find(p, false)
			if err == nil && n.kind != tarball.Dir {
				err = pathError("rmdir", p, syscall.ENOTDIR)
			}
			if err == nil {
				err = c.v.remove(p, false)
			}
			if err != nil {
				if !o.has("ignore-fail-on-non-empty") || !errors.Is(err, syscall.ENOTEMPTY) {
					status = c.fail("%v", err)
				}
				break
			}
			if !o.has("p", "parents") {
				break
			}
		}
	}
	return status
}

func cmdRm(_ context.Context, c *call) int {
	o := parseOptions(c.args)
	all := o.has("r", "R", "recursive")
	status := 0
	for _, arg := range o.args {
		p := c.path(arg)
		n, err := c.v.find(p, false)
		if err != nil && o.has("f", "force") {
			continue
		}
		if err == nil && n.kind == tarball.Dir && !all {
			err = pathError("remove", p, syscall.EISDIR)
		}
		if err == nil {
			err = c.v.remove(p, all)
		}
		if err != nil {
			status = c.fail("%v", err)
		}
	}
	return status
}

func cmdLn(_ context.Context, c *call) int {
	o := parseOptions(c.args, "t", "target-directory", "S")
	args := o.args
	if t := o.value("t", "target-directory"); t != "" {
		args = append(args, t)
	}
	if len(args) == 1 {
		args = append(args, path.Base(args[0]))
	}
	if len(args) < 2 {
		return c.fail("missing operand")
	}
	dest := args[len(args)-1]
	status := 0
	for _, target := range args[:len(args)-1] {
		name := c.path(dest)
		if n, err := c.v.find(name, !o.has("n", "no-dereference", "T")); err == nil && n.kind == tarball.Dir && !o.has("T") {
			name = path.Join(name, path.Base(target))
		}
		if err := c.link(target, name, o); err != nil {
			status = c.fail("%v", err)
		}
	}
	return status
}

func (c *call) link(target, name string, o options) error {
	if !o.has("s", "symbolic") {
		n, err := c.v.find(c.path(target), false)
		if err != nil {
			return err
		}
		if n.kind == tarball.Dir {
			return pathError("link", target, syscall.EPERM)
		}
		return c.v.create(name, &n, o.has("f", "force"))
	}
	if o.has("r", "relative") {
		target = relative(c.v.realDir(path.Dir(path.Clean(name))), c.v.real(c.path(target)))
	}
	return c.v.symlink(target, name, o.has("f", "force"))
}

// relative is the way from a directory to a path; both are absolute and clean.
func relative(from, to string) string {
	f := strings.Split(strings.Trim(from, "/"), "/")
	t := strings.Split(strings.Trim(to, "/"), "/")
	if from == "/" {
		f = nil
	}
	for len(f) > 0 && len(t) > 0 && f[0] == t[0] {
		f, t = f[1:], t[1:]
	}
	rel := strings.Repeat("../", len(f)) + strings.Join(t, "/")
	if rel == "" {
		return "."
	}
	return strings.TrimSuffix(rel, "/")
}

func cmdCp(_ context.Context, c *call) int {
	o := parseOptions(c.args, "t", "target-directory", "S", "suffix")
	args := o.args
	if t := o.value("t", "target-directory"); t != "" {
		args = append(args, t)
	}
	if len(args) < 2 {
		return c.fail("missing operand")
	}
	dest := c.path(args[len(args)-1])
	toDir := c.v.isDir(dest) && !o.has("T")
	if len(args) > 2 && !toDir {
		return c.fail("%s: not a directory", dest)
	}
	status := 0
	for _, src := range args[:len(args)-1] {
		to := dest
		if toDir {
			to = path.Join(dest, path.Base(src))
		}
		if err := c.copy(c.path(src), to, o); err != nil {
			status = c.fail("%v", err)
		}
	}
	return status
}

func (c *call) copy(from, to string, o options) error {
	archive := o.has("a", "archive")
	keepLinks := archive || o.has("d", "P", "no-dereference")
	n, err := c.v.find(from, !keepLinks)
	if err != nil {
		return err
	}
	if o.has("n", "no-clobber") && c.v.exists(to) {
		return nil
	}
	if !archive && !o.has("p", "preserve") {
		n.uid, n.gid, n.mode = 0, 0, n.mode&0o777&^c.umask.Load()
	}
	if n.kind != tarball.Dir {
		old, err := c.v.find(to, true)
		if err == nil && old.kind == tarball.File && n.kind == tarball.File && !archive && !o.has("p", "preserve", "f", "force") {
			data, err := n.content()
			if err != nil {
				return err
			}
			return c.v.writeFile(to, data, n.mode, false)
		}
		return c.v.copyNode(n, to)
	}
	if !archive && !o.has("r", "R", "recursive") {
		return pathError("copy", from, syscall.EISDIR)
	}
	if !c.v.isDir(to) {
		if err := c.v.copyNode(n, to); err != nil {
			return err
		}
	}
	names, err := c.v.list(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.copy(path.Join(from, name), path.Join(to, name), o); err != nil {
			return err
		}
	}
	return nil
}

func cmdMv(_ context.Context, c *call) int {
	o := parseOptions(c.args, "t", "target-directory", "S", "suffix")
	args := o.args
	if t := o.value("t", "target-directory"); t != "" {
		args = append(args, t)
	}
	if len(args) < 2 {
		return c.fail("missing operand")
	}
	dest := c.path(args[len(args)-1])
	toDir := c.v.isDir(dest) && !o.has("T")
	status := 0
	for _, src := range args[:len(args)-1] {
		to := dest
		if toDir {
			to = path.Join(dest, path.Base(src))
		}
		if _, err := c.v.find(to, false); err == nil && o.has("n", "no-clobber") {
			continue
		}
		if err := c.v.rename(c.path(src), to); err != nil {
			status = c.fail("%v", err)
		}
	}
	return status
}

func cmdTouch(_ context.Context, c *call) int {
	o := parseOptions(c.args, "r", "reference", "d", "date", "t")
	status := 0
	for _, arg := range o.args {
		p := c.path(arg)
		// Layers carry no times, so only making files is left to do.
		if _, err := c.v.find(p, !o.has("h", "no-dereference")); err == nil || o.has("c", "no-create", "h", "no-dereference") {
			continue
		}
		if err := c.v.writeFile(p, nil, 0o666&^c.umask.Load(), false); err != nil {
			status = c.fail("%v", err)
		}
	}
	return status
}
