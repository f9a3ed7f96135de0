package debian

import (
	"fmt"
)

// selection is a solution: one package a name.
type selection struct {
	u      *universe
	chosen map[string]*stanza
	bare   map[string]bool // names that are in without their dependencies
}

// addBare brings in the best choice for a need alone, unless something that
// meets it is in.
func (s *selection) addBare(n need) error {
	on := n.group.on(s.u.arch)
	if len(on) == 0 || s.meets(on) != nil {
		return nil
	}
	problem := Problem{Requirement: on.String(), Chain: []string{n.set}, Why: s.u.absence(on)}
	for _, p := range s.u.named(on, s.u.choices(on)) {
		if other := s.chosen[p.name]; other != nil {
			problem.Why = other.id() + " is needed by other sets"
			continue
		}
		s.chosen[p.name], s.bare[p.name] = p, true
		return nil
	}
	return &UnsatisfiableError{Problems: []Problem{problem}}
}

// meets returns the package of the selection that meets a group, the best one
// if there are several; nil if none does, or if the group does not hold on the
// architecture.
func (s *selection) meets(g Group) *stanza {
	for _, p := range s.u.choices(g.on(s.u.arch)) {
		if s.chosen[p.name] == p {
			return p
		}
	}
	return nil
}

// edges returns the packages that meet a package's Pre-Depends and Depends.
func (s *selection) edges(p *stanza) []*stanza {
	if s.bare[p.name] {
		return nil
	}
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
				if s.meets(g) == nil && len(g.on(s.u.arch)) > 0 {
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
				for _, r := range g.on(s.u.arch) {
					real, virtual := s.u.meeting(r)
					for _, q := range append(real, virtual...) {
						if s.chosen[q.name] == q && q.name != p.name {
							return fmt.Errorf("internal error: %s conflicts with %s", p.id(), q.id())
						}
					}
				}
			}
		}
	}
	return nil
}

// packageError is a relation of an index that cannot be read.
type packageError struct {
	id  string
	err error
}

func (e *packageError) Error() string { return fmt.Sprintf("package %s: %v", e.id, e.err) }
func (e *packageError) Unwrap() error { return e.err }
