package debian

import (
	"cmp"
	"fmt"
)

// selection is a solution: one package a name.
type selection struct {
	u      *universe
	chosen map[string]*stanza
}

// meets returns the package of the selection that meets a group, the best one
// if there are several; nil if none does, or if the group does not hold on the
// architecture.
func (s *selection) meets(g Group) *stanza {
	var on Group
	for _, r := range g {
		if r.on(s.u.arch) {
			on = append(on, r)
		}
	}
	for _, p := range s.u.choices(on) {
		if s.chosen[p.name] == p {
			return p
		}
	}
	return nil
}

// edges returns the packages that meet a package's Pre-Depends and Depends.
func (s *selection) edges(p *stanza) []*stanza {
	var out []*stanza
	for _, field := range []string{p.preDepends, p.depends} {
		// The search has parsed every field that comes by here.
		groups, _ := ParseRelations(field)
		for _, g := range groups {
			if q := s.meets(g); q != nil && q != p {
				out = append(out, q)
			}
		}
	}
	return out
}

// verify checks a solution anew, by the relations alone: it owes nothing to
// how the search works.
func (s *selection) verify() error {
	for _, p := range s.chosen {
		for _, field := range []string{p.preDepends, p.depends} {
			groups, err := ParseRelations(field)
			if err != nil {
				return &packageError{p.id(), err}
			}
			for _, g := range groups {
				if s.meets(g) == nil && g[0].on(s.u.arch) {
					return fmt.Errorf("internal error: %s lacks %s", p.id(), g)
				}
			}
		}
		for _, field := range []string{p.conflicts, p.breaks} {
			groups, err := ParseRelations(field)
			if err != nil {
				return &packageError{p.id(), err}
			}
			for _, g := range groups {
				real, virtual := s.u.meeting(g[0])
				for _, q := range append(real, virtual...) {
					if s.chosen[q.name] == q && q.name != p.name && g[0].on(s.u.arch) {
						return fmt.Errorf("internal error: %s conflicts with %s", p.id(), q.id())
					}
				}
			}
		}
	}
	return nil
}

func compareNames(a, b string) int { return cmp.Compare(a, b) }

// packageError is a relation of an index that cannot be read.
type packageError struct {
	id  string
	err error
}

func (e *packageError) Error() string { return fmt.Sprintf("package %s: %v", e.id, e.err) }
func (e *packageError) Unwrap() error { return e.err }
