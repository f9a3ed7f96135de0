package debian

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/env"
)

// Resolve makes a lock for the request from the signed indices of the suite.
// Besides the errors of fetching, it returns *UnsatisfiableError,
// *VersionError, *SignatureError, *ExpiredError and *RollbackError.
func (a *Archive) Resolve(ctx context.Context, req Request) (Result, error) {
	result, err := a.resolve(ctx, req, nil)
	if err != nil {
		return Result{}, fmt.Errorf("resolve %s: %w", req.Suite, err)
	}
	return result, nil
}

// resolve does so without the lost pins, which no source serves.
func (a *Archive) resolve(ctx context.Context, req Request, lost map[digest.Digest]bool) (Result, error) {
	needs, err := req.needs()
	if err != nil {
		return Result{}, err
	}
	l, err := a.loader(&req)
	if err != nil {
		return Result{}, err
	}
	states, missing, err := l.suites(ctx)
	if err != nil {
		return Result{}, err
	}
	platforms := slices.Sorted(maps.Keys(needs))
	universes, err := l.universes(ctx, states, platforms)
	if err != nil {
		return Result{}, err
	}
	pins, err := l.pins(ctx, universes, lost)
	if err != nil {
		return Result{}, err
	}
	result := Result{Missing: missing}
	result.Lock = env.Lock{Manifest: req.Manifest, Suites: lockSuites(states), Sets: make(map[env.Platform]map[string][]string)}
	if req.Previous != nil {
		result.Lock.Plugins = req.Previous.Plugins
	}
	chosen := make(map[env.Platform][]*stanza)
	for i, p := range platforms {
		u := universes[i]
		pins.prefer(u, p)
		if err := demandTools(u, p, req.Suite, req.Tools); err != nil {
			var version *VersionError
			if errors.As(err, &version) {
				l.elsewhere(ctx, version)
			}
			return Result{}, err
		}
		wants := needs[p]
		if req.Essential {
			wants = append(wants, u.essentials()...)
		}
		sel, err := l.choose(u, p, wants, pins, lost)
		if err != nil {
			return Result{}, err
		}
		chosen[p] = sel.record(&result.Lock, p, wants)
	}
	result.Skew = skew(chosen)
	result.Moved = moved(req.Previous, &result.Lock)
	return result, nil
}

// needs parses the sets. The essential packages are added once the indices
// have named them.
func (r *Request) needs() (map[env.Platform][]need, error) {
	if r.Now.IsZero() {
		return nil, errors.New("no time to check the indices against")
	}
	if !isName(r.Suite) {
		return nil, fmt.Errorf("suite %q: not a name", r.Suite)
	}
	platforms := r.Platforms
	if len(platforms) == 0 {
		platforms = slices.Collect(maps.Keys(r.Sets))
	}
	if len(platforms) == 0 {
		return nil, errors.New("no platform")
	}
	for _, c := range r.Components {
		if !isName(c) {
			return nil, fmt.Errorf("component %q: not a name", c)
		}
	}
	out := make(map[env.Platform][]need)
	for _, p := range platforms {
		if !slices.Contains(env.Platforms(), p) {
			return nil, fmt.Errorf("platform %q: has no Debian architecture", p)
		}
		list := []need{}
		sets := r.Sets[p]
		for _, set := range slices.Sorted(maps.Keys(sets)) {
			for _, text := range slices.Sorted(slices.Values(sets[set])) {
				g, err := ParseGroup(text)
				if err != nil {
					return nil, fmt.Errorf("set %s: %w", set, err)
				}
				list = append(list, need{set: set, group: g})
			}
		}
		out[p] = list
	}
	return out, nil
}

