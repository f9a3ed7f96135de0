package elf

import (
	"fmt"
	"path"
	"sort"
	"strings"
)

// Object is an ELF file at its place in an image.
type Object struct {
	Path string // absolute and free of symbolic links, as $ORIGIN sees it
	File File
}

// Loader describes the image in which libraries are looked for.
type Loader struct {
	Machine Machine
	// Triplet is the GNU multiarch tuple of the default directories.
	Triplet string
	// Lookup finds the ELF file at an absolute path, following symbolic links.
	// ok is false if there is no file, or one that is not ELF.
	Lookup func(path string) (obj Object, ok bool, err error)
}

// ProblemKind says what the loader would refuse.
type ProblemKind string

// The kinds of problem.
const (
	WrongMachine   ProblemKind = "machine" // the file is for another machine
	MissingLibrary ProblemKind = "library" // no directory has the library
	MissingVersion ProblemKind = "version" // the library lacks a symbol version
	MissingInterp  ProblemKind = "interp"  // the program's interpreter is absent
)

// Problem is one reason why a file would not load.
type Problem struct {
	Kind    ProblemKind
	Path    string  // the file that would not load
	Machine Machine // of the file
	Library string  // soname or interpreter
	Version string  // the missing version, if Kind is MissingVersion
	Found   string  // path of the library which lacks it
	Newest  string  // newest version of that family which the library defines
}

func (p Problem) String() string {
	switch p.Kind {
	case WrongMachine:
		return fmt.Sprintf("%s is for %s", p.Path, p.Machine)
	case MissingVersion:
		s := fmt.Sprintf("%s needs %s of %s, which %s does not define", p.Path, p.Version, p.Library, p.Found)
		if p.Newest != "" {
			s += " (newest: " + p.Newest + ")"
		}
		return s
	case MissingInterp:
		return fmt.Sprintf("%s needs the interpreter %s", p.Path, p.Library)
	}
	return fmt.Sprintf("%s needs %s", p.Path, p.Library)
}

// Closure is what a set of files needs to load.
type Closure struct {
	Libraries []Object // besides the roots, sorted by path
	// Uses maps the path of every file to the paths of the libraries that
	// satisfy it, sorted.
	Uses     map[string][]string
	Problems []Problem // sorted by path, then library, then version
}

// maxObjects bounds the closure; a full desktop needs fewer than 1,000.
const maxObjects = 10000

// Close computes the closure of the roots as ld.so of glibc would: RPATH or
// RUNPATH with $ORIGIN, then the default directories. The environment and
// ld.so.cache play no part.
func Close(roots []Object, l Loader) (Closure, error) {
	c := closer{loader: l, seen: make(map[string]bool), out: Closure{Uses: make(map[string][]string)}}
	queue := append([]Object(nil), roots...)
	sort.Slice(queue, func(i, j int) bool { return queue[i].Path < queue[j].Path })
	for _, o := range queue {
		c.seen[o.Path] = true
	}
	for len(queue) > 0 {
		o := queue[0]
		queue = queue[1:]
		found, err := c.visit(o)
		if err != nil {
			return Closure{}, fmt.Errorf("resolve libraries of %s: %w", o.Path, err)
		}
		for _, lib := range found {
			c.out.Uses[o.Path] = append(c.out.Uses[o.Path], lib.Path)
			if c.seen[lib.Path] {
				continue
			}
			if len(c.seen) >= maxObjects {
				return Closure{}, fmt.Errorf("resolve libraries: more than %d files", maxObjects)
			}
			c.seen[lib.Path] = true
			c.out.Libraries = append(c.out.Libraries, lib)
			queue = append(queue, lib)
		}
		sort.Strings(c.out.Uses[o.Path])
	}
	sort.Slice(c.out.Libraries, func(i, j int) bool { return c.out.Libraries[i].Path < c.out.Libraries[j].Path })
	sortProblems(c.out.Problems)
	return c.out, nil
}

type closer struct {
	loader Loader
	seen   map[string]bool
	out    Closure
}

func (c *closer) problem(p Problem) { c.out.Problems = append(c.out.Problems, p) }

