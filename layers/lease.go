package layers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A lease says that its process may be using every object whose last use is not
// older than the lease. The process holds the file locked; the kernel lets go
// of it when the process dies, in whatever way.
type lease struct {
	file  *os.File
	tmp   string        // staging area of the process
	start unix.Timespec // modification time of file
}

// newLease makes a lease in dir and its staging area in tmp. The caller is in
// the gate, so that the collector does not see the file before it is locked.
func newLease(dir, tmp string) (*lease, error) {
	f, err := os.CreateTemp(dir, "*")
	if err != nil {
		return nil, err
	}
	l := &lease{file: f, tmp: filepath.Join(tmp, filepath.Base(f.Name()))}
	var st unix.Stat_t
	if err := flock(f, unix.LOCK_EX); err != nil {
		return nil, errors.Join(err, l.end())
	}
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, errors.Join(err, l.end())
	}
	l.start = st.Mtim
	if err := os.Mkdir(l.tmp, 0o700); err != nil {
		return nil, errors.Join(err, l.end())
	}
	return l, nil
}

func (l *lease) end() error {
	return errors.Join(removeTree(l.tmp), os.Remove(l.file.Name()), l.file.Close())
}

// use raises the last use of the object that the open file stands for to the
// start of the lease. The stamp is the lease's time and not the clock's, so it
// cannot come out older than the lease; it is raised under a lock of the file,
// so that two processes cannot lower it for each other.
func (l *lease) use(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if !before(st.Mtim, l.start) {
		return nil
	}
	if err := flockFD(fd, unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock for use: %w", err)
	}
	defer func() { _ = flockFD(fd, unix.LOCK_UN) }()
	if err := unix.Fstat(fd, &st); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if !before(st.Mtim, l.start) {
		return nil
	}
	if err := setTimes(fd, l.start); err != nil {
		return fmt.Errorf("stamp use: %w", err)
	}
	return nil
}

// usePath is use for a file by name. A file that is not there gives
// ErrNotFound. The caller is in the gate.
func (l *lease) usePath(name string) error {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err == nil && !before(st.Mtim, l.start) {
		return nil
	}
	fd, err := open(name)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return l.use(fd)
}

// open opens a file of the store for reading.
func open(name string) (int, error) {
	for {
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		switch err {
		case nil:
			return fd, nil
		case unix.EINTR:
			continue
		case unix.ENOENT:
			return -1, ErrNotFound
		}
		return -1, &fs.PathError{Op: "open", Path: name, Err: err}
	}
}

func before(a, b unix.Timespec) bool {
	return a.Sec < b.Sec || a.Sec == b.Sec && a.Nsec < b.Nsec
}

// setTimes sets access and modification time of an open file.
func setTimes(fd int, t unix.Timespec) error {
	return unix.UtimesNanoAt(fd, "", []unix.Timespec{t, t}, unix.AT_EMPTY_PATH)
}

// A gate keeps the collector out while something is looked up and stamped, or
// renamed into place. Whoever is in it holds the store's lock file shared; the
// collector takes it exclusively for each batch of removals.
type gate struct {
	file *os.File
	mu   sync.Mutex
	in   int
}

func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in == 0 {
		if err := flock(g.file, unix.LOCK_SH); err != nil {
			return fmt.Errorf("lock store: %w", err)
		}
	}
	g.in++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.in--; g.in == 0 {
		_ = flock(g.file, unix.LOCK_UN) // unlocking an open file does not fail
	}
}

// within runs fn in the gate.
func (s *Store) within(fn func() error) error {
	if err := s.gate.enter(); err != nil {
		return err
	}
	defer s.gate.leave()
	return fn()
}

// alone runs fn while nobody is in the gate. If wait is false and somebody is,
// it does nothing.
func (s *Store) alone(wait bool, fn func() error) error {
	f, err := openLock(s.path("lock"))
	if err != nil {
		return err
	}
	defer f.Close()
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	if err := flock(f, how); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil
		}
		return fmt.Errorf("lock store: %w", err)
	}
	return fn()
}

func openLock(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
}

func flock(f *os.File, how int) error { return flockFD(int(f.Fd()), how) }

func flockFD(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); err != unix.EINTR {
			return err
		}
	}
}

// Lock waits until no other process or goroutine holds key and then holds it
// until release is called or the process dies. Whoever builds a key holds it,
// so that each step runs once.
func (s *Store) Lock(ctx context.Context, key Key) (release func(), err error) {
	if !ValidKey(string(key)) {
		return nil, fmt.Errorf("lock key %q: not a key", key)
	}
	release, err = s.lockName(ctx, "key-"+string(key))
	if err != nil {
		return nil, fmt.Errorf("lock key %s: %w", key, err)
	}
	return release, nil
}

// lockName locks a file in locks/. It asks again and again, because a blocking
// flock cannot be cancelled.
func (s *Store) lockName(ctx context.Context, name string) (func(), error) {
	name = s.path(locksDir, name)
	pause := 2 * time.Millisecond
	for {
		f, err := openLock(name)
		if err != nil {
			return nil, err
		}
		err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			// The holder before us may have removed the file that we locked.
			if same, serr := sameFile(f, name); serr != nil || same {
				if serr != nil {
					return nil, errors.Join(serr, f.Close())
				}
				return func() { _ = errors.Join(os.Remove(name), f.Close()) }, nil
			}
			_ = f.Close()
			continue
		}
		_ = f.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
			pause = min(2*pause, 100*time.Millisecond)
		}
	}
}

func sameFile(f *os.File, name string) (bool, error) {
	a, err := f.Stat()
	if err != nil {
		return false, err
	}
	b, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(a, b), err
}
