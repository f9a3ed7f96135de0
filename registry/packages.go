package registry

import (
	"fmt"
	"path"
	"sort"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/elf"
	"github.com/retort-build/retort/internal/tarball"
)

// LinkError says which ELF files of an image would not load.
type LinkError struct {
	Problems []LinkProblem
}

// LinkProblem is one reason.
type LinkProblem struct {
	elf.Problem
	// Package is whose library was considered: it lacks the version. Empty if
	// no given package has the library at all, or if it is the release's own.
	Package, PackageVersion string
}

func (p LinkProblem) String() string {
	s := p.Problem.String()
	switch {
	case p.Package != "":
		s += " (package " + p.Package + " " + p.PackageVersion + ")"
	case p.Kind == elf.MissingLibrary:
		s += ", which no package of the image has"
	}
	return s
}

// shownProblems is how many a message names; one cause often has many effects.
const shownProblems = 8

func (e *LinkError) Error() string {
	var all []string
	for _, p := range e.Problems[:min(len(e.Problems), shownProblems)] {
		all = append(all, p.String())
	}
	if more := len(e.Problems) - len(all); more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return "link: " + strings.Join(all, "; ")
}

// packageFiles is what an image takes of packages.
type packageFiles struct {
	skeleton, bundle, base, libraries Tree
	included                          []Included
	own                               []ownFiles
}

// ownFiles is what an image takes of a package that was compiled for it.
type ownFiles struct {
	Package
	tree Tree
}

// Numbers of trees in a sysroot that are not packages.
const (
	ofRelease = -1 - iota
	ofSkeleton
)

func takePackages(rt Runtime, release Tree) (packageFiles, error) {
	var out packageFiles
	var err error
	if out.skeleton, err = skeleton(rt.Platform, rt.Shell); err != nil {
		return out, err
	}
	if out.bundle, err = bundle(rt.Packages); err != nil {
		return out, err
	}
	root := newSysroot()
	root.add(ofSkeleton, out.skeleton)
	root.add(ofRelease, release)
	for _, own := range []bool{true, false} { // the first at a path stays
		for i, p := range rt.Packages {
			if p.Own == own {
				root.add(i, p.Tree)
			}
		}
	}
	var links []FileOf
	if rt.Shell {
		if links, err = shellFiles(root); err != nil {
			return out, err
		}
	}
	roots, err := rootObjects(rt, root)
	if err != nil {
		return out, err
	}
	machine := elf.Machine(rt.Platform.Arch())
	closure, err := elf.Close(roots, elf.Loader{Machine: machine, Triplet: rt.Platform.Triplet(), Lookup: root.lookup(machine)})
	if err != nil {
		return out, err
	}
	if len(closure.Problems) > 0 {
		return out, linkError(rt, root, closure.Problems)
	}
	return out, out.split(rt, root, links)
}

// rootObjects are the ELF files that must load: those of the release, of whole
// packages, and of the tools used already.
func rootObjects(rt Runtime, root *sysroot) ([]elf.Object, error) {
	var paths []string
	for _, p := range sortedKeys(root.at) {
		have := root.at[p]
		whole := have.tree >= 0 && rt.Packages[have.tree].Whole && slim(have.entry)
		if have.tree != ofRelease && !whole && !root.used[p] || have.entry.Kind != tarball.File {
			continue
		}
		if have.tree == ofRelease && ignored(rt.Ignore, strings.TrimPrefix(p, prefix+"/")) {
			continue
		}
		paths = append(paths, p)
	}
	if err := root.read(paths); err != nil {
		return nil, err
	}
	var out []elf.Object
	for _, p := range paths {
		o, isELF, err := root.object(p)
		if err != nil {
			return nil, err
		}
		if isELF {
			out = append(out, o)
		}
	}
	return out, nil
}

