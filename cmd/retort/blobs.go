package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/layers"
)

// maxIndex bounds a package index kept in the store.
const maxIndex = 512 << 20

// blobCache keeps package indices in the store.
type blobCache struct{ store *layers.Store }

// Load returns the bytes with a digest, or fs.ErrNotExist.
func (c blobCache) Load(ctx context.Context, d digest.Digest) ([]byte, error) {
	blob, err := c.store.OpenBlob(ctx, d)
	if errors.Is(err, layers.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	}
	if err != nil {
		return nil, err
	}
	defer blob.Close()
	if blob.Size() > maxIndex {
		return nil, fmt.Errorf("load %s: more than %d bytes", d, maxIndex)
	}
	data := make([]byte, blob.Size())
	if _, err := blob.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data, nil
}

// Save keeps the bytes with a digest.
func (c blobCache) Save(ctx context.Context, d digest.Digest, b []byte) error {
	return c.store.PutBlob(ctx, d, int64(len(b)), func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}
