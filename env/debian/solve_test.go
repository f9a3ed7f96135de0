package debian

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

// universeOf reads packages, one a line: "name version; Field: value; …".
func universeOf(t testing.TB, lines ...string) *universe {
	t.Helper()
	u := newUniverse("amd64")
	u.suites = []string{"trixie"}
	for _, line := range lines {
		head, rest, _ := strings.Cut(line, ";")
		name, version, _ := strings.Cut(strings.TrimSpace(head), " ")
		s := &stanza{name: name, version: version, arch: "amd64", source: name, sourceVersion: version, suite: "trixie",
			path: name, size: 1, digest: digest.FromString(line)}
		for field := range strings.SplitSeq(rest, ";") {
			key, value, _ := strings.Cut(strings.TrimSpace(field), ": ")
			switch key {
			case "":
			case "Depends":
				s.depends = value
			case "Pre-Depends":
				s.preDepends = value
			case "Provides":
				s.provides = value
			case "Conflicts":
				s.conflicts = value
			case "Breaks":
				s.breaks = value
			case "Priority":
				s.priority = value
			case "Suite":
				s.suite = value
			default:
				t.Fatalf("field %q", key)
			}
		}
		if err := u.add(s); err != nil {
			t.Fatal(err)
		}
	}
	u.sort()
	return u
}

func needsOf(t testing.TB, roots ...string) []need {
	t.Helper()
	var out []need
	for _, r := range roots {
		g, err := ParseGroup(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, need{set: "tools", group: g})
	}
	return out
}

func names(sel *selection) []string {
	var out []string
	for _, s := range sel.chosen {
		out = append(out, s.id())
	}
	slices.Sort(out)
	return out
}

