package builder

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/layers"
)

// Ingest stores a file of which no sha256 is known, and returns the one it has.
// get writes it; it must have the digest want, of any algorithm, if that is
// not "".
func Ingest(ctx context.Context, store *layers.Store, want digest.Digest, get func(to fetch.Sink) error) (digest.Digest, int64, error) {
	dir, err := store.TempDir()
	if err != nil {
		return "", 0, err
	}
	defer store.RemoveTemp(dir)
	f, err := os.Create(filepath.Join(dir, "file"))
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	if err := get(fetch.File{File: f}); err != nil {
		return "", 0, err
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return "", 0, err
	}
	if want != "" {
		got, err := want.Algorithm().FromReader(io.NewSectionReader(f, 0, size))
		if err != nil {
			return "", 0, err
		}
		if got != want {
			return "", 0, &layers.DigestError{What: "digest", Want: want, Got: got}
		}
	}
	sum, err := digest.SHA256.FromReader(io.NewSectionReader(f, 0, size))
	if err != nil {
		return "", 0, err
	}
	err = store.PutBlob(ctx, sum, size, func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(f, 0, size))
		return err
	})
	return sum, size, err
}
