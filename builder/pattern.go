package builder

import (
	"fmt"
	"path"
	"strings"

	"github.com/retort-build/retort/layers"
)

// Select returns the files that patterns name: all if there are none. A
// pattern names a file or folder, with all below it; in a part between
// slashes, * ? and [] stand for bytes as in path.Match, and ** for any number
// of parts. A pattern without a file is an error: it is misspelt.
func Select(files []layers.SourceFile, patterns []string) ([]layers.SourceFile, error) {
	if patterns == nil {
		return files, nil
	}
	used := make([]bool, len(patterns))
	var out []layers.SourceFile
	for _, f := range files {
		chosen := false
		for i, p := range patterns {
			if matchPath(strings.Split(p, "/"), strings.Split(f.Path, "/")) {
				used[i], chosen = true, true
			}
		}
		if chosen {
			out = append(out, f)
		}
	}
	for i, p := range patterns {
		if !used[i] {
			return nil, fmt.Errorf("no file of the project matches %q", p)
		}
	}
	return out, nil
}

// matchPath reports whether a pattern names a path or a folder above it. The
// states it may be in are kept side by side, so that many ** cost no more than
// one.
func matchPath(pattern, path []string) bool {
	states := make([]bool, len(pattern)+1)
	states[0] = true
	spread(pattern, states)
	for _, part := range path {
		if states[len(pattern)] {
			return true
		}
		next := make([]bool, len(pattern)+1)
		for i, p := range pattern {
			switch {
			case !states[i]:
			case p == "**":
				next[i] = true
				next[i+1] = next[i+1] || i+1 == len(pattern)
			case matchPart(p, part):
				next[i+1] = true
			}
		}
		states = next
		spread(pattern, states)
	}
	return states[len(pattern)]
}

// spread lets each ** stand for no part at all, but for a last one: it names
// what lies in a folder.
func spread(pattern []string, states []bool) {
	for i, p := range pattern {
		if p == "**" && states[i] && i+1 < len(pattern) {
			states[i+1] = true
		}
	}
}

func matchPart(pattern, part string) bool {
	ok, err := path.Match(pattern, part)
	return ok && err == nil
}
