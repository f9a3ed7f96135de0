package env

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// ErrNoLock says that there is no lock file.
var ErrNoLock = errors.New("no lock")

// ErrLockLacks says that a lock was made before mix.lock asked for more.
var ErrLockLacks = errors.New("lock is stale")

// ErrLockForm says that a lock holds what a lock may hold but not in the one
// form that EncodeLock writes: it was edited, or merged by hand.
var ErrLockForm = errors.New("not in canonical form, run retort lock")

// ErrNewerLock says that a lock was made by a retort which is newer than this.
var ErrNewerLock = errors.New("made by a newer retort")

// StaleLockError says that a lock was made for another manifest.
type StaleLockError struct {
	Want digest.Digest // what the manifest asks for now
	Got  digest.Digest // what the lock was made for
}

func (e *StaleLockError) Error() string {
	return fmt.Sprintf("lock is stale: want manifest %s, got %s", e.Want, e.Got)
}

// Error is one problem of a manifest or lock file.
type Error struct {
	File string
	Line int    // counted from 1, or 0 if not known
	Key  string // path of the key, such as image.ports[0]; may be empty
	Err  error
}

func (e Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Key != "" {
		b.WriteString(": " + e.Key)
	}
	return b.String() + ": " + e.Err.Error()
}

func (e Error) Unwrap() error { return e.Err }

// ErrorList is every problem found, sorted by file, line and key.
type ErrorList []Error

// maxErrors bounds a report: a file of nonsense has a problem in each line.
const maxErrors = 100

func (l ErrorList) Error() string {
	lines := make([]string, len(l))
	for i, e := range l {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the problems to errors.Is and errors.As.
func (l ErrorList) Unwrap() []error {
	errs := make([]error, len(l))
	for i, e := range l {
		errs[i] = e
	}
	return errs
}

func (l *ErrorList) add(file string, line int, key string, err error) {
	*l = append(*l, Error{File: file, Line: line, Key: key, Err: err})
}

// err sorts the list, drops what is said twice, and is nil if it is empty.
func (l ErrorList) err() error {
	if len(l) == 0 {
		return nil
	}
	slices.SortStableFunc(l, func(a, b Error) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Key, b.Key),
			cmp.Compare(a.Err.Error(), b.Err.Error()),
		)
	})
	l = slices.CompactFunc(l, func(a, b Error) bool { return a.Error() == b.Error() })
	if n := len(l) - maxErrors; n > 0 {
		last := Error{File: l[maxErrors].File, Err: fmt.Errorf("and %d more problems", n)}
		l = append(slices.Clip(l[:maxErrors]), last)
	}
	return l
}
