package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/env/upstream"
	"github.com/retort-build/retort/internal/fetch"
)

// sourceURLs are the addresses at which a pinned source release may be served;
// dir is the lock's folder.
func sourceURLs(s env.Source, dir string, mirrors debian.Mirrors, up *upstream.Client) ([]string, error) {
	if _, _, ok := s.Debian(); ok {
		served, kept := mirrors.SourceCandidates(s)
		return append(served, kept...), nil
	}
	if rel, ok := strings.CutPrefix(s.URL, env.FileURL); ok {
		path := filepath.Join(dir, filepath.FromSlash(rel))
		return []string{(&url.URL{Scheme: "file", Path: path}).String()}, nil
	}
	if strings.HasPrefix(s.URL, "https:") || strings.HasPrefix(s.URL, "http:") {
		return []string{s.URL}, nil
	}
	return up.Locate(s.URL)
}

// A candidate is a file that may become the source release of a tool. Its
// Digest and Size are those that the place publishes, if it does.
type candidate struct {
	env.Source
	urls      []string
	snapshots []string              // to be asked after all places
	verify    func(io.Reader) error // further checks of the file, or nil
	note      string                // what vouches for the file, if that wants saying
}

// A place lists source releases.
type place interface {
	// find returns the files of the newest version that fits, of which one is
	// enough. The error is a *noVersionError if no version does, and
	// errNoSuchPlace if there is no such place and nobody insists on it.
	find(ctx context.Context, tool, want string) ([]candidate, error)
	String() string
}

var errNoSuchPlace = errors.New("not on the mirror")

// noVersionError lists the versions that a place has of a tool.
type noVersionError struct{ have []string }

func (e *noVersionError) Error() string { return "no such version" }

// upstreamPlace is what the makers of the tools publish.
type upstreamPlace struct{ client *upstream.Client }

func (p upstreamPlace) String() string { return env.PlaceUpstream }

func (p upstreamPlace) find(ctx context.Context, tool, want string) ([]candidate, error) {
	r, err := p.client.Find(ctx, tool, want)
	var none *upstream.VersionError
	if errors.As(err, &none) {
		return nil, &noVersionError{have: none.Available}
	}
	if err != nil {
		return nil, err
	}
	c := candidate{
		Source: env.Source{Tool: tool, Version: r.Version, URL: r.URL, Digest: r.Digest, Size: r.Size, Signers: slices.Compact(slices.Sorted(slices.Values(r.Signers)))},
		verify: r.Verify, note: r.Note,
	}
	c.urls, err = p.client.Locate(r.URL)
	return []candidate{c}, err
}

// suitePlace is the upstream tarballs of one suite of Debian.
type suitePlace struct {
	suite    string
	optional bool // the mirror need not have it
	mirrors  debian.Mirrors
	tarballs func(ctx context.Context, suite string) ([]env.Source, error)
}

func (p suitePlace) String() string { return env.PlaceDebian + ":" + p.suite }

func (p suitePlace) find(ctx context.Context, tool, want string) ([]candidate, error) {
	all, err := p.tarballs(ctx, p.suite)
	var gone *fetch.NotFoundError
	if errors.As(err, &gone) && p.optional {
		return nil, errNoSuchPlace
	}
	if err != nil {
		return nil, err
	}
	none := &noVersionError{}
	for _, s := range all {
		if s.Tool == tool {
			none.have = append(none.have, s.Version)
		}
	}
	version, ok := env.NewestMatching(none.have, want)
	if !ok {
		return nil, none
	}
	var out []candidate
	for _, s := range all {
		if s.Tool == tool && s.Version == version {
			c := candidate{Source: s}
			c.urls, c.snapshots = p.mirrors.SourceCandidates(s)
			out = append(out, c)
		}
	}
	return out, nil
}

// otherSuites are searched for source releases behind the base suite.
var otherSuites = []string{"bookworm", "trixie", "forky", "sid"}

