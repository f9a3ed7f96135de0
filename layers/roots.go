package layers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
)

// ProjectRoot names what a project's last build came to. GC keeps it while Path, the
// project's lock or record of its results, exists.
type ProjectRoot struct {
	Path   string          `json:"path"`          // absolute, on the host
	For    string          `json:"for,omitempty"` // which of the project's builds: a platform, or ""
	Keys   []Key           `json:"keys,omitempty"`
	Layers []digest.Digest `json:"layers,omitempty"`
	Blobs  []digest.Digest `json:"blobs,omitempty"`
}

// AddRoot records a root, in place of an earlier one with the same path for the same. What
// it names has been used under this process's lease.
func (s *Store) AddRoot(ctx context.Context, r ProjectRoot) error {
	if err := s.addRoot(ctx, r); err != nil {
		return fmt.Errorf("add root %s: %w", r.Path, err)
	}
	return nil
}

func (s *Store) addRoot(ctx context.Context, r ProjectRoot) error {
	if !filepath.IsAbs(r.Path) {
		return errors.New("path is not absolute")
	}
	if err := r.check(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	payload, err := json.Marshal(r)
	if err != nil {
		return err
	}
	id := r.Path
	if r.For != "" {
		id += "\x00" + r.For
	}
	sum := sha256.Sum256([]byte(id))
	name := hex.EncodeToString(sum[:])
	tmp := s.tempName("root")
	if err := writeDurable(tmp, sealRecord(name, payload)); err != nil {
		return errors.Join(err, removeIfThere(tmp))
	}
	return s.within(func() error { return os.Rename(tmp, s.path(rootsDir, name)) })
}

func (r ProjectRoot) check() error {
	for _, k := range r.Keys {
		if !ValidKey(string(k)) {
			return fmt.Errorf("key %q", k)
		}
	}
	for _, list := range [][]digest.Digest{r.Layers, r.Blobs} {
		for _, d := range list {
			if err := checkSHA256(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// holds is what roots keep, by hex digits.
type holds struct {
	keys, layers, blobs map[string]bool
}

// rooted reads the roots and, but for a dry run, drops those whose project is
// gone.
func (s *Store) rooted(dryRun bool) (holds, error) {
	h := holds{keys: make(map[string]bool), layers: make(map[string]bool), blobs: make(map[string]bool)}
	files, err := os.ReadDir(s.path(rootsDir))
	if err != nil {
		return h, err
	}
	for _, f := range files {
		r, err := s.readRoot(f.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return h, fmt.Errorf("root %s: %w", f.Name(), err)
		}
		if _, err := os.Lstat(r.Path); errors.Is(err, fs.ErrNotExist) {
			if !dryRun {
				if err := removeIfThere(s.path(rootsDir, f.Name())); err != nil {
					return h, err
				}
			}
			continue
		}
		for _, k := range r.Keys {
			h.keys[string(k)] = true
		}
		for _, d := range r.Layers {
			h.layers[d.Encoded()] = true
		}
		for _, d := range r.Blobs {
			h.blobs[d.Encoded()] = true
		}
	}
	return h, nil
}

func (s *Store) readRoot(name string) (ProjectRoot, error) {
	raw, err := os.ReadFile(s.path(rootsDir, name))
	if err != nil {
		return ProjectRoot{}, err
	}
	payload, err := openRecord(name, raw)
	if err != nil {
		return ProjectRoot{}, err
	}
	var r ProjectRoot
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return ProjectRoot{}, err
	}
	return r, r.check()
}
