package npm

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
)

// unfit returns the keys that npm leaves out on a platform: optional packages
// that are not for it, those of the optional ones that need them, and what is
// then needed by nobody. A package that is not for the platform and is needed
// is an error.
func (l *Lock) unfit(p env.Platform) (map[string]bool, error) {
	left := map[string]bool{}
	for _, key := range slices.Sorted(maps.Keys(l.entries)) {
		e := l.entries[key]
		reason := e.refuses(p)
		if reason == "" {
			continue
		}
		if !e.optional {
			return nil, fmt.Errorf("%s %s is not for %s (%s), and is not optional", e.name, e.version, p, reason)
		}
		left[key] = true
	}
	if len(left) == 0 {
		return left, nil
	}
	for again := true; again; {
		again = false
		for key, e := range l.entries {
			if left[key] || !e.optional {
				continue
			}
			for _, need := range e.needs {
				if at, ok := l.resolve(key, need.name); ok && left[at] && !need.optional {
					left[key], again = true, true
				}
			}
		}
	}
	needed := l.needed(left)
	for key, e := range l.entries {
		if e.optional && !needed[key] {
			left[key] = true
		}
	}
	return left, nil
}

// needed returns the keys that can be reached from the project and the folders
// that links lead to, without those left out.
func (l *Lock) needed(left map[string]bool) map[string]bool {
	seen := map[string]bool{}
	var queue []string
	visit := func(key string) {
		if !seen[key] && !left[key] {
			seen[key] = true
			queue = append(queue, key)
		}
	}
	visit("")
	for key := range l.entries {
		if !strings.Contains("/"+key, "/node_modules/") {
			visit(key)
		}
	}
	for len(queue) > 0 {
		key := queue[0]
		queue = queue[1:]
		e := l.entries[key]
		if e.link {
			if to := path.Clean(e.resolved); l.entries[to] != nil {
				visit(to)
			}
		}
		for _, need := range e.needs {
			if at, ok := l.resolve(key, need.name); ok {
				visit(at)
			}
		}
	}
	return seen
}

// resolve finds the package that a name means in another's folder: in its own
// node_modules, or in one above.
func (l *Lock) resolve(from, name string) (string, bool) {
	for {
		key := path.Join(from, "node_modules", name)
		if l.entries[key] != nil {
			return key, true
		}
		if from == "" || from == "." || from == ".." || strings.HasSuffix(from, "/..") {
			return "", false
		}
		if from = path.Dir(from); from == "." {
			from = ""
		}
	}
}

// refuses says why a package is not for a platform, or "".
func (e *entry) refuses(p env.Platform) string {
	cpu := p.Arch()
	if p == env.LinuxAMD64 {
		cpu = "x64"
	}
	for _, c := range []struct {
		key, value string
		list       []string
	}{{"os", "linux", e.os}, {"cpu", cpu, e.cpu}, {"libc", "glibc", e.libc}} { // all that retort builds on is Debian
		if !fits(c.value, c.list) {
			return c.key + " " + strings.Join(c.list, ", ")
		}
	}
	return ""
}

// fits reports whether a value is none of those that begin with "!" and, if
// there are others, one of them.
func fits(value string, list []string) bool {
	if len(list) == 0 || len(list) == 1 && list[0] == "any" {
		return true
	}
	match, negated := false, 0
	for _, item := range list {
		if no, ok := strings.CutPrefix(item, "!"); ok {
			negated++
			if no == value {
				return false
			}
			continue
		}
		match = match || item == value
	}
	return match || negated == len(list)
}
