package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/env/upstream"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/layers"
)

// sources pins the source releases of the tools of all builds. Pins that still
// fit stay.
func (l *locker) sources(ctx context.Context, lock *env.Lock, o lockOptions) error {
	wanted, err := wantedSources(l.builds)
	if err != nil {
		return err
	}
	lock.Sources = nil
	for _, spec := range wanted {
		pin, kept, err := l.keptSource(ctx, spec, o.update)
		if err == nil && !kept {
			pin, err = l.pinSource(ctx, spec)
		}
		if err != nil {
			return fmt.Errorf("pin %s %s: %w", spec.Tool, spec.Want(), err)
		}
		lock.Sources = append(lock.Sources, pin)
	}
	l.moves = sourceMoves(l.old, lock)
	return nil
}

// wantedSources are the tools of all builds that come from source, one of each
// want, in the order of a lock.
func wantedSources(builds []env.Config) ([]env.ToolSpec, error) {
	var out []env.ToolSpec
	for _, c := range builds {
		for _, spec := range c.Toolchain.FromSource() {
			i := slices.IndexFunc(out, func(o env.ToolSpec) bool { return o.Tool == spec.Tool && o.Want() == spec.Want() })
			if i < 0 {
				out = append(out, spec)
			} else if out[i].Digest != spec.Digest {
				return nil, fmt.Errorf("toolchain.%s: %s has sha256 %q in one build and %q in another", spec.Tool, spec.Want(), out[i].Digest, spec.Digest)
			}
		}
	}
	slices.SortFunc(out, func(a, b env.ToolSpec) int {
		return env.CompareSources(env.Source{Tool: a.Tool, Want: a.Want()}, env.Source{Tool: b.Tool, Want: b.Want()})
	})
	return out, nil
}

// keptSource returns the pin of the old lock, if it may stay: it is the one
// that is asked for, not to be updated, and its file is at hand or served.
func (l *locker) keptSource(ctx context.Context, spec env.ToolSpec, update []string) (env.Source, bool, error) {
	if l.old == nil {
		return env.Source{}, false, nil
	}
	pin, ok := l.old.Source(spec.Tool, spec.Want())
	if !ok || slices.Contains(update, spec.Tool) || slices.Contains(update, "all") || spec.Digest != "" && spec.Digest != pin.Digest {
		return env.Source{}, false, nil
	}
	err := l.sourceAtHand(ctx, pin)
	var differs *fileDiffersError
	if errors.As(err, &differs) || debian.Gone(err) {
		return env.Source{}, false, nil
	}
	return pin, err == nil, err
}

