package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-build/retort/builder/source"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/git"
	"github.com/retort-build/retort/env/hex"
)

// gitCache is where git dependencies are fetched to, with the user's
// credentials.
func (s settings) gitCache() *git.Cache {
	return &git.Cache{Dir: filepath.Join(s.home, "git"), Env: os.Environ()}
}

// errNoGit says that a lock was made before the first git dependency came.
var errNoGit = fmt.Errorf("mix.lock has git dependencies, and toolchain.lock has no git, which Mix asks about them: %w", env.ErrLockLacks)

func hasGit(locked []hex.Locked) bool {
	return slices.ContainsFunc(locked, func(l hex.Locked) bool { return l.Kind == hex.Git })
}

// checkGit refuses git dependencies that cannot be fetched, before anything of
// their entries is kept or shown.
func checkGit(locked []hex.Locked) error {
	var errs []error
	for _, l := range locked {
		if l.Kind == hex.Git {
			_, err := git.FromLock(l)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// gitCheck says whether this machine has git, if the project in dir needs it.
func gitCheck(ctx context.Context, dir string) (doctorCheck, bool) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return doctorCheck{}, false
	}
	locked, err := readMixLock(full)
	if err != nil || !source.InGit(full) && !hasGit(locked) {
		return doctorCheck{}, false // a build says what is wrong with mix.lock
	}
	check := doctorCheck{What: "git"}
	if check.Detail, err = git.Version(ctx, os.Environ()); err != nil {
		check.Detail = "not installed; it lists the source of a project in git, and fetches git dependencies"
		check.Remedy = "install git"
		return check, true
	}
	check.OK = true
	return check, true
}
