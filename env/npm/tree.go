package npm

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
)

// Tree is the folders that npm ci would make of a lock on one platform. All
// paths are relative to the project.
type Tree struct {
	Packages []Package // sorted by Path
	Links    []Link    // to folders and programs, sorted by Path
}

// Package is a package and its folder.
type Package struct {
	Path        string
	Name        string
	Version     string
	URL         string // as the lock has it, or at the registry
	Integrity   digest.Digest
	Executables []string // files below Path that are programs, sorted
	Script      bool     // it has an install script
}

// Link is a symbolic link.
type Link struct {
	Path   string
	Target string // relative to the folder that the link is in
}

// Tree returns the folders for a platform. dir is the folder of the
// package-lock.json, relative to the project.
func (l *Lock) Tree(dir string, p env.Platform) (Tree, error) {
	t, err := l.tree(dir, p)
	if err != nil {
		return Tree{}, fmt.Errorf("lay out %s: %w", l.name, err)
	}
	return t, nil
}

func (l *Lock) tree(dir string, p env.Platform) (Tree, error) {
	left, err := l.unfit(p)
	if err != nil {
		return Tree{}, err
	}
	var t Tree
	programs := map[string][]string{} // by key of the package whose tarball has them
	taken := map[string]bool{}        // paths of links
	for _, key := range slices.Sorted(maps.Keys(l.entries)) {
		e := l.entries[key]
		if left[key] {
			continue
		}
		in, _, installed := cutLast(key)
		if !installed { // the project, or where a link leads
			continue
		}
		at := path.Join(dir, key)
		if err := inside(at); err != nil {
			return t, fmt.Errorf("%s: %w", key, err)
		}
		bins := e
		switch {
		case e.link:
			link, err := l.link(dir, key)
			if err != nil {
				return t, fmt.Errorf("%s: %w", key, err)
			}
			t.Links = append(t.Links, link)
			if to := l.entries[path.Clean(e.resolved)]; to != nil {
				bins = to
			}
		case !e.inBundle:
			address, sum, err := e.source()
			if err != nil {
				return t, fmt.Errorf("%s: %w", key, err)
			}
			t.Packages = append(t.Packages, Package{Path: at, Name: e.name, Version: e.version, URL: address, Integrity: sum, Script: e.script})
		}
		for _, name := range slices.Sorted(maps.Keys(bins.bin)) {
			file := bins.bin[name]
			if owner, ok := l.owner(key); ok {
				programs[path.Join(dir, owner)] = append(programs[path.Join(dir, owner)], strings.TrimPrefix(path.Join(key, file), owner+"/"))
			}
			folder := path.Join(dir, in, "node_modules", ".bin")
			if at := path.Join(folder, name); !taken[at] {
				taken[at] = true
				t.Links = append(t.Links, Link{Path: at, Target: relative(folder, path.Join(dir, key, file))})
			}
		}
	}
	for i, p := range t.Packages {
		list := programs[p.Path]
		slices.Sort(list)
		t.Packages[i].Executables = slices.Compact(list)
	}
	slices.SortFunc(t.Packages, func(a, b Package) int { return strings.Compare(a.Path, b.Path) })
	slices.SortFunc(t.Links, func(a, b Link) int { return strings.Compare(a.Path, b.Path) })
	return t, nil
}

// owner is the key of the package whose tarball holds the files of a key: its
// own, or for a bundled one that of a package above; false for a link.
func (l *Lock) owner(key string) (string, bool) {
	for {
		e := l.entries[key]
		if e == nil || e.link {
			return "", false
		}
		if !e.inBundle {
			return key, true
		}
		var found bool
		if key, _, found = cutLast(key); !found || key == "" {
			return "", false
		}
	}
}

// link is the link of a key to a folder of the project.
func (l *Lock) link(dir, key string) (Link, error) {
	e := l.entries[key]
	if e.resolved == "" || strings.Contains(e.resolved, ":") || path.IsAbs(e.resolved) || strings.ContainsAny(e.resolved, "\\\x00") {
		return Link{}, fmt.Errorf("link to %.100q: want a folder of the project", e.resolved)
	}
	to := path.Join(dir, e.resolved)
	if err := inside(to); err != nil {
		return Link{}, fmt.Errorf("link to %.100q: %w", e.resolved, err)
	}
	at := path.Join(dir, key)
	return Link{Path: at, Target: relative(path.Dir(at), to)}, nil
}

// inside refuses paths that lead out of the project.
func inside(p string) error {
	if p == "." || p == ".." || strings.HasPrefix(p, "../") {
		return errors.New("lies outside the project's folder")
	}
	return nil
}

// relative is the way from a folder to a path, both relative to the project.
func relative(from, to string) string {
	rel, err := filepath.Rel(filepath.Join("/", from), filepath.Join("/", to))
	if err != nil { // both are absolute: there is always a way
		return to
	}
	return filepath.ToSlash(rel)
}