// places are those that a manifest names, in its order.
func (l *locker) places(names []string) []place {
	var out []place
	add := func(p place) {
		if !slices.ContainsFunc(out, func(o place) bool { return o.String() == p.String() }) {
			out = append(out, p)
		}
	}
	suite := func(name string, optional bool) {
		add(suitePlace{suite: name, optional: optional, mirrors: l.archive.Mirrors, tarballs: l.tarballs})
	}
	for _, name := range names {
		switch named, ok := strings.CutPrefix(name, env.PlaceDebian+":"); {
		case ok:
			suite(named, false)
		case name == env.PlaceUpstream:
			add(upstreamPlace{l.upstream})
		default:
			suite(l.config.Base.Suite, false)
			for _, other := range otherSuites {
				suite(other, true)
			}
		}
	}
	return out
}

// tarballs reads the sources of a suite, once.
func (l *locker) tarballs(ctx context.Context, suite string) ([]env.Source, error) {
	if known, ok := l.suites[suite]; ok {
		return known.list, known.err
	}
	if l.t.interactive() {
		l.t.show("retort: look for source releases in " + suite)
		defer l.t.show("")
	}
	req, err := l.when()
	if err != nil {
		return nil, err
	}
	req.Suite = suite
	list, err := l.archive.Tarballs(ctx, req)
	if l.suites == nil {
		l.suites = make(map[string]suiteSources)
	}
	l.suites[suite] = suiteSources{list, err}
	return list, err
}

// suiteSources is what asking a suite gave.
type suiteSources struct {
	list []env.Source
	err  error
}

// A search remembers where a source release was looked for, for the message.
type search struct {
	spec      env.ToolSpec
	have      []string // versions that places have
	tried     []string // places and addresses, with the reason
	unreached []error  // places that could not be asked
	late      []candidate
}

// newest says whether a version is sure to be the one that is wanted, though
// some places could not be asked.
func (s *search) newest(version string) error {
	if len(s.unreached) == 0 || version == s.spec.Version {
		return nil
	}
	return &hintError{
		err:  fmt.Errorf("the newest is not known: %w", errors.Join(s.unreached...)),
		hint: fmt.Sprintf("name the version exactly, such as %s = %q, or leave the place out of sources", s.spec.Tool, version),
	}
}

// failed sums up a search that found no file.
func (s *search) failed(version string) error {
	for _, err := range s.unreached {
		s.tried = append(s.tried, oneLine(err))
	}
	where := "\n  " + strings.Join(s.tried, "\n  ")
	if version != "" {
		return &hintError{
			err:  &searchError{fmt.Sprintf("no place serves %s %s:%s", s.spec.Tool, version, where), s.unreached},
			hint: "name another version, or a file of your own: path, or url and sha256, of toolchain." + s.spec.Tool,
		}
	}
	slices.SortFunc(s.have, func(a, b string) int { return env.CompareVersions(b, a) })
	s.have = slices.Compact(s.have)
	if len(s.have) == 0 {
		return &searchError{fmt.Sprintf("no place has a release of %s:%s", s.spec.Tool, where), s.unreached}
	}
	return &searchError{fmt.Sprintf("no such version of %s: nearest %s; available are %s; looked in%s",
		s.spec.Tool, strings.Join(env.Nearest(s.have, s.spec.Version), ", "), shortList(s.have, 24), where), s.unreached}
}

// searchError is a search that found nothing, with what kept it from looking.
type searchError struct {
	msg  string
	errs []error
}

func (e *searchError) Error() string   { return e.msg }
func (e *searchError) Unwrap() []error { return e.errs }

// oneLine is an error's text without the ends of lines that lists of errors have.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// attempts are the addresses that were asked for a file, with what came of it.
func attempts(err error) []string {
	var all []fetch.Attempt
	var gone *fetch.NotFoundError
	var failed *fetch.Error
	switch {
	case errors.As(err, &gone):
		all = gone.Attempts
	case errors.As(err, &failed):
		all = failed.Attempts
	default:
		return []string{err.Error()}
	}
	out := make([]string, len(all))
	for i, a := range all {
		out[i] = fmt.Sprintf("%s: %v", a.URL, a.Err)
	}
	return out
}

func shortList(all []string, most int) string {
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d older", strings.Join(all[:most], ", "), len(all)-most)
}
