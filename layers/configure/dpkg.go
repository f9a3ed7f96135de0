package configure

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strings"
)

const dpkgDir = "/var/lib/dpkg/"

func cmdDpkg(ctx context.Context, c *call) int {
	args := c.args
	for len(args) > 0 {
		switch a := args[0]; {
		case strings.HasPrefix(a, "--admindir"), strings.HasPrefix(a, "--root"), a == "--no-pager":
			args = args[1:]
		case a == "--compare-versions":
			return c.compareVersions(args[1:])
		case a == "--print-architecture":
			c.printf("%s\n", c.in.Platform.Arch())
			return 0
		case a == "--print-foreign-architectures", strings.HasPrefix(a, "--assert-"):
			return 0
		case a == "--validate-version", a == "--validate-pkgname":
			return 0
		case a == "-L", a == "--listfiles":
			return c.listFiles(args[1:])
		case a == "-s", a == "--status":
			return c.showStatus(args[1:])
		case a == "-S", a == "--search":
			return c.searchFiles(args[1:])
		default:
			c.unknown("dpkg " + a)
			return 2
		}
	}
	return 2
}

func (c *call) compareVersions(args []string) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) != 3 {
		c.fail("--compare-versions takes three arguments")
		return 2
	}
	holds, ok := versionHolds(args[0], args[1], args[2])
	if !ok {
		c.fail("bad relation %q", args[1])
		return 2
	}
	return status(holds)
}

// bare takes the architecture off a package's name.
func bare(name string) string {
	name, _, _ = strings.Cut(name, ":")
	return name
}

func (c *call) listFiles(names []string) int {
	result := 0
	for _, name := range names {
		files, ok := c.filesOf(bare(name))
		if !ok {
			result = c.fail("package '%s' is not installed", name)
			continue
		}
		for _, f := range files {
			c.printf("%s\n", f)
		}
	}
	return result
}

// filesOf lists what a package ships: its own layer's entries, or else what its
// control members name.
func (s *session) filesOf(name string) ([]string, bool) {
	if _, ok := s.byName[name]; !ok {
		return nil, false
	}
	if files, ok := s.v.owned[name]; ok {
		return files, true
	}
	var files []string
	if b, err := s.v.readFile(dpkgDir + "info/" + name + ".md5sums"); err == nil {
		for _, l := range lines(b) {
			if len(l) > 34 {
				files = append(files, "/"+l[34:])
			}
		}
	}
	if b, err := s.v.readFile(dpkgDir + "info/" + name + ".conffiles"); err == nil {
		files = append(files, lines(b)...)
	}
	slices.Sort(files)
	return files, true
}

func (c *call) searchFiles(patterns []string) int {
	found := false
	for _, p := range c.order {
		files, _ := c.filesOf(p.Name)
		for _, pattern := range patterns {
			if !strings.ContainsAny(pattern, "*?[/") {
				pattern = "*" + pattern + "*"
			} else if !strings.HasPrefix(pattern, "/") && !strings.HasPrefix(pattern, "*") {
				pattern = "*" + pattern + "*"
			}
			re, err := globRegexp(pattern)
			if err != nil {
				return c.fail("%v", err)
			}
			for _, f := range files {
				if re.MatchString(f) || c.in.UsrMerge && re.MatchString(strings.TrimPrefix(f, "/usr")) {
					found = true
					c.printf("%s: %s\n", p.Name, f)
				}
			}
		}
	}
	return status(found)
}

// fields are the control fields of a package, with its status.
func (s *session) fields(name string) (map[string]string, bool) {
	p, ok := s.byName[name]
	if !ok {
		return nil, false
	}
	f := map[string]string{
		"Package": p.Name, "Version": p.Version, "Architecture": p.Architecture,
		"binary:Package": p.Name, "Status": "install ok installed", "db:Status-Status": "installed",
		"db:Status-Abbrev": "ii ", "db:Status-Want": "install", "db:Status-Eflag": "ok",
	}
	b, err := s.v.readFile(dpkgDir + "status.d/" + name)
	if err != nil {
		return f, true
	}
	last := ""
	for _, l := range lines(b) {
		if strings.HasPrefix(l, " ") {
			f[last] += "\n" + l
			continue
		}
		key, value, _ := strings.Cut(l, ":")
		last = key
		f[key] = strings.TrimSpace(value)
	}
	return f, true
}

