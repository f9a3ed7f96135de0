package layers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/internal/tarball"
)

// publish moves a staged layer (dir/fs) into the store and records it.
//
// The order is what makes the store right after a crash: everything is written,
// then synced, and only then renamed. A record that survives therefore names
// bytes that do; a layer whose record is lost is collected some day.
func (s *Store) publish(ctx context.Context, dir string, key Key, l Layer, entries []tarball.Entry) (Layer, error) {
	if err := writeTreeFile(dir+"/tree", l, entries); err != nil {
		return Layer{}, err
	}
	record := ""
	if key != "" {
		payload, err := json.Marshal(l)
		if err != nil {
			return Layer{}, err
		}
		record = s.tempName("record")
		if err := os.WriteFile(record, sealRecord(string(key), payload), 0o644); err != nil {
			return Layer{}, errors.Join(err, removeIfThere(record))
		}
	}
	err := s.flush.sync(ctx, s.root)
	if err == nil {
		err = s.within(func() (err error) {
			if err := s.placeLayer(dir, l); err != nil {
				return err
			}
			if key != "" {
				l, err = s.placeRecord(record, key, l)
			}
			return err
		})
	}
	if record != "" {
		err = errors.Join(err, removeIfThere(record))
	}
	if err != nil {
		return Layer{}, err
	}
	return l, nil
}

func writeTreeFile(name string, l Layer, entries []tarball.Entry) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(writeTree(f, l, entries), f.Close())
}

// placeLayer renames a staged layer to its name. If the store has it already,
// that one stays; the staged one is left to the caller. It runs in the gate.
func (s *Store) placeLayer(dir string, l Layer) error {
	if err := s.place(dir, s.path(layersDir, l.DiffID.Encoded()), "tree"); err != nil {
		return fmt.Errorf("publish layer %s: %w", l.DiffID, err)
	}
	return nil
}

// place renames a staged directory to name, or keeps what has the name, and
// stamps the use of its file. It runs in the gate.
func (s *Store) place(dir, name, file string) error {
	for range 3 {
		// A plain rename would replace an empty directory, but what is staged
		// never is empty.
		err := unix.Rename(dir, name)
		if err != nil && err != unix.EEXIST && err != unix.ENOTEMPTY {
			return err
		}
		uerr := s.lease.usePath(name + "/" + file)
		if err == nil || !errors.Is(uerr, ErrNotFound) {
			return uerr
		}
		// What is there was damaged: make room.
		if err := s.discard(name); err != nil {
			return err
		}
	}
	return errors.New("others keep damaging it")
}

// placeRecord gives the record its name, unless the key has a layer already,
// which it then returns. It runs in the gate.
func (s *Store) placeRecord(record string, key Key, l Layer) (Layer, error) {
	name := s.path(keyPath(keysDir, key))
	if err := mkdir(filepath.Dir(name)); err != nil {
		return Layer{}, err
	}
	for {
		err := os.Link(record, name)
		if err == nil {
			return l, s.lease.usePath(name)
		}
		if !errors.Is(err, fs.ErrExist) {
			return Layer{}, fmt.Errorf("record key %s: %w", key, err)
		}
		old, err := s.lookup(key)
		if err == nil {
			return old, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return Layer{}, fmt.Errorf("record key %s: %w", key, err)
		}
		if err := s.dropRecord(name, key); err != nil {
			return Layer{}, fmt.Errorf("record key %s: %w", key, err)
		}
	}
}

// dropRecord removes a record that is damaged or whose layer is gone. It looks
// again under a lock of the file, so as not to remove what another process has
// put in its place.
func (s *Store) dropRecord(name string, key Key) (err error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := flock(f, unix.LOCK_EX); err != nil {
		return err
	}
	// Not lookup: stamping would wait for the lock that this holds.
	raw, err := os.ReadFile(name)
	if err != nil {
		return ignoreNotExist(err)
	}
	if payload, err := openRecord(string(key), raw); err == nil {
		if l, err := decodeLayer(payload); err == nil {
			if _, err := os.Lstat(s.path(layersDir, l.DiffID.Encoded(), "tree")); err == nil {
				return nil
			}
		}
	}
	return dropLock(f)
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
