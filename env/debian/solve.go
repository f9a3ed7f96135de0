package debian

import (
	"errors"
	"slices"
	"strings"
)

// The search is conflict-driven clause learning over "this package is in".
// Clauses are made only for packages that come in, and choices are made in
// apt's order, so that nothing is chosen which nothing needs; on a conflict the
// clause that explains it is learned and the search jumps back. It is complete
// and, as nothing in it depends on maps or time, deterministic.

// maxConflicts bounds the search. The closures measured need fewer than ten.
const maxConflicts = 20000

var errTooHard = errors.New("search for a consistent set of packages was given up")

// literal is a variable, or its negation when odd.
type literal int

func in(v int) literal              { return literal(2 * v) }
func out(v int) literal             { return literal(2*v + 1) }
func (l literal) not() literal      { return l ^ 1 }
func (l literal) variable() int     { return int(l) / 2 }
func (l literal) positive() bool    { return l&1 == 0 }
func (l literal) truth() int8       { return 1 - 2*int8(l&1) }
func (s *search) is(l literal) int8 { return s.value[l.variable()] * l.truth() }

// clause says that one of its literals holds, and why.
type clause struct {
	lits []literal
	why  reason
	from []int // for a learned clause: those that it follows from
}

// reason is what in the indices a clause stands for.
type reason struct {
	kind  reasonKind
	owner int      // variable of the package whose relation it is; -1 for a request
	set   string   // the set that requests it
	group Group    // what is needed
	with  Relation // what is conflicted with
	field string   // "conflicts with" or "breaks"
}

type reasonKind uint8

const (
	learned reasonKind = iota
	needs
	conflicts
	oneVersion
)

// search is the state of one solution being looked for.
type search struct {
	u        *universe
	pkgs     []*stanza // by variable
	number   map[*stanza]int
	value    []int8 // 1 in, -1 out, 0 open
	level    []int
	cause    []int // clause that forced the variable; -1 for a decision
	expanded []bool
	trail    []literal
	starts   []int // of each level on the trail
	head     int   // of what is still to be propagated
	clauses  []clause
	holding  [][]int // by literal: the clauses that hold it
	wanted   []int   // needs clauses, in the order in which they came
	err      error   // a malformed relation
}

// need is a requested group of a set.
type need struct {
	set   string
	group Group
}

// solve returns the packages that the needs come down to. Without a solution
// the error is an *UnsatisfiableError.
func solve(u *universe, requests []need) ([]*stanza, error) {
	s := &search{u: u, number: make(map[*stanza]int)}
	bad := -1
	for _, n := range requests {
		if c := s.require(-1, n.set, n.group); c >= 0 && bad < 0 {
			bad = c
		}
	}
	for violations := 0; ; {
		if bad < 0 {
			bad = s.propagate()
		}
		if s.err != nil {
			return nil, s.err
		}
		if bad < 0 {
			l, open := s.decide()
			if !open {
				return s.needed(requests), nil
			}
			s.starts = append(s.starts, len(s.trail))
			s.assign(l, -1)
			continue
		}
		if len(s.starts) == 0 {
			return nil, s.explain(bad)
		}
		if violations++; violations > maxConflicts {
			return nil, errTooHard
		}
		bad = s.learn(bad)
	}
}

// variable returns the number of a package. All versions of a name come in
// together, with the clauses that let only one of them in.
func (s *search) variable(p *stanza) int {
	if v, ok := s.number[p]; ok {
		return v
	}
	first := len(s.pkgs)
	for _, each := range s.u.byName[p.name] {
		s.number[each] = len(s.pkgs)
		s.pkgs = append(s.pkgs, each)
		s.value = append(s.value, 0)
		s.level = append(s.level, 0)
		s.cause = append(s.cause, -1)
		s.expanded = append(s.expanded, false)
		s.holding = append(s.holding, nil, nil)
	}
	for a := first; a < len(s.pkgs); a++ {
		for b := a + 1; b < len(s.pkgs); b++ {
			s.add(clause{lits: []literal{out(a), out(b)}, why: reason{kind: oneVersion, owner: a}})
		}
	}
	return s.number[p]
}

// require adds the clause that a group is met when its owner is in. It returns
// the clause when it is already violated, else -1.
func (s *search) require(owner int, set string, g Group) int {
	var lits []literal
	if owner >= 0 {
		lits = append(lits, out(owner))
	}
	on := g.on(s.u.arch)
	if len(on) == 0 {
		return -1
	}
	choices := s.u.choices(on)
	if owner < 0 {
		choices = s.u.named(on, choices)
	}
	for _, p := range choices {
		if p.partial {
			continue
		}
		v := s.variable(p)
		if v == owner {
			return -1
		}
		lits = append(lits, in(v))
	}
	s.wanted = append(s.wanted, len(s.clauses))
	return s.add(clause{lits: lits, why: reason{kind: needs, owner: owner, set: set, group: on}})
}

// expand adds what a package that came in needs and cannot stand.
func (s *search) expand(v int) int {
	s.expanded[v] = true
	p := s.pkgs[v]
	bad := -1
	note := func(c int) {
		if bad < 0 {
			bad = c
		}
	}
	for _, field := range []string{p.preDepends, p.depends} {
		for _, g := range s.parse(p, field) {
			note(s.require(v, "", g))
		}
	}
	for i, field := range []string{p.conflicts, p.breaks} {
		word := [...]string{"conflicts with", "breaks"}[i]
		for _, g := range s.parse(p, field) {
			for _, r := range g.on(s.u.arch) {
				real, virtual := s.u.meeting(r)
				for _, q := range append(real, virtual...) {
					// A package may conflict with a name that it provides itself.
					if q.name != p.name {
						note(s.add(clause{
							lits: []literal{out(v), out(s.variable(q))},
							why:  reason{kind: conflicts, owner: v, with: r, field: word},
						}))
					}
				}
			}
		}
	}
	return bad
}

