package debian

import (
	"context"
	"maps"
	"slices"

	"github.com/retort-build/retort/env"
)

// A Chooser chooses packages again and again from indices that are read once.
type Chooser struct{ u *universe }

func (a *Archive) Choosers(ctx context.Context, req Request, platforms []env.Platform) ([]Chooser, error) {
	l, err := a.loader(&req)
	if err != nil {
		return nil, err
	}
	states, _, err := l.suites(ctx)
	if err != nil {
		return nil, err
	}
	all, err := l.universes(ctx, states, platforms)
	var out []Chooser
	for _, u := range all {
		out = append(out, Chooser{u})
	}
	return out, err
}

// Names are those of all packages.
func (c Chooser) Names() []string { return slices.Sorted(maps.Keys(c.u.byName)) }

// Choose returns "name version" of what the roots and the essential packages come
// down to.
func (c Chooser) Choose(roots []string) (essential, chosen []string, err error) {
	needs := c.u.essentials()
	for _, n := range needs {
		essential = append(essential, n.group[0].Name)
	}
	for _, name := range roots {
		needs = append(needs, need{set: "random", group: Group{{Name: name}}})
	}
	sel, err := c.u.solve(needs, nil)
	if err != nil {
		return essential, nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(sel.chosen)) {
		chosen = append(chosen, name+" "+sel.chosen[name].version)
	}
	slices.Sort(chosen)
	return essential, chosen, nil
}