func (c *call) showStatus(names []string) int {
	result := 0
	for _, name := range names {
		if _, ok := c.byName[bare(name)]; !ok {
			result = c.fail("package '%s' is not installed and no information is available", name)
			continue
		}
		b, err := c.v.readFile(dpkgDir + "status.d/" + bare(name))
		if err != nil {
			result = c.fail("%v", err)
			continue
		}
		first, rest, _ := strings.Cut(string(b), "\n")
		c.printf("%s\nStatus: install ok installed\n%s\n", first, rest)
	}
	return result
}

var formatField = regexp.MustCompile(`\$\{([^;}]+)(?:;-?\d+)?\}`)

func cmdDpkgQuery(_ context.Context, c *call) int {
	o := parseOptions(c.args, "f", "showformat", "admindir")
	switch {
	case o.has("L", "listfiles"):
		return c.listFiles(o.args)
	case o.has("s", "status"):
		return c.showStatus(o.args)
	case o.has("S", "search"):
		return c.searchFiles(o.args)
	case o.has("c", "control-path", "control-show"):
		return c.controlPath(o)
	case o.has("l", "list"):
		return c.listPackages(o.args)
	case !o.has("W", "show"):
		c.unknown("dpkg-query " + strings.Join(c.args, " "))
		return 2
	}
	format := `${binary:Package}\t${Version}\n`
	if o.has("f", "showformat") {
		format = strings.TrimPrefix(o.value("f", "showformat"), "=")
	}
	format = strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(format)
	names := o.args
	if len(names) == 0 {
		for _, p := range c.order {
			names = append(names, p.Name)
		}
	}
	result := 0
	for _, name := range names {
		matched := false
		for _, p := range c.order {
			if ok, err := path.Match(bare(name), p.Name); !ok || err != nil {
				continue
			}
			matched = true
			f, _ := c.fields(p.Name)
			c.printf("%s", formatField.ReplaceAllStringFunc(format, func(m string) string {
				return f[formatField.FindStringSubmatch(m)[1]]
			}))
		}
		if !matched {
			result = c.fail("no packages found matching %s", name)
		}
	}
	return result
}

// listPackages prints the table of packages that match.
func (c *call) listPackages(patterns []string) int {
	found := false
	for _, p := range c.order {
		for _, pattern := range append(patterns, "*")[:max(1, len(patterns))] {
			if ok, err := path.Match(bare(pattern), p.Name); ok && err == nil {
				found = true
				c.printf("ii  %s %s %s\n", p.Name, p.Version, p.Architecture)
				break
			}
		}
	}
	if !found {
		return c.fail("no packages found matching %s", strings.Join(patterns, " "))
	}
	return 0
}

// controlPath names or shows a control member of a package.
func (c *call) controlPath(o options) int {
	if len(o.args) < 2 {
		return c.fail("missing operand")
	}
	p := dpkgDir + "info/" + bare(o.args[0]) + "." + path.Base(o.args[1])
	if _, ok := c.byName[bare(o.args[0])]; !ok {
		return c.fail("package '%s' is not installed", o.args[0])
	}
	b, err := c.v.readFile(p)
	if err != nil {
		return 1
	}
	if o.has("control-show") {
		c.stdout.Write(b)
	} else {
		c.printf("%s\n", p)
	}
	return 0
}

func cmdDpkgTrigger(_ context.Context, c *call) int {
	o := parseOptions(c.args, "by-package", "admindir")
	if o.has("check-supported") {
		return 0
	}
	for _, name := range o.args {
		c.activate(name)
	}
	return 0
}

// cmdMaintscriptHelper does nothing on a first installation: each of its
// actions moves what an older version of the package left behind.
func cmdMaintscriptHelper(_ context.Context, c *call) int {
	if len(c.args) == 0 {
		return c.fail("missing command")
	}
	switch c.args[0] {
	case "supports", "rm_conffile", "mv_conffile", "symlink_to_dir", "dir_to_symlink":
		return 0
	}
	c.unknown("dpkg-maintscript-helper " + c.args[0])
	return 1
}