// sourceAtHand fails unless a pinned source is in the store or served. A local
// file that is there must be the pinned one.
func (l *locker) sourceAtHand(ctx context.Context, s env.Source) error {
	if rel, ok := strings.CutPrefix(s.URL, env.FileURL); ok {
		got, err := fileDigest(filepath.Join(filepath.Dir(l.path), filepath.FromSlash(rel)))
		if err == nil && got != s.Digest {
			return &fileDiffersError{rel, s.Digest, got}
		}
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return l.atHand(ctx, s.Digest, s.Size, func() ([]string, error) {
		return sourceURLs(s, filepath.Dir(l.path), l.archive.Mirrors, l.upstream)
	})
}

// atHand fails unless a file is in the store or served where locate says.
func (l *locker) atHand(ctx context.Context, d digest.Digest, size int64, locate func() ([]string, error)) error {
	has, err := l.store.HasBlob(ctx, d)
	if has || err != nil {
		return err
	}
	urls, err := locate()
	if err != nil {
		return err
	}
	return l.archive.Fetch.Served(ctx, fetch.Request{URLs: urls, Size: size})
}

// fileDiffersError says that a local file is another than the lock has.
type fileDiffersError struct {
	path      string
	want, got digest.Digest
}

func (e *fileDiffersError) Error() string {
	return fmt.Sprintf("%s was changed since it was locked: want %s, got %s", e.path, e.want, e.got)
}

func fileDigest(path string) (digest.Digest, error) {
	f, err := openSourceFile(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return digest.SHA256.FromReader(f)
}

// openSourceFile opens a local file with a source release, and no pipe.
func openSourceFile(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Size() > env.MaxSource {
		return nil, fmt.Errorf("%s: want a file of 1 to %d bytes", path, int64(env.MaxSource))
	}
	return os.Open(path)
}

// checkSources fails unless the lock has the sources of all builds, and they
// can be had.
func (l *locker) checkSources(ctx context.Context) error {
	wanted, err := wantedSources(l.builds)
	if err != nil {
		return err
	}
	for _, spec := range wanted {
		s, ok := l.old.Source(spec.Tool, spec.Want())
		if !ok {
			return fmt.Errorf("%w: it has no source of %s %s", env.ErrLockLacks, spec.Tool, spec.Want())
		}
		if err := l.sourceAtHand(ctx, s); err != nil {
			return fmt.Errorf("check %s %s: %w", s.Tool, s.Version, err)
		}
	}
	return nil
}

// pinSource finds the source release of a tool and brings it into the store,
// which proves its digest.
func (l *locker) pinSource(ctx context.Context, spec env.ToolSpec) (env.Source, error) {
	c := candidate{Source: env.Source{Tool: spec.Tool, Version: spec.Version, URL: spec.URL, Digest: spec.Digest}, urls: []string{spec.URL}}
	var err error
	switch {
	case spec.Path.Path != "":
		c.URL = spec.Path.URL()
		err = l.takeFile(ctx, spec.Path, &c)
	case spec.URL != "":
		err = l.fetchSource(ctx, &c)
		if wrong := wrongBytes(err); wrong != nil {
			err = &hintError{err, "if the file at url was changed on purpose, put its sha256 into toolchain." + spec.Tool}
		}
	default:
		c, err = l.searchSource(ctx, spec)
	}
	c.Want = spec.Want()
	return c.Source, err
}

// searchSource asks the places of a spec one after the other. The first that
// has a version which fits settles it; where its file is gone, the others are
// asked for the same version, and then the snapshot service.
func (l *locker) searchSource(ctx context.Context, spec env.ToolSpec) (candidate, error) {
	s := &search{spec: spec}
	version := ""
	for _, p := range l.places(spec.Sources) {
		want := spec.Version
		if version != "" {
			want = version
		}
		found, err := p.find(ctx, spec.Tool, want)
		if ctx.Err() != nil {
			return candidate{}, context.Cause(ctx)
		}
		var none *noVersionError
		switch {
		case errors.Is(err, errNoSuchPlace):
			continue
		case errors.As(err, &none):
			s.have = append(s.have, none.have...)
			s.tried = append(s.tried, p.String()+": no such version")
			continue
		case isUnverified(err):
			return candidate{}, &hintError{fmt.Errorf("%s: %w", p, err), elsewhere}
		case err != nil:
			s.unreached = append(s.unreached, fmt.Errorf("%s: %w", p, err))
			continue
		}
		version = found[0].Version
		if err := s.newest(version); err != nil {
			return candidate{}, err
		}
		s.late = append(s.late, found...)
		for _, c := range found {
			if ok, err := l.try(ctx, s, &c); ok || err != nil {
				return c, err
			}
		}
	}
	for _, c := range s.late {
		if c.urls = c.snapshots; len(c.urls) == 0 {
			continue
		}
		if ok, err := l.try(ctx, s, &c); ok || err != nil {
			return c, err
		}
	}
	return candidate{}, s.failed(version)
}

// elsewhere is what to do about a file that is not what it should be.
const elsewhere = "a source serves another file than the place vouches for: try again, take another mirror, or another of sources"

// isUnverified says whether a place has a release that its makers do not vouch
// for.
func isUnverified(err error) bool {
	var signature *upstream.SignatureError
	var mismatch *upstream.MismatchError
	return errors.As(err, &signature) || errors.As(err, &mismatch)
}

// try fetches a candidate, and says whether it is the one. Only a file that is
// another than the place vouches for ends the search.
func (l *locker) try(ctx context.Context, s *search, c *candidate) (bool, error) {
	err := l.fetchSource(ctx, c)
	if err == nil {
		for _, place := range s.unreached {
			l.t.warn("%s %s is taken from %s: %s", c.Tool, c.Version, c.URL, oneLine(place))
		}
		if c.note != "" {
			l.t.say("%s %s: %s", c.Tool, c.Version, c.note)
		}
		return true, nil
	}
	if ctx.Err() != nil {
		return false, err
	}
	if wrong := wrongBytes(err); wrong != nil {
		return false, &hintError{err, elsewhere}
	}
	s.tried = append(s.tried, attempts(err)...)
	return false, nil
}

// wrongBytes returns what says that a file has other bytes than were expected.
func wrongBytes(err error) error {
	var bytes *fetch.BytesError
	var stored *layers.DigestError
	var unverified *unverifiedError
	switch {
	case errors.As(err, &bytes):
		return bytes
	case errors.As(err, &stored):
		return stored
	case errors.As(err, &unverified):
		return unverified
	}
	return nil
}

// unverifiedError says that a file is not what its makers published.
type unverifiedError struct{ err error }

func (e *unverifiedError) Error() string { return e.err.Error() }
func (e *unverifiedError) Unwrap() error { return e.err }
