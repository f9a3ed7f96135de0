package configure

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/retort-build/retort/internal/tarball"
)

func cmdChmod(_ context.Context, c *call) int {
	args := c.args
	var modeArg string
	// A mode may look like an option: -x.
	o := parseOptions(nil)
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "--" && !isSymbolic(args[0]) {
		one := parseOptions(args[:1])
		for k, v := range one.set {
			o.set[k] = v
		}
		args = args[1:]
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if ref := o.value("reference"); ref != "" {
		n, err := c.v.find(c.path(ref), true)
		if err != nil {
			return c.fail("%v", err)
		}
		modeArg = strconv.FormatUint(uint64(n.mode), 8)
	} else if len(args) > 0 {
		modeArg, args = args[0], args[1:]
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	return c.eachNode(args, o.has("R", "recursive"), true, func(n *node) error {
		if n.kind == tarball.Symlink {
			return nil
		}
		mode, ok := parseModeFor(modeArg, n.mode, n.kind == tarball.Dir)
		if !ok {
			return fmt.Errorf("invalid mode %q", modeArg)
		}
		n.mode = mode
		return nil
	}, o.has("f", "silent", "quiet"))
}

func isSymbolic(arg string) bool { return strings.Trim(arg[1:], "rwxXst") == "" && len(arg) > 1 }

// eachNode changes the named files, and those below them when asked.
func (c *call) eachNode(args []string, recursive, follow bool, fn func(*node) error, quiet bool) int {
	status := 0
	for _, arg := range args {
		p := c.path(arg)
		var inner error
		err := c.v.change(p, follow, func(n *node) { inner = visit(n, recursive, fn) })
		if err = errors.Join(err, inner); err != nil {
			status = 1
			if !quiet {
				c.fail("%v", err)
			}
		}
	}
	return status
}

func visit(n *node, recursive bool, fn func(*node) error) error {
	if err := fn(n); err != nil || !recursive {
		return err
	}
	for _, name := range sortedNames(n.children) {
		if err := visit(n.children[name], true, fn); err != nil {
			return err
		}
	}
	return nil
}

func cmdChown(_ context.Context, c *call) int {
	o := parseOptions(c.args, "from")
	args := o.args
	uid, gid := -1, -1
	if ref := o.value("reference"); ref != "" {
		n, err := c.v.find(c.path(ref), true)
		if err != nil {
			return c.fail("%v", err)
		}
		uid, gid = n.uid, n.gid
	} else {
		if len(args) < 2 {
			return c.fail("missing operand")
		}
		var err error
		if uid, gid, err = c.owner(args[0], c.name == "chgrp"); err != nil {
			return c.fail("%v", err)
		}
		args = args[1:]
	}
	return c.eachNode(args, o.has("R", "recursive"), !o.has("h", "no-dereference"), func(n *node) error {
		if uid >= 0 {
			n.uid = uid
		}
		if gid >= 0 {
			n.gid = gid
		}
		// The kernel takes these bits off whoever the owner is.
		if n.kind == tarball.File && n.mode&0o111 != 0 {
			n.mode &^= 0o6000
		}
		return nil
	}, o.has("f", "silent", "quiet"))
}

// owner reads user:group; -1 stands for what is to stay.
func (c *call) owner(spec string, groupOnly bool) (uid, gid int, err error) {
	user, group, hasGroup := strings.Cut(spec, ":")
	if !hasGroup {
		user, group, hasGroup = strings.Cut(spec, ".")
	}
	if groupOnly {
		user, group = "", spec
	}
	uid, gid = -1, -1
	if user != "" {
		if uid, err = c.accounts().userID(user); err != nil {
			return
		}
		if hasGroup && group == "" {
			gid, err = c.accounts().userGroup(user)
			return
		}
	}
	if group != "" {
		gid, err = c.accounts().groupID(group)
	}
	return
}

func cmdMktemp(_ context.Context, c *call) int {
	o := parseOptions(c.args, "p", "tmpdir", "suffix")
	template := "tmp.XXXXXXXXXX"
	if len(o.args) > 0 {
		template = o.args[0]
	}
	dir := o.value("p", "tmpdir")
	if dir == "" || strings.HasPrefix(dir, "/proc/") {
		dir = "/tmp"
	}
	if strings.Contains(template, "/") {
		dir = ""
	}
	stem := strings.TrimRight(template, "X")
	for i := range 1000 {
		name := path.Join(dir, fmt.Sprintf("%s%0*d%s", stem, len(template)-len(stem), i, o.value("suffix")))
		var err error
		if o.has("d", "directory") {
			err = c.v.mkdir(c.path(name), 0o700)
		} else {
			err = c.v.create(c.path(name), &node{kind: tarball.File, mode: 0o600}, false)
		}
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return c.fail("%v", err)
		}
		c.printf("%s\n", name)
		return 0
	}
	return c.fail("too many temporary files")
}

func cmdInstall(ctx context.Context, c *call) int {
	o := parseOptions(c.args, "m", "mode", "o", "owner", "g", "group", "t", "target-directory", "S")
	mode, ok := uint32(0o755), true
	if m := o.value("m", "mode"); m != "" {
		if mode, ok = parseMode(m, 0); !ok {
			return c.fail("invalid mode %q", m)
		}
	}
	uid, gid, err := c.owner(o.value("o", "owner")+":"+o.value("g", "group"), false)
	if err != nil {
		return c.fail("%v", err)
	}
	own := func(n *node) { n.mode, n.uid, n.gid = mode, max(uid, 0), max(gid, 0) }
	if o.has("d", "directory") {
		for _, arg := range o.args {
			err := c.v.mkdirAll(c.path(arg), 0o755)
			if err == nil {
				err = c.v.change(c.path(arg), true, own)
			}
			if err != nil {
				return c.fail("%v", err)
			}
		}
		return 0
	}
	args := o.args
	if t := o.value("t", "target-directory"); t != "" {
		args = append(args, t)
	}
	if len(args) < 2 {
		return c.fail("missing operand")
	}
	dest := c.path(args[len(args)-1])
	if o.has("D") {
		if err := c.v.mkdirAll(path.Dir(dest), 0o755); err != nil {
			return c.fail("%v", err)
		}
	}
	for _, src := range args[:len(args)-1] {
		to := dest
		if c.v.isDir(dest) {
			to = path.Join(dest, path.Base(src))
		}
		n, err := c.v.find(c.path(src), true)
		if err == nil {
			own(&n)
			err = c.v.copyNode(n, to)
		}
		if err != nil {
			return c.fail("%v", err)
		}
	}
	return 0
}