// visit returns the files that o needs directly.
func (c *closer) visit(o Object) ([]Object, error) {
	if o.File.Machine != c.loader.Machine {
		c.problem(Problem{Kind: WrongMachine, Path: o.Path, Machine: o.File.Machine})
		return nil, nil
	}
	var found []Object
	if o.File.Interp != "" {
		lib, ok, err := c.loader.Lookup(path.Clean(o.File.Interp))
		if err != nil {
			return nil, err
		}
		if !ok {
			c.problem(Problem{Kind: MissingInterp, Path: o.Path, Library: o.File.Interp})
		} else {
			found = append(found, lib)
		}
	}
	for _, name := range o.File.Needed {
		lib, ok, err := c.search(o, name)
		if err != nil {
			return nil, err
		}
		if !ok {
			c.problem(Problem{Kind: MissingLibrary, Path: o.Path, Library: name})
			continue
		}
		c.versions(o, name, lib)
		found = append(found, lib)
	}
	return found, nil
}

func (c *closer) search(o Object, name string) (Object, bool, error) {
	if strings.Contains(name, "/") {
		return c.lookup(c.expand(o, name))
	}
	for _, dir := range c.dirs(o) {
		lib, ok, err := c.lookup(path.Join(dir, name))
		if err != nil || ok {
			return lib, ok, err
		}
	}
	return Object{}, false, nil
}

// lookup skips a library for another machine, as ld.so does.
func (c *closer) lookup(at string) (Object, bool, error) {
	if !path.IsAbs(at) {
		return Object{}, false, nil
	}
	lib, ok, err := c.loader.Lookup(at)
	if err != nil || !ok || lib.File.Machine != c.loader.Machine {
		return Object{}, false, err
	}
	return lib, true, nil
}

func (c *closer) dirs(o Object) []string {
	list := o.File.Runpath
	if len(list) == 0 {
		list = o.File.Rpath
	}
	var dirs []string
	for _, dir := range list {
		dirs = append(dirs, c.expand(o, dir))
	}
	return append(dirs,
		"/lib/"+c.loader.Triplet, "/usr/lib/"+c.loader.Triplet, "/lib", "/usr/lib")
}

// expand replaces the loader's tokens.
func (c *closer) expand(o Object, s string) string {
	platform := map[Machine]string{AMD64: "x86_64", ARM64: "aarch64"}[c.loader.Machine]
	origin := path.Dir(o.Path)
	return strings.NewReplacer(
		"${ORIGIN}", origin, "$ORIGIN", origin,
		"${LIB}", "lib/"+c.loader.Triplet, "$LIB", "lib/"+c.loader.Triplet,
		"${PLATFORM}", platform, "$PLATFORM", platform,
	).Replace(s)
}

// versions compares what o needs of a library with what the library defines.
// A library without any version definition satisfies all, as in ld.so.
func (c *closer) versions(o Object, name string, lib Object) {
	if len(lib.File.VerDef) == 0 {
		return
	}
	defined := make(map[string]bool)
	for _, v := range lib.File.VerDef {
		defined[v] = true
	}
	for _, v := range o.File.VerNeed[name] {
		if !defined[v] {
			c.problem(Problem{
				Kind: MissingVersion, Path: o.Path, Library: name, Version: v,
				Found: lib.Path, Newest: newest(lib.File.VerDef, v),
			})
		}
	}
}

// newest finds the highest version of v's family: the text before the digits.
func newest(defined []string, v string) string {
	family := strings.TrimRight(v, "0123456789._")
	best := ""
	for _, d := range defined {
		rest, ok := strings.CutPrefix(d, family)
		if !ok || strings.Trim(rest, "0123456789._") != "" {
			continue
		}
		if best == "" || lessVersion(best, d) {
			best = d
		}
	}
	return best
}

// lessVersion compares runs of digits by value and all else by bytes.
func lessVersion(a, b string) bool {
	for a != "" && b != "" {
		na, nb := digits(a), digits(b)
		if na > 0 && nb > 0 {
			x, y := strings.TrimLeft(a[:na], "0"), strings.TrimLeft(b[:nb], "0")
			if len(x) != len(y) {
				return len(x) < len(y)
			}
			if x != y {
				return x < y
			}
			a, b = a[na:], b[nb:]
			continue
		}
		if a[0] != b[0] {
			return a[0] < b[0]
		}
		a, b = a[1:], b[1:]
	}
	return len(a) < len(b)
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

func sortProblems(ps []Problem) {
	sort.SliceStable(ps, func(i, j int) bool {
		a, b := ps[i], ps[j]
		if a.Path != b.Path {
			return a.Path < b.Path
		}
		if a.Library != b.Library {
			return a.Library < b.Library
		}
		return a.Version < b.Version
	})
}
