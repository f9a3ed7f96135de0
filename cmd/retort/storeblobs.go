package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/layers"
	"github.com/retort-build/retort/registry"
)

// storeBlobs keeps compressed image layers in the store, so that a tree is
// compressed once per machine.
type storeBlobs struct{ store *layers.Store }

func blobKey(tree digest.Digest, c registry.Codec) layers.Key {
	return valueKey("image layer", tree.String(), string(c))
}

// valueKey is the key of a small value that retort keeps in the store.
func valueKey(parts ...string) layers.Key {
	sum := digest.SHA256.Digester()
	for _, p := range parts {
		fmt.Fprintf(sum.Hash(), "%q\n", p)
	}
	return layers.Key(sum.Digest().Encoded())
}

// Lookup implements registry.Blobs.
func (s storeBlobs) Lookup(ctx context.Context, tree digest.Digest, c registry.Codec) (registry.Blob, bool, error) {
	var b registry.Blob
	data, err := s.store.Value(ctx, blobKey(tree, c))
	if errors.Is(err, layers.ErrNotFound) {
		return b, false, nil
	}
	if err != nil {
		return b, false, err
	}
	if json.Unmarshal(data, &b) != nil || b.Digest.Validate() != nil {
		return registry.Blob{}, false, nil
	}
	has, err := s.store.HasBlob(ctx, b.Digest)
	return b, has, err
}

// Put implements registry.Blobs.
func (s storeBlobs) Put(ctx context.Context, tree digest.Digest, c registry.Codec, fill func(io.Writer) (registry.Blob, error)) (registry.Blob, error) {
	var b registry.Blob
	d, size, err := s.ingest(ctx, func(w io.Writer) (err error) {
		b, err = fill(w)
		return err
	})
	if err != nil {
		return registry.Blob{}, err
	}
	b.Digest, b.Size = d, size
	data, err := json.Marshal(b)
	if err != nil {
		return registry.Blob{}, err
	}
	return b, s.store.PutValue(ctx, blobKey(tree, c), data)
}

// Open implements registry.Blobs.
func (s storeBlobs) Open(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
	blob, err := s.store.OpenBlob(ctx, d)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(blob, 0, blob.Size()), blob}, nil
}

// ingest stores a blob whose digest is not known before it is written.
func (s storeBlobs) ingest(ctx context.Context, fill func(io.Writer) error) (digest.Digest, int64, error) {
	dir, err := s.store.TempDir()
	if err != nil {
		return "", 0, err
	}
	defer s.store.RemoveTemp(dir)
	f, err := os.Create(filepath.Join(dir, "blob"))
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	sum := digest.SHA256.Digester()
	if err := fill(io.MultiWriter(f, sum.Hash())); err != nil {
		return "", 0, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return "", 0, err
	}
	err = s.store.PutBlob(ctx, sum.Digest(), size, func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(f, 0, size))
		return err
	})
	return sum.Digest(), size, err
}
