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
	name := s.path(layersDir, l.DiffID.Encoded())
	// A plain rename would replace an empty directory, but there is none:
	// every layer holds its tree file.
	if err := unix.Rename(dir, name); err != nil && err != unix.EEXIST && err != unix.ENOTEMPTY {
		return fmt.Errorf("publish layer %s: %w", l.DiffID, err)
	}
	if err := s.useLayer(l.DiffID); err != nil {
		return fmt.Errorf("publish layer %s: %w", l.DiffID, err)
	}
	return nil
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
		// The record there is damaged or its layer is gone.
		if err := removeIfThere(name); err != nil {
			return Layer{}, fmt.Errorf("record key %s: %w", key, err)
		}
	}
}
