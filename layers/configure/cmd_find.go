package configure

import (
	"context"
	"path"
	"strings"

	"github.com/retort-build/retort/internal/tarball"
)

// filesBelow lists the files below the named directories, as given.
func (c *call) filesBelow(names []string) []string {
	var files []string
	for _, name := range names {
		c.visitTree(name, false, 0, func(p string, n node, _ int) bool {
			if n.kind == tarball.File {
				files = append(files, p)
			}
			return true
		})
	}
	return files
}

// visitTree calls fn for a path and all below it, parents first, until fn
// declines to descend.
func (c *call) visitTree(name string, follow bool, depth int, fn func(string, node, int) bool) {
	n, err := c.v.find(c.path(name), follow)
	if err != nil && follow {
		n, err = c.v.find(c.path(name), false)
	}
	// Following links may lead in circles.
	if err != nil || depth > 64 || !fn(name, n, depth) || n.kind != tarball.Dir {
		return
	}
	for _, base := range sortedNames(n.children) {
		sub := strings.TrimSuffix(name, "/") + "/" + base
		c.visitTree(sub, follow, depth+1, fn)
	}
}

// findTest is one primary of find; it reports whether the file stays.
type findTest func(p string, n node, depth int) bool

func cmdFind(ctx context.Context, c *call) int {
	args := c.args
	follow := false
	for len(args) > 0 && (args[0] == "-L" || args[0] == "-H" || args[0] == "-P") {
		follow = args[0] == "-L"
		args = args[1:]
	}
	var starts []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") && args[0] != "!" && args[0] != "(" {
		starts, args = append(starts, args[0]), args[1:]
	}
	if len(starts) == 0 {
		starts = []string{"."}
	}
	f, ok := c.parseFind(ctx, args)
	if !ok {
		return c.fail("unsupported expression %q", args)
	}
	for _, s := range starts {
		if !c.v.exists(c.path(s)) {
			f.status = c.fail("%s: no such file", s)
			continue
		}
		var deletes []string
		c.visitTree(s, follow, 0, func(p string, n node, depth int) bool {
			if depth >= f.minDepth && f.matches(p, n, depth) {
				if f.remove {
					deletes = append(deletes, p)
				} else if !f.acts {
					c.printf("%s\n", p)
				}
			}
			return depth < f.maxDepth
		})
		for i := len(deletes) - 1; i >= 0; i-- {
			if err := c.v.remove(c.path(deletes[i]), false); err != nil {
				f.status = c.fail("%v", err)
			}
		}
	}
	return f.status
}

type findExpr struct {
	any                [][]findTest // one of which must hold in full
	minDepth, maxDepth int
	acts, remove       bool
	status             int
}

func (f *findExpr) matches(p string, n node, depth int) bool {
	for _, all := range f.any {
		ok := true
		for _, t := range all {
			if ok = t(p, n, depth); !ok {
				break
			}
		}
		if ok {
			return true
		}
	}
	return false
}

func (c *call) parseFind(ctx context.Context, args []string) (*findExpr, bool) {
	f := &findExpr{any: [][]findTest{nil}, maxDepth: 1 << 20}
	negate := false
	add := func(t findTest) {
		if negate {
			inner := t
			t = func(p string, n node, d int) bool { return !inner(p, n, d) }
		}
		negate = false
		f.any[len(f.any)-1] = append(f.any[len(f.any)-1], t)
	}
	for i := 0; i < len(args); i++ {
		value := ""
		if i+1 < len(args) {
			value = args[i+1]
		}
		switch args[i] {
		case "!", "-not":
			negate = true
		case "-o", "-or":
			f.any = append(f.any, nil)
		case "-a", "-and", "-mount", "-xdev", "-depth":
		case "-print":
			f.acts = true
			add(func(p string, _ node, _ int) bool { c.printf("%s\n", p); return true })
		case "-print0":
			f.acts = true
			add(func(p string, _ node, _ int) bool { c.printf("%s\x00", p); return true })
		case "-delete":
			f.remove = true
		case "-name":
			i++
			add(func(p string, _ node, _ int) bool { ok, _ := path.Match(value, path.Base(p)); return ok })
		case "-path", "-wholename":
			i++
			re, err := globRegexp(value)
			if err != nil {
				return nil, false
			}
			add(func(p string, _ node, _ int) bool { return re.MatchString(p) })
		case "-type":
			i++
			kind := map[string]tarball.Kind{"f": tarball.File, "d": tarball.Dir, "l": tarball.Symlink}[value]
			add(func(_ string, n node, _ int) bool { return n.kind == kind })
		case "-empty":
			add(func(_ string, n node, _ int) bool { return n.size() == 0 && len(n.children) == 0 })
		case "-maxdepth", "-mindepth":
			i++
			n := int(leadingNumber(value))
			if args[i-1] == "-maxdepth" {
				f.maxDepth = n
			} else {
				f.minDepth = n
			}
		case "-exec":
			var command []string
			for i++; i < len(args) && args[i] != ";" && args[i] != "+"; i++ {
				command = append(command, args[i])
			}
			if len(command) == 0 {
				return nil, false
			}
			f.acts = true
			add(func(p string, _ node, _ int) bool { return c.subcommand(ctx, replaceBraces(command, p)) == 0 })
		default:
			return nil, false
		}
	}
	return f, true
}

func replaceBraces(command []string, p string) []string {
	var out []string
	for _, a := range command {
		out = append(out, strings.ReplaceAll(a, "{}", p))
	}
	return out
}
