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
	"golang.org/x/sys/unix"
)

// A record is a small file: a line with the sha256 of the rest, and the rest,
// which begins with the name that the record is for. A torn or misplaced record
// is therefore as good as none.
const maxRecord = 1<<20 + 256

var errDamaged = errors.New("damaged record")

func sealRecord(name string, payload []byte) []byte {
	body := append([]byte(name+"\n"), payload...)
	sum := sha256.Sum256(body)
	return append([]byte("sha256:"+hex.EncodeToString(sum[:])+"\n"), body...)
}

func openRecord(name string, raw []byte) ([]byte, error) {
	head, body, ok := bytes.Cut(raw, []byte("\n"))
	sum := sha256.Sum256(body)
	if !ok || string(head) != "sha256:"+hex.EncodeToString(sum[:]) {
		return nil, errDamaged
	}
	payload, ok := bytes.CutPrefix(body, []byte(name+"\n"))
	if !ok {
		return nil, errDamaged
	}
	return payload, nil
}

// readRecord reads a record and stamps its use. The caller is in the gate.
func (s *Store) readRecord(file, name string) ([]byte, error) {
	fd, err := open(file)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := s.lease.use(fd); err != nil {
		return nil, err
	}
	raw, err := readAll(fd, maxRecord)
	var payload []byte
	if err == nil {
		payload, err = openRecord(name, raw)
	}
	if errors.Is(err, errDamaged) {
		return nil, ErrNotFound // whoever realises it again replaces it
	}
	return payload, err
}

func readAll(fd, limit int) ([]byte, error) {
	buf := make([]byte, 512)
	n := 0
	for {
		got, err := unix.Read(fd, buf[n:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, fmt.Errorf("read record: %w", err)
		}
		if n += got; n > limit {
			return nil, errDamaged
		}
		if n < len(buf) { // of a regular file that nobody writes to: its end
			return buf[:n], nil
		}
		buf = append(buf, make([]byte, len(buf))...)
	}
}

func keyPath(kind string, key Key) string { return kind + "/" + string(key[:2]) + "/" + string(key) }

// Lookup returns the layer that key realised to. It fails with ErrNotFound if
// the store has none.
func (s *Store) Lookup(ctx context.Context, key Key) (Layer, error) {
	var l Layer
	err := ctx.Err()
	if err == nil {
		err = s.within(func() (err error) {
			l, err = s.lookup(key)
			return err
		})
	}
	if err != nil {
		return Layer{}, fmt.Errorf("look up key %s: %w", key, err)
	}
	return l, nil
}

// lookup is Lookup inside the gate.
func (s *Store) lookup(key Key) (Layer, error) {
	if !ValidKey(string(key)) {
		return Layer{}, errors.New("not a key")
	}
	payload, err := s.readRecord(s.path(keyPath(keysDir, key)), string(key))
	if err != nil {
		return Layer{}, err
	}
	l, err := decodeLayer(payload)
	if err != nil {
		return Layer{}, ErrNotFound
	}
	return l, s.useLayer(l.DiffID)
}

// useLayer stamps a layer's use. The caller is in the gate.
func (s *Store) useLayer(id digest.Digest) error {
	return s.lease.usePath(s.path(layersDir, id.Encoded(), "tree"))
}

func decodeLayer(payload []byte) (Layer, error) {
	var l Layer
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return Layer{}, err
	}
	if err := checkSHA256(l.DiffID); err != nil {
		return Layer{}, err
	}
	return l, nil
}

func checkSHA256(d digest.Digest) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("digest %q: %w", d, err)
	}
	if d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("digest %q: not a sha256", d)
	}
	return nil
}

// maxValue is the size limit of PutValue.
const maxValue = 1 << 20

// PutValue keeps a small value under key, in place of an earlier one. Values
// and layers have separate keys.
func (s *Store) PutValue(ctx context.Context, key Key, value []byte) error {
	if err := s.putValue(ctx, key, value); err != nil {
		return fmt.Errorf("put value %s: %w", key, err)
	}
	return nil
}

func (s *Store) putValue(ctx context.Context, key Key, value []byte) error {
	if !ValidKey(string(key)) {
		return errors.New("not a key")
	}
	if len(value) > maxValue {
		return fmt.Errorf("%d bytes, limit %d", len(value), maxValue)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	tmp := s.tempName("value")
	if err := writeDurable(tmp, sealRecord(string(key), value)); err != nil {
		return errors.Join(err, removeIfThere(tmp))
	}
	return s.within(func() error {
		name := s.path(keyPath(valuesDir, key))
		if err := mkdir(filepath.Dir(name)); err != nil {
			return err
		}
		if err := os.Rename(tmp, name); err != nil {
			return err
		}
		return s.lease.usePath(name)
	})
}

// Value returns what PutValue kept. It fails with ErrNotFound if there is
// nothing.
func (s *Store) Value(ctx context.Context, key Key) ([]byte, error) {
	var value []byte
	err := ctx.Err()
	if err == nil && !ValidKey(string(key)) {
		err = errors.New("not a key")
	}
	if err == nil {
		err = s.within(func() (err error) {
			value, err = s.readRecord(s.path(keyPath(valuesDir, key)), string(key))
			return err
		})
	}
	if err != nil {
		return nil, fmt.Errorf("value %s: %w", key, err)
	}
	return value, nil
}

// writeDurable writes a new file and syncs it.
func writeDurable(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func mkdir(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func removeIfThere(name string) error {
	return ignoreNotExist(os.Remove(name))
}
