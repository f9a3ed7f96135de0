package hex

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/fetch"
)

// FromPin returns a pin as an entry of a lock, for [Candidates] and [Unpack].
func FromPin(p env.HexPin) Locked {
	return Locked{
		App: p.Name, Kind: Package, Name: p.Name, Version: p.Version,
		Inner: p.Inner, Outer: p.Outer, Repo: p.Repo, Managers: []string{"rebar3"},
	}
}

// Resolver pins rebar3 plugins, which dependencies name in their own
// rebar.config and which therefore stand in no mix.lock.
type Resolver struct {
	Repos []Repo
	Fetch *fetch.Client // nil is a Client with defaults
}

// maxPins bounds what one set of plugins may draw in.
const maxPins = 1000

// Resolve returns exact pins of the wanted packages and of all they require,
// sorted by name. Of the versions that a requirement admits it takes the
// highest that is not retired; a version named exactly may be. Optional
// requirements are left out, as rebar3 has none. Two requirements on one
// package that no single version meets are an error: the one that was chosen
// first stands in it.
func (r Resolver) Resolve(ctx context.Context, want []Requirement) ([]env.HexPin, error) {
	s := solver{resolver: r, pins: map[string]env.HexPin{}, asked: map[string][]Requirement{}}
	queue := slices.Clone(want)
	slices.SortFunc(queue, func(a, b Requirement) int { return strings.Compare(a.Name, b.Name) })
	// The user's own wishes bind before those of packages, whatever the order.
	for _, q := range queue {
		s.asked[q.Name] = append(s.asked[q.Name], q)
	}
	for len(queue) > 0 {
		more, err := s.take(ctx, queue[0])
		if err != nil {
			return nil, fmt.Errorf("resolve %s %s: %w", queue[0].Name, queue[0].Version, err)
		}
		queue = append(queue[1:], more...)
	}
	pins := make([]env.HexPin, 0, len(s.pins))
	for _, p := range s.pins {
		pins = append(pins, p)
	}
	slices.SortFunc(pins, func(a, b env.HexPin) int { return strings.Compare(a.Name, b.Name) })
	return pins, nil
}

type solver struct {
	resolver Resolver
	pins     map[string]env.HexPin    // by package
	asked    map[string][]Requirement // by package
}

// take pins the package of q and returns what that package requires.
func (s *solver) take(ctx context.Context, q Requirement) ([]Requirement, error) {
	if q.Repo == "" {
		q.Repo = DefaultRepo
	}
	if !packageName.MatchString(q.Name) {
		return nil, fmt.Errorf("%q is no package name", q.Name)
	}
	if pin, ok := s.pins[q.Name]; ok {
		return nil, fits(pin, q)
	}
	if len(s.pins) == maxPins {
		return nil, fmt.Errorf("more than %d packages", maxPins)
	}
	releases, err := s.load(ctx, q)
	if err != nil {
		return nil, err
	}
	best, err := choose(releases, append(s.asked[q.Name], q))
	if err != nil {
		return nil, err
	}
	if best.Outer == "" || best.Inner == "" {
		return nil, fmt.Errorf("the registry has no checksum of %s-%s", q.Name, best.Version)
	}
	s.pins[q.Name] = env.HexPin{Name: q.Name, Version: best.Version, Repo: q.Repo, Inner: best.Inner, Outer: best.Outer}
	var more []Requirement
	for _, d := range best.Requires {
		if !d.Optional {
			more = append(more, d)
		}
	}
	return more, nil
}

// fits checks a package that is pinned already against another requirement.
func fits(pin env.HexPin, q Requirement) error {
	if pin.Repo != q.Repo {
		return fmt.Errorf("it is pinned from repository %s and wanted from %s", pin.Repo, q.Repo)
	}
	req, err := parseRequirement(q.Version)
	if err != nil {
		return err
	}
	v, err := parseVersion(pin.Version, false)
	if err != nil {
		return err
	}
	if !req.admits(v) {
		return fmt.Errorf("%s is chosen already, which does not meet it", pin.Version)
	}
	return nil
}

// choose returns the best release that all requirements admit.
func choose(releases []Release, wants []Requirement) (Release, error) {
	var reqs []requirement
	exact := false
	for _, w := range wants {
		r, err := parseRequirement(w.Version)
		if err != nil {
			return Release{}, err
		}
		exact = exact || len(r) == 1 && len(r[0]) == 1 && r[0][0].operator == "=="
		reqs = append(reqs, r)
	}
	var best *Release
	var bestVersion version
	for i, rel := range releases {
		v, err := parseVersion(rel.Version, false)
		if err != nil || rel.Retired && !exact {
			continue
		}
		if slices.ContainsFunc(reqs, func(r requirement) bool { return !r.admits(v) }) {
			continue
		}
		if best == nil || v.compare(bestVersion) > 0 {
			best, bestVersion = &releases[i], v
		}
	}
	if best == nil {
		return Release{}, fmt.Errorf("none of its %d releases meets that", len(releases))
	}
	return *best, nil
}

// load fetches and verifies a package's registry file. A source whose file
// does not verify is passed over like one that has none.
func (s *solver) load(ctx context.Context, q Requirement) ([]Release, error) {
	repo, err := find(q.Repo, s.resolver.Repos)
	if err != nil {
		return nil, err
	}
	urls, header, err := locate(q.Repo, s.resolver.Repos, "/packages/"+url.PathEscape(q.Name))
	if err != nil {
		return nil, err
	}
	client := s.resolver.Fetch
	if client == nil {
		client = &fetch.Client{}
	}
	var errs []error
	for _, u := range urls {
		var body buffer
		_, err := client.Get(ctx, fetch.Request{URLs: []string{u}, MaxSize: maxRegistry, Header: header}, &body)
		if err == nil {
			var releases []Release
			if releases, err = ReadReleases(repo, q.Name, body.Bytes()); err == nil {
				return releases, nil
			}
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// buffer is a fetch.Sink in memory.
type buffer struct{ bytes.Buffer }

func (b *buffer) Reset() error {
	b.Buffer.Reset()
	return nil
}