func (s *search) parse(p *stanza, field string) []Group {
	groups, err := ParseRelations(field)
	if err != nil && s.err == nil {
		s.err = &packageError{p.id(), err}
	}
	return groups
}

// add takes a clause in under the present assignment.
func (s *search) add(c clause) int {
	n := len(s.clauses)
	s.clauses = append(s.clauses, c)
	for _, l := range c.lits {
		s.holding[l] = append(s.holding[l], n)
	}
	return s.check(n)
}

// check assigns the last open literal of a clause. It returns the clause when
// none of its literals can hold any more, else -1.
func (s *search) check(n int) int {
	var last literal
	open := 0
	for _, l := range s.clauses[n].lits {
		switch s.is(l) {
		case 1:
			return -1
		case 0:
			last = l
			open++
		}
	}
	switch open {
	case 0:
		return n
	case 1:
		s.assign(last, n)
	}
	return -1
}

func (s *search) assign(l literal, cause int) {
	v := l.variable()
	s.value[v], s.level[v], s.cause[v] = l.truth(), len(s.starts), cause
	s.trail = append(s.trail, l)
}

// propagate draws all conclusions. It returns a violated clause, or -1.
func (s *search) propagate() int {
	for s.head < len(s.trail) {
		l := s.trail[s.head]
		s.head++
		if v := l.variable(); l.positive() && !s.expanded[v] {
			if bad := s.expand(v); bad >= 0 {
				return bad
			}
		}
		for i := 0; i < len(s.holding[l.not()]); i++ {
			if bad := s.check(s.holding[l.not()][i]); bad >= 0 {
				return bad
			}
		}
	}
	return -1
}

// decide picks what to bring in next: for the first unmet need that names one
// package, else for the first unmet need, its best choice that is open.
func (s *search) decide() (literal, bool) {
	best := -1
	for _, n := range s.wanted {
		c := &s.clauses[n]
		if c.why.owner >= 0 && s.value[c.why.owner] != 1 || s.met(c) {
			continue
		}
		if len(c.why.group) == 1 && len(s.u.byName[c.why.group[0].Name]) > 0 {
			best = n
			break
		}
		if best < 0 {
			best = n
		}
	}
	if best < 0 {
		return 0, false
	}
	for _, l := range s.clauses[best].lits {
		if s.is(l) == 0 {
			return l, true
		}
	}
	return 0, false
}

func (s *search) met(c *clause) bool {
	return slices.ContainsFunc(c.lits, func(l literal) bool { return s.is(l) == 1 })
}

// learn derives from a violated clause the one that would have prevented it
// (the first unique implication point), jumps back to where that clause leaves
// one literal, and adds it.
func (s *search) learn(bad int) int {
	// A clause that came late may be violated below the present level.
	top := 0
	for _, l := range s.clauses[bad].lits {
		top = max(top, s.level[l.variable()])
	}
	s.undo(top)
	if top == 0 {
		return bad
	}
	seen := make(map[int]bool)
	var rest []literal
	from := []int{bad}
	open, at := 0, len(s.trail)-1
	lits := s.clauses[bad].lits
	var pivot literal
	for {
		for _, l := range lits {
			v := l.variable()
			if seen[v] || s.is(l) == 1 {
				continue
			}
			seen[v] = true
			if s.level[v] == top {
				open++
			} else {
				// What holds at level 0 stays in: explain follows it to its reasons.
				rest = append(rest, l)
			}
		}
		for !seen[s.trail[at].variable()] {
			at--
		}
		pivot = s.trail[at]
		at--
		if open--; open == 0 {
			break
		}
		n := s.cause[pivot.variable()]
		from = append(from, n)
		lits = s.clauses[n].lits
	}
	back := 0
	for _, l := range rest {
		back = max(back, s.level[l.variable()])
	}
	s.undo(back)
	return s.add(clause{lits: append(rest, pivot.not()), from: from})
}

// undo takes back all above a level.
func (s *search) undo(level int) {
	if level >= len(s.starts) {
		return
	}
	for _, l := range s.trail[s.starts[level]:] {
		s.value[l.variable()] = 0
	}
	s.trail = s.trail[:s.starts[level]]
	s.starts = s.starts[:level]
	s.head = min(s.head, len(s.trail))
}

// needed returns those packages that the requests reach. What was brought in
// for a choice that was taken back later is left behind.
func (s *search) needed(requests []need) []*stanza {
	chosen := make(map[string]*stanza)
	for v, p := range s.pkgs {
		if s.value[v] == 1 {
			chosen[p.name] = p
		}
	}
	sel := selection{u: s.u, chosen: chosen}
	var queue, keep []*stanza
	seen := make(map[*stanza]bool)
	for _, n := range requests {
		if p := sel.meets(n.group); p != nil {
			queue = append(queue, p)
		}
	}
	for len(queue) > 0 {
		p := queue[0]
		queue = queue[1:]
		if !seen[p] {
			seen[p] = true
			keep = append(keep, p)
			queue = append(queue, sel.edges(p)...)
		}
	}
	slices.SortFunc(keep, func(a, b *stanza) int { return strings.Compare(a.name, b.name) })
	return keep
}
