package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/layers"
)

// StoreTree is the tree of a layer of the store.
func StoreTree(ctx context.Context, s *layers.Store, l layers.Layer) (Tree, error) {
	entries, err := s.Entries(ctx, l)
	if err != nil {
		return nil, err
	}
	return Opened(entries, func(p string) (io.ReadCloser, error) {
		f, err := s.OpenFile(l, p)
		if err != nil {
			return nil, err
		}
		return f, nil
	}), nil
}

// StoreBlobs keeps compressed layers among the store's blobs, and what they
// were made of among its values.
type StoreBlobs struct{ store *layers.Store }

// NewStoreBlobs returns the compressed layers of a store.
func NewStoreBlobs(s *layers.Store) *StoreBlobs { return &StoreBlobs{s} }

// blobKey is where the blob of a tree is remembered.
func blobKey(tree digest.Digest, c Codec) layers.Key {
	sum := sha256.Sum256(fmt.Appendf(nil, "retort image blob 1\n%s\n%s\n", c, tree))
	return layers.Key(hex.EncodeToString(sum[:]))
}

// Lookup implements Blobs. A blob which was collected counts as none.
func (s *StoreBlobs) Lookup(ctx context.Context, tree digest.Digest, c Codec) (Blob, bool, error) {
	data, err := s.store.Value(ctx, blobKey(tree, c))
	if errors.Is(err, layers.ErrNotFound) {
		return Blob{}, false, nil
	}
	if err != nil {
		return Blob{}, false, fmt.Errorf("look up blob: %w", err)
	}
	var b Blob
	if json.Unmarshal(data, &b) != nil || checkDigest(b.Digest) != nil || checkDigest(b.DiffID) != nil {
		return Blob{}, false, nil
	}
	ok, err := s.store.HasBlob(ctx, b.Digest)
	if err != nil || !ok {
		return Blob{}, false, err
	}
	return b, true, nil
}

// Put implements Blobs. The bytes wait in a temporary file until their digest,
// which is their name, is known.
func (s *StoreBlobs) Put(ctx context.Context, tree digest.Digest, c Codec, fill func(io.Writer) (Blob, error)) (_ Blob, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("store blob: %w", err)
		}
	}()
	dir, err := s.store.TempDir()
	if err != nil {
		return Blob{}, err
	}
	defer func() { err = errors.Join(err, s.store.RemoveTemp(dir)) }()
	tmp, err := os.OpenFile(filepath.Join(dir, "blob"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Blob{}, err
	}
	defer tmp.Close()
	sum, size := digest.SHA256.Digester(), &counter{}
	b, err := fill(io.MultiWriter(tmp, sum.Hash(), size))
	if err != nil {
		return Blob{}, err
	}
	b.Digest, b.Size = sum.Digest(), size.n
	err = s.store.PutBlob(ctx, b.Digest, b.Size, func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(tmp, 0, b.Size))
		return err
	})
	if err != nil {
		return Blob{}, err
	}
	data, err := json.Marshal(b)
	if err != nil {
		return Blob{}, err
	}
	return b, s.store.PutValue(ctx, blobKey(tree, c), data)
}

// Open implements Blobs.
func (s *StoreBlobs) Open(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
	r, err := s.store.OpenBlob(ctx, d)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{content.NewReader(r), r}, nil
}
