package debian

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
)

// Repair moves those pins of req.Previous that no source serves any more, and
// what their new versions force to move, and nothing else: when all are
// served, the lock stays as it is. A request without Sets or Suite stands for
// those of the lock.
func (a *Archive) Repair(ctx context.Context, req Request) (Result, error) {
	old := req.Previous
	if old == nil {
		return Result{}, errors.New("repair lock: there is none")
	}
	gone, err := a.lost(ctx, old.Packages, old.Suites, req.Have)
	if err != nil {
		return Result{}, fmt.Errorf("repair lock: %w", err)
	}
	if len(gone) == 0 {
		return Result{Lock: *old}, nil
	}
	if req.Suite == "" {
		req.Suite = baseSuite(old)
	}
	if req.Manifest == "" {
		req.Manifest = old.Manifest
	}
	if len(req.Sets) == 0 {
		req.Sets = old.Sets
		req.Essential = false // the roots are a set of the lock
	}
	req.Update, req.UpdateAll = nil, false
	lost := make(map[digest.Digest]bool)
	for _, pin := range gone {
		lost[pin.Digest] = true
	}
	result, err := a.resolve(ctx, req, lost)
	if err != nil {
		return Result{}, fmt.Errorf("repair lock: %w", err)
	}
	return result, nil
}

// baseSuite is the suite that a lock's other suites belong to.
func baseSuite(l *env.Lock) string {
	for _, s := range l.Suites {
		base := suitesOf(s.Name)
		if s.Archive == MainArchive && !slices.ContainsFunc(l.Suites, func(o env.Suite) bool {
			return len(base) > 1 && len(o.Name) < len(s.Name) && s.Name == o.Name+"-updates"
		}) {
			return s.Name
		}
	}
	return ""
}

// LostError lists the files of a lock that no source serves.
type LostError struct {
	Packages []env.Package
}

func (e *LostError) Error() string {
	p := e.Packages[0]
	s := fmt.Sprintf("%s %s for %s is served by no mirror", p.Name, p.Version, p.Platform)
	if n := len(e.Packages) - 1; n > 0 {
		s += fmt.Sprintf(", nor are %d others", n)
	}
	return s
}

// Check returns an *env.StaleLockError when the lock was made for another
// manifest, and a *LostError when files of it are neither served nor known to
// have. A nil have knows none. Without any mirror and snapshot service only
// the manifest and the lock's own shape are checked.
func (a *Archive) Check(ctx context.Context, lock *env.Lock, manifest digest.Digest, have func(digest.Digest) bool) error {
	if lock.Manifest != manifest {
		return &env.StaleLockError{Want: manifest, Got: lock.Manifest}
	}
	for p, sets := range lock.Sets {
		for set, roots := range sets {
			if _, err := lock.Closure(p, roots...); err != nil {
				return fmt.Errorf("check lock: set %s: %w", set, err)
			}
		}
	}
	if a.Mirrors.Snapshot == "none" && len(a.Mirrors.bases(MainArchive)) == 0 {
		return nil
	}
	gone, err := a.lost(ctx, lock.Packages, lock.Suites, have)
	if err != nil {
		return fmt.Errorf("check lock: %w", err)
	}
	if len(gone) > 0 {
		return fmt.Errorf("check lock: %w", &LostError{Packages: gone})
	}
	return nil
}
