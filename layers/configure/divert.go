package configure

import (
	"context"
	"path"
	"slices"
)

// diversion is an entry of dpkg's list of diverted files.
type diversion struct{ from, to, pkg string }

func cmdDpkgDivert(_ context.Context, c *call) int {
	o := parseOptions(c.args, "package", "divert", "admindir", "root", "instdir")
	d := &c.diversions
	name := ""
	if len(o.args) > 0 {
		name = o.args[0]
	}
	at := slices.IndexFunc(*d, func(e diversion) bool { return e.from == name })
	switch {
	case o.has("truename"):
		if v := o.value("truename"); v != "" {
			name = v
			at = slices.IndexFunc(*d, func(e diversion) bool { return e.from == name })
		}
		if at >= 0 {
			name = (*d)[at].to
		}
		c.printf("%s\n", name)
		return 0
	case o.has("listpackage"):
		if at >= 0 {
			c.printf("%s\n", (*d)[at].pkg)
		}
		return 0
	case o.has("list"):
		return c.listDiversions(o.args)
	case o.has("remove"):
		if at < 0 {
			return 0
		}
		old := (*d)[at]
		*d = slices.Delete(*d, at, at+1)
		if o.has("rename") && c.v.exists(old.to) {
			if err := c.v.rename(old.to, old.from); err != nil {
				return c.fail("%v", err)
			}
		}
		return 0
	}
	return c.addDiversion(o, name, at)
}

func (c *call) addDiversion(o options, name string, at int) int {
	if !path.IsAbs(name) {
		return c.fail("want an absolute path, not %q", name)
	}
	e := diversion{from: name, to: o.value("divert"), pkg: o.value("package")}
	if e.to == "" {
		e.to = name + ".distrib"
	}
	switch {
	case e.pkg == "" && !o.has("local"):
		e.pkg = c.shell.pkg.Name
	case e.pkg == "":
		e.pkg = "LOCAL"
	}
	if at >= 0 {
		if c.diversions[at] == e {
			return 0
		}
		c.fail("%s is diverted already", name)
		return 2
	}
	c.diversions = append(c.diversions, e)
	// Only what other packages ship moves away; the diverting package's own
	// file, which dpkg would unpack after this, lies there already.
	if o.has("rename") && !o.has("no-rename") && c.v.exists(name) && !c.owns(e.pkg, name) {
		if err := c.v.rename(name, e.to); err != nil {
			return c.fail("%v", err)
		}
	}
	return 0
}

func (s *session) owns(pkg, file string) bool {
	files, _ := s.filesOf(pkg)
	return slices.Contains(files, file)
}

func (c *call) listDiversions(patterns []string) int {
	for _, e := range c.diversions {
		for _, p := range append(patterns, "*")[:max(1, len(patterns))] {
			if re, err := globRegexp(p); err == nil && (re.MatchString(e.from) || re.MatchString(e.to) || re.MatchString(e.pkg)) {
				c.printf("diversion of %s to %s by %s\n", e.from, e.to, e.pkg)
				break
			}
		}
	}
	return 0
}

// override is an entry of dpkg's list of owners and modes.
type override struct{ user, group, mode, path string }

func cmdStatoverride(_ context.Context, c *call) int {
	o := parseOptions(c.args)
	switch {
	case o.has("list"):
		found := false
		for _, e := range c.overrides {
			if len(o.args) == 0 || slices.Contains(o.args, e.path) {
				found = true
				c.printf("%s %s %s %s\n", e.user, e.group, e.mode, e.path)
			}
		}
		return status(found)
	case o.has("remove"):
		before := len(c.overrides)
		c.overrides = slices.DeleteFunc(c.overrides, func(e override) bool { return slices.Contains(o.args, e.path) })
		return status(len(c.overrides) < before || o.has("quiet"))
	case !o.has("add") || len(o.args) != 4:
		return c.fail("unsupported arguments %q", c.args)
	}
	e := override{o.args[0], o.args[1], o.args[2], o.args[3]}
	uid, gid, err := c.owner(e.user+":"+e.group, false)
	if err != nil {
		return c.fail("%v", err)
	}
	mode, ok := parseMode(e.mode, 0)
	if !ok {
		return c.fail("invalid mode %q", e.mode)
	}
	if slices.ContainsFunc(c.overrides, func(x override) bool { return x.path == e.path }) {
		return c.fail("an override for '%s' already exists", e.path)
	}
	c.overrides = append(c.overrides, e)
	if o.has("update") && c.v.exists(e.path) {
		if err := c.v.change(e.path, true, func(n *node) { n.uid, n.gid, n.mode = uid, gid, mode }); err != nil {
			return c.fail("%v", err)
		}
	}
	return 0
}