func TestSolve(t *testing.T) {
	for _, tt := range []struct {
		name     string
		packages []string
		roots    []string
		want     []string
		err      []string // parts of the error
	}{
		{name: "newest of all suites", packages: []string{"a 1", "a 2; Suite: trixie-security"}, roots: []string{"a"}, want: []string{"a 2"}},
		{name: "depends and pre-depends", packages: []string{"a 1; Depends: b; Pre-Depends: c (>= 1)", "b 1; Depends: a", "c 1", "d 1"},
			roots: []string{"a"}, want: []string{"a 1", "b 1", "c 1"}},
		{name: "first alternative", packages: []string{"a 1; Depends: b | c", "b 1", "c 1"}, roots: []string{"a"}, want: []string{"a 1", "b 1"}},
		{name: "alternative that is there already", packages: []string{"a 1; Depends: b | c", "b 1", "c 1"}, roots: []string{"a", "c"}, want: []string{"a 1", "c 1"}},
		{name: "real before virtual", packages: []string{"a 1; Depends: v | c", "b 1; Provides: v", "c 1"}, roots: []string{"a"}, want: []string{"a 1", "c 1"}},
		{name: "provider by priority", packages: []string{"a 1; Depends: awk", "gawk 1; Provides: awk; Priority: optional", "mawk 1; Provides: awk; Priority: required"},
			roots: []string{"a"}, want: []string{"a 1", "mawk 1"}},
		{name: "provider by name", packages: []string{"a 1; Depends: awk", "c 1; Provides: awk", "b 1; Provides: awk"}, roots: []string{"a"}, want: []string{"a 1", "b 1"}},
		{name: "versioned provides", packages: []string{"a 1; Depends: v (>= 2)", "b 1; Provides: v", "c 1; Provides: v (= 1)", "d 1; Provides: v (= 2)"},
			roots: []string{"a"}, want: []string{"a 1", "d 1"}},
		{name: "qualifiers", packages: []string{"a 1; Depends: b:any, c:native, d:amd64", "b 1", "c 1", "d 1"}, roots: []string{"a"}, want: []string{"a 1", "b 1", "c 1", "d 1"}},
		{name: "a name asked for is meant", packages: []string{"pkg-config 1", "pkgconf 1; Provides: pkg-config (= 2)"}, roots: []string{"pkg-config", "pkgconf"},
			want: []string{"pkg-config 1", "pkgconf 1"}},
		{name: "older where newer cannot be", packages: []string{"a 2; Depends: none", "a 1"}, roots: []string{"a"}, want: []string{"a 1"}},
		{name: "exact siblings", packages: []string{"a 1; Depends: b (= 1)", "a 2; Depends: b (= 2)", "b 1", "b 2"}, roots: []string{"a", "b (<< 2)"}, want: []string{"a 1", "b 1"}},
		{name: "conflict makes the other alternative", packages: []string{"a 1; Depends: b | c", "b 1; Conflicts: d", "c 1", "d 1"}, roots: []string{"a", "d"}, want: []string{"a 1", "c 1", "d 1"}},
		{name: "conflict found late", packages: []string{"a 1; Depends: b | c", "b 1; Depends: e", "c 1", "d 1", "e 1; Breaks: d (<< 2)"}, roots: []string{"a", "d"}, want: []string{"a 1", "c 1", "d 1"}},
		{name: "conflict with what it provides", packages: []string{"a 1; Provides: mta; Conflicts: mta"}, roots: []string{"a"}, want: []string{"a 1"}},
		{name: "conflict by version", packages: []string{"a 1; Conflicts: b (<< 2)", "b 2"}, roots: []string{"a", "b"}, want: []string{"a 1", "b 2"}},
		{name: "unversioned provides escapes versioned conflict", packages: []string{"a 1; Conflicts: v (<< 2)", "b 2; Provides: v"}, roots: []string{"a", "b"}, want: []string{"a 1", "b 2"}},
		{name: "nothing left of a choice taken back", packages: []string{"a 1; Depends: b | c", "b 1; Depends: x, y", "x 1", "y 1; Conflicts: d", "c 1", "d 1"},
			roots: []string{"a", "d"}, want: []string{"a 1", "c 1", "d 1"}},
		{name: "depends on itself", packages: []string{"a 1; Provides: v; Depends: v"}, roots: []string{"a"}, want: []string{"a 1"}},
		{name: "architecture list", packages: []string{"a 1"}, roots: []string{"a", "none [arm64]"}, want: []string{"a 1"}},

		{name: "no such package", packages: []string{"a 1; Depends: b", "b 1; Depends: nope (>= 2)"}, roots: []string{"a"},
			err: []string{"nope (>= 2), needed by tools -> a 1 -> b 1: no such package for amd64 in trixie"}},
		{name: "only other versions", packages: []string{"a 1; Depends: b (>= 3)", "b 1", "b 2; Suite: trixie-security"}, roots: []string{"a"},
			err: []string{"b (>= 3), needed by tools -> a 1: there is only 2 (trixie-security), 1 (trixie)"}},
		{name: "provides without version", packages: []string{"a 1; Depends: v (>= 3)", "b 1; Provides: v"}, roots: []string{"a"}, err: []string{"b 1 provides it without a version"}},
		{name: "conflict", packages: []string{"a 1; Depends: c", "b 1", "c 1; Conflicts: b"}, roots: []string{"a", "b"}, err: []string{"b 1, needed by tools: c 1 conflicts with b (tools -> a 1)"}},
		{name: "breaks", packages: []string{"a 1; Breaks: b (<< 2)", "b 1"}, roots: []string{"a", "b"}, err: []string{"a 1 breaks b (<< 2)"}},
		{name: "two versions", packages: []string{"a 1; Depends: c (= 1)", "b 1; Depends: c (= 2)", "c 1", "c 2"}, roots: []string{"a", "b"},
			err: []string{"c (= 1), needed by tools -> a 1: only c 1 would do", "c (= 2), needed by tools -> b 1: only c 2 would do"}},
		{name: "both alternatives", packages: []string{"a 1; Depends: b | c", "b 1; Depends: x", "c 1; Depends: y"}, roots: []string{"a"}, err: []string{"x, needed by tools -> a 1 -> b 1", "y, needed by tools -> a 1 -> c 1"}},
		{name: "other architecture", packages: []string{"a 1"}, roots: []string{"a:arm64"}, err: []string{"cannot be in a root of amd64"}},
		{name: "malformed", packages: []string{"a 1; Depends: ("}, roots: []string{"a"}, err: []string{"package a 1: parse relation"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// The order of packages and requests must not matter.
			for seed := range int64(4) {
				r := rand.New(rand.NewSource(seed))
				packages, roots := slices.Clone(tt.packages), slices.Clone(tt.roots)
				if seed > 0 {
					r.Shuffle(len(packages), func(i, j int) { packages[i], packages[j] = packages[j], packages[i] })
				}
				sel, err := universeOf(t, packages...).solve(needsOf(t, roots...), nil)
				if tt.err != nil {
					for _, part := range tt.err {
						if err == nil || !strings.Contains(err.Error(), part) {
							t.Fatalf("error %v\nwant %s", err, part)
						}
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, names(sel)); diff != "" {
					t.Fatal(diff)
				}
			}
		})
	}
}

// TestSolveAgainstSearch compares with trying every subset.
func TestSolveAgainstSearch(t *testing.T) {
	solvable := 0
	for seed := range int64(400) {
		r := rand.New(rand.NewSource(seed))
		var lines []string
		pick := func() string {
			name := string(rune('a' + r.Intn(5)))
			switch r.Intn(4) {
			case 0:
				return name + fmt.Sprintf(" (>= %d)", 1+r.Intn(2))
			case 1:
				return name + fmt.Sprintf(" (= %d)", 1+r.Intn(2))
			}
			return name
		}
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			for v := 1; v <= 2; v++ {
				line := fmt.Sprintf("%s %d", name, v)
				for range r.Intn(3) {
					if !strings.Contains(line, "Depends") {
						line += "; Depends: " + pick() + " | " + pick() + ", " + pick()
					} else {
						line += "; Conflicts: " + pick()
						break
					}
				}
				if r.Intn(5) == 0 {
					line += "; Provides: " + string(rune('a'+r.Intn(5))) + " (= 2)"
				}
				lines = append(lines, line)
			}
		}
		u := universeOf(t, lines...)
		needs := needsOf(t, "a (= 2)", "b | c", "d (= 1)", "e (= 2)")
		sel, err := u.solve(needs, nil)
		possible := trySubsets(u, needs)
		if (err == nil) != possible {
			t.Fatalf("seed %d: %v, but possible is %v:\n%s", seed, err, possible, strings.Join(lines, "\n"))
		}
		if err == nil {
			solvable++
			continue
		}
		var unsat *UnsatisfiableError
		if !errors.As(err, &unsat) || len(unsat.Problems) == 0 || sel != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if solvable < 50 || solvable > 350 {
		t.Errorf("%d of 400 are solvable: the cases are too one-sided", solvable)
	}
}

// trySubsets gives each name one of its versions, or none.
func trySubsets(u *universe, needs []need) bool {
	list := []string{"a", "b", "c", "d", "e"}
	for n := range 243 {
		sel := selection{u: u, chosen: make(map[string]*stanza)}
		for _, name := range list {
			if pick := n % 3; pick > 0 {
				sel.chosen[name] = u.byName[name][pick-1]
			}
			n /= 3
		}
		good := sel.verify() == nil
		for _, want := range needs {
			p := sel.meets(want.group)
			named := u.named(want.group, u.choices(want.group))
			good = good && p != nil && slices.ContainsFunc(named, func(s *stanza) bool { return sel.chosen[s.name] == s })
		}
		if good {
			return true
		}
	}
	return false
}
