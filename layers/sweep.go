package layers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// sweep drops the leases of dead processes and what they had staged. Unless
// wait is set it leaves that to others while the store is busy.
func (s *Store) sweep(wait bool) error {
	err := s.alone(wait, func() error {
		if _, err := s.liveLeases(); err != nil {
			return err
		}
		return s.sweepLocks()
	})
	if err == nil {
		err = s.emptyTrash()
	}
	if err != nil {
		return fmt.Errorf("sweep store: %w", err)
	}
	return nil
}

// liveLeases returns the start of the oldest lease whose process lives and
// moves what dead ones left to the trash. Nobody is in the gate.
func (s *Store) liveLeases() (oldest unix.Timespec, err error) {
	oldest = s.lease.start
	files, err := os.ReadDir(s.path(leasesDir))
	if err != nil {
		return oldest, err
	}
	live := make(map[string]bool)
	for _, d := range files {
		f, err := os.Open(s.path(leasesDir, d.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue // ended just now
		}
		if err != nil {
			return oldest, err
		}
		start, alive, err := examine(f)
		if err != nil {
			return oldest, err
		}
		if alive {
			live[d.Name()] = true
			if before(start, oldest) {
				oldest = start
			}
			continue
		}
		if err := removeIfThere(f.Name()); err != nil {
			return oldest, err
		}
	}
	staged, err := os.ReadDir(s.path(tmpDir))
	if err != nil {
		return oldest, err
	}
	for _, d := range staged {
		if !live[d.Name()] {
			if err := s.discard(s.path(tmpDir, d.Name())); err != nil {
				return oldest, err
			}
		}
	}
	return oldest, nil
}

// sweepLocks removes lock files whose holder died. Whoever opened one in the
// meantime sees that it is not the file of that name any more.
func (s *Store) sweepLocks() error {
	files, err := os.ReadDir(s.path(locksDir))
	if err != nil {
		return err
	}
	for _, d := range files {
		f, err := os.Open(s.path(locksDir, d.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); err == nil {
			err = dropLock(f)
			if err != nil {
				return errors.Join(err, f.Close())
			}
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// dropLock removes the name of a locked file, if it still has it.
func dropLock(f *os.File) error {
	same, err := sameFile(f, f.Name())
	if err != nil || !same {
		return err
	}
	return removeIfThere(f.Name())
}

// examine reports whether somebody holds the lease in f, which it closes.
func examine(f *os.File) (start unix.Timespec, alive bool, err error) {
	defer func() { err = errors.Join(err, f.Close()) }()
	err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		alive, err = true, nil
	}
	if err != nil {
		return start, false, err
	}
	var st unix.Stat_t
	err = unix.Fstat(int(f.Fd()), &st)
	return st.Mtim, alive, err
}

// discard moves something to the trash, where nobody looks for it.
func (s *Store) discard(name string) error {
	to := s.path(trashDir, filepath.Base(s.lease.tmp)+"-"+filepath.Base(s.tempName("x"))+"-"+filepath.Base(name))
	if err := os.Rename(name, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// emptyTrash removes what was discarded, by this process or one that died
// before it got so far. Several may do so at once.
func (s *Store) emptyTrash() error {
	found, err := os.ReadDir(s.path(trashDir))
	if err != nil {
		return err
	}
	for _, d := range found {
		if err := removeTree(s.path(trashDir, d.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
