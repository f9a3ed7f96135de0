package debian

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/fetch"
)

// probes is how many files are asked for at once; the client bounds each host.
const probes = 16

// pinSet is what of the previous lock holds for a request.
type pinSet struct {
	previous *env.Lock
	moving   map[string]bool // sources that are to be updated
	kept     map[digest.Digest]bool
}

// pins decides which pins may stay. One that the indices no longer list stays
// if its bytes are at hand or still served.
func (l *loader) pins(ctx context.Context, universes []*universe, lost map[digest.Digest]bool) (*pinSet, error) {
	s := &pinSet{moving: make(map[string]bool), kept: make(map[digest.Digest]bool)}
	old := l.req.Previous
	if old == nil || l.req.UpdateAll || !slices.ContainsFunc(old.Suites, func(s env.Suite) bool { return s.Name == l.req.Suite }) {
		return s, nil
	}
	s.previous = old
	if err := s.move(l.req.Update); err != nil {
		return nil, err
	}
	listed := make(map[digest.Digest]bool)
	for _, u := range universes {
		for i := range old.Packages {
			if pin := &old.Packages[i]; pin.Platform.Arch() == u.arch && u.find(pin.Name, pin.Digest) != nil {
				listed[pin.Digest] = true
			}
		}
	}
	var ask []env.Package
	for _, pin := range old.Packages {
		switch {
		case lost[pin.Digest] || s.moving[pin.Source]:
		case listed[pin.Digest]:
			s.kept[pin.Digest] = true
		default:
			ask = append(ask, pin)
		}
	}
	gone, err := l.Archive.lost(ctx, ask, old.Suites, l.req.Have)
	if err != nil {
		return nil, err
	}
	for _, pin := range ask {
		s.kept[pin.Digest] = !slices.ContainsFunc(gone, func(g env.Package) bool { return g.Digest == pin.Digest })
	}
	return s, nil
}

// move marks the sources of packages, sources or tools.
func (s *pinSet) move(names []string) error {
	for _, name := range names {
		want := name
		if p := ToolPackage(name); p != "" {
			want = p
		}
		found := false
		for _, pin := range s.previous.Packages {
			if pin.Name == want || pin.Source == want {
				s.moving[pin.Source], found = true, true
			}
		}
		if !found {
			return fmt.Errorf("update %s: not in the lock", name)
		}
	}
	return nil
}

// prefer makes a platform's kept pins the first choice of their names.
func (s *pinSet) prefer(u *universe, p env.Platform) {
	if s.previous == nil {
		return
	}
	byName := make(map[string]*env.Package)
	for i := range s.previous.Packages {
		if pin := &s.previous.Packages[i]; pin.Platform == p {
			byName[pin.Name] = pin
		}
	}
	added := false
	for i := range s.previous.Packages {
		pin := &s.previous.Packages[i]
		if pin.Platform != p || !s.kept[pin.Digest] {
			continue
		}
		found := u.find(pin.Name, pin.Digest)
		if found == nil {
			found = u.revive(pin, byName)
			added = true
		}
		u.preferred[pin.Name] = found
	}
	if added {
		u.sort()
	}
}

// leaving are the old versions of what is to be updated, where there is newer.
func (s *pinSet) leaving(u *universe, p env.Platform) []*stanza {
	var out []*stanza
	if s.previous == nil {
		return nil
	}
	for _, pin := range s.previous.Packages {
		if pin.Platform != p || !s.moving[pin.Source] {
			continue
		}
		list := u.byName[pin.Name]
		if len(list) == 0 || CompareVersions(list[0].version, pin.Version) <= 0 {
			continue
		}
		for _, old := range list {
			if CompareVersions(old.version, pin.Version) <= 0 && u.banned[old] == "" {
				out = append(out, old)
			}
		}
	}
	return out
}

// revive puts a pin that the indices no longer list back among the candidates.
// Its relations are lost; the lock tells what met them. Packages of one source
// belong together exactly, others may be newer, and what it provides is what
// the listed version provides. A pin without dependencies may have been in a
// bare set: it is marked to be chosen for such only.
func (u *universe) revive(pin *env.Package, byName map[string]*env.Package) *stanza {
	s := &stanza{
		name: pin.Name, version: pin.Version, arch: pin.Architecture, source: pin.Source, sourceVersion: pin.Version,
		path: pin.Path, size: pin.Size, digest: pin.Digest, suite: pin.Suite, archive: pin.Archive,
	}
	var depends []string
	for _, name := range pin.Depends {
		if q := byName[name]; q != nil {
			op := ">="
			if q.Source == pin.Source {
				op = "="
			}
			depends = append(depends, Relation{Name: name, Op: op, Version: q.Version}.String())
		}
	}
	s.depends = strings.Join(depends, ", ")
	s.partial = len(pin.Depends) == 0
	if listed := u.byName[pin.Name]; len(listed) > 0 {
		s.priority, s.essential = listed[0].priority, listed[0].essential
		s.partial = s.partial && listed[0].preDepends+listed[0].depends != ""
		groups, _ := ParseRelations(listed[0].provides)
		for _, g := range groups {
			version := g[0].Version
			if version == listed[0].version {
				version = pin.Version
			}
			u.provides[g[0].Name] = append(u.provides[g[0].Name], provider{by: s, version: version})
		}
	}
	u.byName[s.name] = append(u.byName[s.name], s)
	return s
}

// lost returns those pins that no source serves and that are not at hand. A
// pin counts as lost when one source says so and no other has it; when none
// can be asked at all, that is an error.
func (a *Archive) lost(ctx context.Context, pins []env.Package, suites []env.Suite, have func(digest.Digest) bool) ([]env.Package, error) {
	client := a.fetcher()
	var mu sync.Mutex
	var gone []env.Package
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(probes)
	asked := make(map[digest.Digest]bool)
	for _, pin := range pins {
		if have != nil && have(pin.Digest) || asked[pin.Digest] {
			continue
		}
		asked[pin.Digest] = true
		g.Go(func() error {
			err := client.Served(ctx, fetch.Request{
				URLs: a.Mirrors.Candidates(pin, suites), Digest: pin.Digest, Size: pin.Size,
			})
			if err == nil {
				return nil
			}
			if ctx.Err() != nil || !Gone(err) {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			gone = append(gone, pin)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(gone, func(a, b env.Package) int {
		if c := strings.Compare(string(a.Platform), string(b.Platform)); c != 0 {
			return c
		}
		return strings.Compare(a.Name, b.Name)
	})
	return gone, nil
}

// Gone says of an error of fetch.Client whether a source answered for certain
// that it has no such file, or has another in its place.
func Gone(err error) bool {
	var gone *fetch.NotFoundError
	if errors.As(err, &gone) {
		return true
	}
	var all *fetch.Error
	if !errors.As(err, &all) {
		return false
	}
	for _, a := range all.Attempts {
		var status *fetch.StatusError
		var wrong *fetch.BytesError
		if errors.As(a.Err, &status) && (status.Code == 404 || status.Code == 410) || errors.As(a.Err, &wrong) {
			return true
		}
	}
	return false
}