func ignored(patterns []string, p string) bool {
	for _, pattern := range patterns {
		if ok, err := path.Match(pattern, p); ok && err == nil {
			return true
		}
	}
	return false
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func linkError(rt Runtime, root *sysroot, problems []elf.Problem) error {
	e := &LinkError{}
	for _, p := range problems {
		lp := LinkProblem{Problem: p}
		if have, ok := root.at[strings.TrimPrefix(p.Found, "/")]; ok && p.Found != "" && have.tree >= 0 {
			lp.Package, lp.PackageVersion = rt.Packages[have.tree].Name, rt.Packages[have.tree].Version
		}
		e.Problems = append(e.Problems, lp)
	}
	return e
}

// shellFiles marks the tools of a shell as used. awk is an alternative, which
// only configuring a package would set.
func shellFiles(root *sysroot) ([]FileOf, error) {
	var links []FileOf
	var missing []string
	for _, tool := range shellTools {
		if _, ok := root.use("/usr/bin/" + tool); ok {
			continue
		}
		if tool == "awk" {
			if _, ok := root.use("/usr/bin/mawk"); ok {
				links = append(links, FileOf{Entry: symlink("usr/bin/awk", "mawk")})
				continue
			}
		}
		missing = append(missing, tool)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("add a shell: no package of the image has %s", strings.Join(missing, ", "))
	}
	return links, nil
}

// split takes the used files of each package into its layer.
func (f *packageFiles) split(rt Runtime, root *sysroot, links []FileOf) error {
	extra, err := Files(links...)
	if err != nil {
		return err
	}
	base, libraries := []Tree{}, []Tree{extra}
	documented := make(map[string]bool) // packages whose licence another one's link leads to
	for round := 0; round < 2; round++ {
		base, libraries = base[:0], append(libraries[:0], extra)
		f.included, f.own = f.included[:0], f.own[:0]
		for i, p := range rt.Packages {
			t, in, err := part(p, func(e tarball.Entry) bool {
				return root.used[e.Path] && root.at[e.Path].tree == i
			}, documented[p.Name])
			if err != nil {
				return err
			}
			if in.Files == 0 && !documented[p.Name] {
				continue
			}
			f.included = append(f.included, in)
			if owner := licenceOf(t, p.Name); owner != "" {
				documented[owner] = true
			}
			switch {
			case p.Own:
				f.own = append(f.own, ownFiles{p, t})
			case basePackages[p.Name]:
				base = append(base, t)
			default:
				libraries = append(libraries, t)
			}
		}
	}
	if f.base, err = Merge(base...); err != nil {
		return err
	}
	f.libraries, err = Merge(libraries...)
	return err
}

// loads reports whether a package that was compiled for the image has a part in
// it: a library that is used, or none at all, being part of what uses it. Then its
// licence and the modules that its libraries open come along.
func loads(t Tree, used func(tarball.Entry) bool) bool {
	libraries := false
	for _, e := range t.Entries() {
		if e.Kind != tarball.Dir && used(e) {
			return true
		}
		libraries = libraries || isLibrary(e.Path)
	}
	return !libraries
}

func isLibrary(p string) bool {
	name := path.Base(p)
	return strings.HasPrefix(name, "lib") && strings.Contains(name, ".so")
}

// part is what an image takes of one package. Licence and record come along if
// anything else does.
func part(p Package, used func(tarball.Entry) bool, documented bool) (Tree, Included, error) {
	in := Included{Name: p.Name, Version: p.Version, Whole: p.Whole}
	modules := p.Own && loads(p.Tree, used)
	take := func(e tarball.Entry) bool {
		if isRecord(p.Name, e.Path) {
			return false
		}
		if _, ok := mergedUsr(env.LinuxAMD64)[e.Path]; ok {
			return false // the skeleton has them
		}
		if p.Name == "ca-certificates" && (strings.HasPrefix(e.Path, bundleSource) || e.Path == "etc/ca-certificates.conf") {
			return false // the bundle has them
		}
		if modules && e.Kind != tarball.Dir && !isLibrary(e.Path) {
			return true
		}
		return p.Whole && slim(e) || e.Kind != tarball.Dir && (used(e) || alwaysNeeds(p.Name, e.Path))
	}
	for _, e := range p.Tree.Entries() {
		if e.Kind != tarball.Dir && take(e) {
			in.Files++
			in.Bytes += e.Size
		}
	}
	bundled := p.Name == "ca-certificates"
	with := in.Files > 0 || documented || bundled || modules
	if (bundled || modules) && in.Files == 0 {
		in.Files = 1 // the bundle, or the licence of what is linked in
	}
	t, err := Filter(p.Tree, func(e tarball.Entry) bool {
		return take(e) || with && e.Kind != tarball.Dir && isRecord(p.Name, e.Path)
	})
	return t, in, err
}

// isRecord reports whether a path is a package's licence or its record for
// scanners.
func isRecord(pkg, p string) bool {
	doc := "usr/share/doc/" + pkg
	return p == doc || p == doc+"/copyright" || p == "var/lib/dpkg/status.d/"+pkg
}

// licenceOf is the package whose documentation directory pkg's is a link to.
func licenceOf(t Tree, pkg string) string {
	for _, e := range t.Entries() {
		if e.Path == "usr/share/doc/"+pkg && e.Kind == tarball.Symlink {
			return path.Base(e.Link)
		}
	}
	return ""
}
