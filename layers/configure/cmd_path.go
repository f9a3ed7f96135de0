package configure

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/retort-build/retort/internal/tarball"
)

func cmdBasename(_ context.Context, c *call) int {
	o := parseOptions(c.args, "s", "suffix")
	if len(o.args) == 0 {
		return c.fail("missing operand")
	}
	suffix := o.value("s", "suffix")
	names := o.args
	if !o.has("a", "multiple", "s", "suffix") {
		names = o.args[:1]
		if len(o.args) > 1 {
			suffix = o.args[1]
		}
	}
	for _, n := range names {
		base := path.Base(n)
		if base != suffix {
			base = strings.TrimSuffix(base, suffix)
		}
		c.printf("%s\n", base)
	}
	return 0
}

func cmdDirname(_ context.Context, c *call) int {
	for _, n := range parseOptions(c.args).args {
		trimmed := strings.TrimRight(n, "/")
		switch i := strings.LastIndexByte(trimmed, '/'); {
		case trimmed == "":
			c.printf("/\n")
		case i < 0:
			c.printf(".\n")
		case strings.TrimRight(trimmed[:i], "/") == "":
			c.printf("/\n")
		default:
			c.printf("%s\n", strings.TrimRight(trimmed[:i], "/"))
		}
	}
	return 0
}

func cmdReadlink(_ context.Context, c *call) int {
	o := parseOptions(c.args)
	result := 0
	for _, arg := range o.args {
		p := c.path(arg)
		var out string
		if o.has("f", "e", "m", "canonicalize", "canonicalize-existing", "canonicalize-missing") || c.name != "readlink" {
			out = c.canonical(p, o)
		} else if n, err := c.v.find(p, false); err == nil && n.kind == tarball.Symlink {
			out = n.link
		}
		if out == "" {
			result = 1
			continue
		}
		if o.has("n", "no-newline") {
			c.printf("%s", out)
		} else {
			c.printf("%s\n", out)
		}
	}
	return result
}

// canonical resolves links as far as the options want what they name to exist.
func (c *call) canonical(p string, o options) string {
	out := path.Clean(p)
	if !o.has("s", "strip", "no-symlinks") {
		out = c.v.real(p)
	}
	switch {
	case o.has("m", "canonicalize-missing"):
	case o.has("e", "canonicalize-existing"):
		if !c.v.exists(out) {
			return ""
		}
	case c.name == "dpkg-realpath":
	default:
		if !c.v.isDir(path.Dir(out)) {
			return ""
		}
	}
	return out
}

func cmdDpkgRealpath(ctx context.Context, c *call) int {
	o := parseOptions(c.args, "root")
	c.args = o.args
	return cmdReadlink(ctx, c)
}

func cmdStat(_ context.Context, c *call) int {
	o := parseOptions(c.args, "c", "format", "printf")
	format := o.value("c", "format", "printf")
	if format == "" {
		return c.fail("only --format is supported")
	}
	result := 0
	for _, arg := range o.args {
		n, err := c.v.find(c.path(arg), o.has("L", "dereference"))
		if err != nil {
			result = c.fail("%v", err)
			continue
		}
		acc := c.accounts()
		kind := map[tarball.Kind]string{tarball.Dir: "directory", tarball.File: "regular file", tarball.Symlink: "symbolic link"}[n.kind]
		c.printf("%s", strings.NewReplacer(
			"%a", strconv.FormatUint(uint64(n.mode), 8), "%u", strconv.Itoa(n.uid), "%g", strconv.Itoa(n.gid),
			"%U", acc.userName(n.uid), "%G", acc.groupName(n.gid), "%s", strconv.FormatInt(n.size(), 10),
			"%n", arg, "%F", kind, "%Y", "0", "%X", "0", "%Z", "0", "%%", "%",
		).Replace(format))
		if o.has("c", "format") {
			c.printf("\n")
		}
	}
	return result
}

func cmdLs(_ context.Context, c *call) int {
	o := parseOptions(c.args, "I", "ignore")
	names := o.args
	if len(names) == 0 {
		names = []string{"."}
	}
	result := 0
	for _, name := range names {
		n, err := c.v.find(c.path(name), true)
		if err != nil && !o.has("L") {
			n, err = c.v.find(c.path(name), false)
		}
		if err != nil {
			c.fail("%v", err)
			result = 2
			continue
		}
		if n.kind != tarball.Dir || o.has("d", "directory") {
			c.printf("%s\n", name)
			continue
		}
		if len(names) > 1 {
			c.printf("%s:\n", name)
		}
		for _, base := range sortedNames(n.children) {
			if !strings.HasPrefix(base, ".") || o.has("a", "A", "all", "almost-all") {
				c.printf("%s\n", base)
			}
		}
	}
	return result
}

func cmdWhich(_ context.Context, c *call) int {
	o := parseOptions(c.args)
	result := 0
	for _, name := range o.args {
		if p := c.lookPath(name, c.env("PATH")); p != "" {
			c.printf("%s\n", p)
		} else {
			result = 1
		}
	}
	return result
}

// cmdLookup answers command -v, type and hash.
func cmdLookup(_ context.Context, c *call) int {
	result := 0
	for _, name := range c.args {
		if p := c.lookPath(name, c.env("PATH")); p != "" {
			c.printf("%s\n", p)
		} else if shellBuiltin(name) {
			c.printf("%s\n", name)
		} else {
			result = 127
		}
	}
	return result
}

func shellBuiltin(name string) bool {
	switch name {
	case "cd", "echo", "test", "[", "printf", "read", "export", "set", "unset", "command", "type", "umask", "true", "false", ":", ".", "eval", "exec", "exit", "local", "return", "shift", "trap", "wait":
		return true
	}
	return false
}

func cmdRunParts(_ context.Context, c *call) int {
	o := parseOptions(c.args, "a", "arg", "u", "umask", "regex")
	if !o.has("test", "list") {
		c.unknown("run-parts")
		return 127
	}
	for _, dir := range o.args {
		names, err := c.v.list(c.path(dir))
		if err != nil {
			return c.fail("%v", err)
		}
		for _, name := range names {
			p := path.Join(dir, name)
			if runPartsName.MatchString(name) && (o.has("list") || c.executable(c.path(p))) {
				c.printf("%s\n", p)
			}
		}
	}
	return 0
}

var runPartsName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// globRegexp makes an expression of a shell pattern in which * spans slashes.
func globRegexp(glob string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i := 0; i < len(glob); i++ {
		switch ch := glob[i]; ch {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteByte('.')
		case '[':
			if end := bracketEnd(glob, i); end > 0 {
				b.WriteString(bracket(strings.Replace(glob[i:end+1], "[!", "[^", 1)))
				i = end
				continue
			}
			b.WriteString(`\[`)
		case '\\':
			if i+1 < len(glob) {
				i++
			}
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		default:
			b.WriteString(regexp.QuoteMeta(string(ch)))
		}
	}
	re, err := regexp.Compile(b.String() + `\z`)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", glob, err)
	}
	return re, nil
}
