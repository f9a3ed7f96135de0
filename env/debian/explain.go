package debian

import (
	"fmt"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
)

// UnsatisfiableError says why no set of packages meets what was asked for.
type UnsatisfiableError struct {
	Platform env.Platform
	Problems []Problem // which together leave no choice
}

// Problem is one requirement that stands in the way.
type Problem struct {
	Requirement string   // "erlang-base (>= 1:28)"
	Chain       []string // how it came to be asked: the set, then packages with versions
	Why         string   // why it is not met
	Elsewhere   []string // architectures that have a package which this one has not
}

func (p Problem) String() string {
	s := p.Requirement + ": " + p.Why
	if len(p.Chain) > 0 {
		s = p.Requirement + ", needed by " + strings.Join(p.Chain, " -> ") + ": " + p.Why
	}
	return s
}

func (e *UnsatisfiableError) Error() string {
	parts := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		parts[i] = p.String()
	}
	return fmt.Sprintf("no choice of packages for %s: %s", e.Platform, strings.Join(parts, "; "))
}

// mostProblems keeps an explanation readable.
const mostProblems = 6

// explain turns a clause that is violated before any decision into words: the
// clauses of the indices which it follows from, told from the requests down.
func (s *search) explain(bad int) error {
	core := s.core(bad)
	chains := s.chains(core)
	var missing, clashes []Problem
	told := make(map[string]bool)
	for _, n := range core {
		c := &s.clauses[n]
		switch c.why.kind {
		case needs:
			if !slices.ContainsFunc(c.lits, literal.positive) {
				missing = append(missing, Problem{
					Requirement: c.why.group.String(), Chain: s.chainOf(c, chains), Why: s.u.absence(c.why.group), Elsewhere: s.u.others(c.why.group),
				})
			}
		case conflicts:
			p, q := s.pkgs[c.why.owner], s.pkgs[c.lits[1].variable()]
			// Every pair of versions clashes in the same words: one will do.
			if pair := p.name + " " + c.why.with.String() + " " + q.name; !told[pair] {
				told[pair] = true
				clashes = append(clashes, Problem{
					Requirement: q.id(), Chain: trimLast(chains[c.lits[1].variable()]),
					Why: fmt.Sprintf("%s %s %s (%s)", p.id(), c.why.field, c.why.with, strings.Join(trimLast(chains[c.why.owner]), " -> ")),
				})
			}
		}
	}
	problems := append(missing, clashes...)
	if len(problems) == 0 || s.versionsClash(core) && len(missing) == 0 {
		problems = append(problems, s.demands(core, chains)...)
	}
	return &UnsatisfiableError{Problems: problems[:min(len(problems), mostProblems)]}
}

// core collects the clauses that a violation at level 0 rests on, in the order
// in which they came.
func (s *search) core(bad int) []int {
	seen := make(map[int]bool)
	queue := []int{bad}
	var leaves []int
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		if n < 0 || seen[n] {
			continue
		}
		seen[n] = true
		c := &s.clauses[n]
		queue = append(queue, c.from...)
		for _, l := range c.lits {
			if s.is(l) != 0 {
				queue = append(queue, s.cause[l.variable()])
			}
		}
		if c.why.kind != learned {
			leaves = append(leaves, n)
		}
	}
	slices.Sort(leaves)
	return leaves
}

// chains finds for each package of the core a shortest way from a request.
func (s *search) chains(core []int) map[int][]string {
	chains := make(map[int][]string)
	for grown := true; grown; {
		grown = false
		for _, n := range core {
			c := &s.clauses[n]
			if c.why.kind != needs {
				continue
			}
			base := s.chainOf(c, chains)
			if base == nil {
				continue
			}
			for _, l := range c.lits {
				v := l.variable()
				if old, known := chains[v]; l.positive() && (!known || len(old) > len(base)+1) {
					chains[v] = append(slices.Clip(base), s.pkgs[v].id())
					grown = true
				}
			}
		}
	}
	return chains
}

// chainOf is the way to the owner of a need, or nil when none is known.
func (s *search) chainOf(c *clause, chains map[int][]string) []string {
	if c.why.owner < 0 {
		return []string{c.why.set}
	}
	return chains[c.why.owner]
}

// versionsClash says whether the core rests on a name having one version only.
func (s *search) versionsClash(core []int) bool {
	return slices.ContainsFunc(core, func(n int) bool { return s.clauses[n].why.kind == oneVersion })
}

// demands lists the needs of the core that more than one version would meet,
// or that exclude each other.
func (s *search) demands(core []int, chains map[int][]string) []Problem {
	disputed := make(map[string]bool)
	for _, n := range core {
		if c := &s.clauses[n]; c.why.kind == oneVersion {
			disputed[s.pkgs[c.why.owner].name] = true
		}
	}
	var out []Problem
	for _, n := range core {
		c := &s.clauses[n]
		if c.why.kind != needs {
			continue
		}
		var ids []string
		relevant := len(disputed) == 0
		for _, l := range c.lits {
			if l.positive() {
				p := s.pkgs[l.variable()]
				ids = append(ids, p.id())
				relevant = relevant || disputed[p.name]
			}
		}
		if relevant {
			out = append(out, Problem{
				Requirement: c.why.group.String(), Chain: s.chainOf(c, chains),
				Why: "only " + strings.Join(ids, " or ") + " would do",
			})
		}
	}
	return out
}

// others are the architectures that have a package of a group, where this one has none.
func (u *universe) others(g Group) []string {
	if len(g) != 1 || u.elsewhere == nil || len(u.byName[g[0].Name]) > 0 {
		return nil
	}
	return u.elsewhere(g[0].Name)
}

// absence says why nothing meets a group.
func (u *universe) absence(g Group) string {
	var parts []string
	for _, r := range g {
		var have []string
		for _, p := range u.byName[r.Name] {
			text := p.version + " (" + p.suite + ")"
			if why := u.banned[p]; why != "" {
				text += ", " + why
			}
			have = append(have, text)
		}
		for _, p := range u.provides[r.Name] {
			text := p.by.id() + " provides it without a version"
			if p.version != "" {
				text = p.by.id() + " provides version " + p.version
			}
			if why := u.banned[p.by]; why != "" {
				text += ", " + why
			}
			have = append(have, text)
		}
		prefix := ""
		if len(g) > 1 {
			prefix = r.Name + ": "
		}
		switch {
		case !r.sameArch(u.arch):
			parts = append(parts, prefix+"a package of architecture "+r.Arch+" cannot be in a root of "+u.arch)
		case len(have) > 0:
			parts = append(parts, prefix+"there is only "+strings.Join(have, ", "))
		default:
			where := fmt.Sprintf("no such package for %s in %s", u.arch, strings.Join(u.suites, ", "))
			if others := u.others(Group{r}); len(others) > 0 {
				where += ", though there is for " + strings.Join(others, ", ")
			}
			parts = append(parts, prefix+where)
		}
	}
	return strings.Join(parts, "; ")
}

func trimLast(chain []string) []string {
	if len(chain) == 0 {
		return nil
	}
	return chain[:len(chain)-1]
}