// universes loads the packages of every platform.
func (l *loader) universes(ctx context.Context, states []*suiteState, platforms []env.Platform) ([]*universe, error) {
	all := make([]*universe, len(platforms))
	g, ctx := errgroup.WithContext(ctx)
	for i, p := range platforms {
		g.Go(func() (err error) {
			all[i], err = l.universe(ctx, states, p.Arch())
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, u := range all {
		u.elsewhere = func(name string) []string {
			var others []string
			for _, o := range all {
				if o != u && len(o.byName[name]) > 0 {
					others = append(others, o.arch)
				}
			}
			return others
		}
	}
	return all, nil
}

// choose solves one platform. Pins that are to move are first refused their
// old version, so that they move even where others would hold them; where that
// is impossible they may stay.
func (l *loader) choose(u *universe, p env.Platform, needs []need, pins *pinSet, lost map[digest.Digest]bool) (*selection, error) {
	for _, list := range u.byName {
		for _, s := range list {
			if lost[s.digest] {
				u.banned[s] = "but no source serves it"
			}
		}
	}
	var full, bare []need
	for _, n := range needs {
		if slices.Contains(l.req.Bare, n.set) {
			bare = append(bare, n)
		} else {
			full = append(full, n)
		}
	}
	leaving := pins.leaving(u, p)
	for _, s := range leaving {
		u.banned[s] = "which is to be updated"
	}
	sel, err := u.solve(full, bare)
	if err != nil && len(leaving) > 0 {
		for _, s := range leaving {
			delete(u.banned, s)
		}
		sel, err = u.solve(full, bare)
	}
	var unsat *UnsatisfiableError
	if errors.As(err, &unsat) {
		unsat.Platform = p
	}
	return sel, err
}

// solve finds a selection and verifies it. What only the bare needs ask for
// comes in last, without dependencies.
func (u *universe) solve(full, bare []need) (*selection, error) {
	list, err := solve(u, full)
	if err != nil {
		return nil, err
	}
	sel := &selection{u: u, chosen: make(map[string]*stanza, len(list)), bare: make(map[string]bool)}
	for _, s := range list {
		sel.chosen[s.name] = s
	}
	if err := sel.verify(); err != nil {
		return nil, err
	}
	for _, n := range bare {
		if err := sel.addBare(n); err != nil {
			return nil, err
		}
	}
	return sel, nil
}

// essentials are the needs for the suite's essential packages.
func (u *universe) essentials() []need {
	var out []need
	for _, name := range slices.Sorted(maps.Keys(u.byName)) {
		if slices.ContainsFunc(u.byName[name], func(s *stanza) bool { return s.essential }) {
			out = append(out, need{set: env.SetEssential, group: Group{{Name: name}}})
		}
	}
	return out
}

// record writes a selection into the lock, with the roots of each set.
func (s *selection) record(lock *env.Lock, p env.Platform, needs []need) []*stanza {
	sets := make(map[string][]string)
	for _, n := range needs {
		if root := s.meets(n.group); root != nil {
			sets[n.set] = append(sets[n.set], root.name)
		}
	}
	for set, roots := range sets {
		slices.Sort(roots)
		sets[set] = slices.Compact(roots)
	}
	lock.Sets[p] = sets
	var all []*stanza
	for _, name := range slices.Sorted(maps.Keys(s.chosen)) {
		c := s.chosen[name]
		all = append(all, c)
		var depends []string
		for _, q := range s.edges(c) {
			depends = append(depends, q.name)
		}
		slices.Sort(depends)
		lock.Packages = append(lock.Packages, env.Package{
			Platform: p, Name: c.name, Version: c.version, Architecture: c.arch, Source: c.source,
			Suite: c.suite, Archive: c.archive, Path: c.path, Size: c.size, Digest: c.digest,
			Depends: slices.Compact(depends),
		})
	}
	return all
}

// skew compares the versions of sources between the platforms.
func skew(chosen map[env.Platform][]*stanza) []Skew {
	versions := make(map[string]map[env.Platform][]string)
	for p, list := range chosen {
		for _, s := range list {
			if versions[s.source] == nil {
				versions[s.source] = make(map[env.Platform][]string)
			}
			if v := sourceVersion(s); !slices.Contains(versions[s.source][p], v) {
				versions[s.source][p] = append(versions[s.source][p], v)
			}
		}
	}
	var out []Skew
	for _, source := range slices.Sorted(maps.Keys(versions)) {
		sk := Skew{Source: source, Versions: make(map[env.Platform]string)}
		distinct := make(map[string]bool)
		for p, list := range versions[source] {
			slices.SortFunc(list, CompareVersions)
			sk.Versions[p] = strings.Join(list, ", ")
			distinct[sk.Versions[p]] = true
		}
		if len(distinct) > 1 {
			out = append(out, sk)
		}
	}
	return out
}

// sourceVersion is the version of a package's source. A rebuild without
// change ("+b1") is per architecture, and no skew.
func sourceVersion(s *stanza) string {
	if i := strings.LastIndex(s.sourceVersion, "+b"); i > 0 && strings.Trim(s.sourceVersion[i+2:], "0123456789") == "" {
		return s.sourceVersion[:i]
	}
	return s.sourceVersion
}

// moved compares the packages of two locks.
func moved(before, after *env.Lock) []Moved {
	if before == nil {
		return nil
	}
	type key struct {
		p    env.Platform
		name string
	}
	all := make(map[key]*Moved)
	same := make(map[key]digest.Digest)
	for _, pkg := range before.Packages {
		k := key{pkg.Platform, pkg.Name}
		all[k] = &Moved{Platform: pkg.Platform, Name: pkg.Name, From: pkg.Version}
		same[k] = pkg.Digest
	}
	for _, pkg := range after.Packages {
		k := key{pkg.Platform, pkg.Name}
		if all[k] == nil {
			all[k] = &Moved{Platform: pkg.Platform, Name: pkg.Name}
		}
		all[k].To = pkg.Version
		if same[k] == pkg.Digest {
			delete(all, k)
		}
	}
	var out []Moved
	for _, m := range all {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Moved) int {
		if c := strings.Compare(string(a.Platform), string(b.Platform)); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}
