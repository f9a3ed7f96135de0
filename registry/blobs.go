package registry

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
)

// Blob is a layer as it was compressed.
type Blob struct {
	Digest  digest.Digest `json:"digest"`  // of the compressed bytes
	Size    int64         `json:"size"`    // of the compressed bytes
	DiffID  digest.Digest `json:"diffID"`  // of the tar
	TarSize int64         `json:"tarSize"` // of the tar
}

// Blobs keeps compressed layers, so that no tree is compressed twice. All
// methods are safe for concurrent use.
type Blobs interface {
	// Lookup returns the blob that the tree with the TreeID was compressed to.
	// ok is false if there is none, or if its bytes are gone.
	Lookup(ctx context.Context, tree digest.Digest, c Codec) (b Blob, ok bool, err error)
	// Put stores what fill writes, which is the compressed bytes, and then
	// remembers the blob. fill returns the DiffID and TarSize; Put fills in the
	// rest. Nothing is remembered if fill fails.
	Put(ctx context.Context, tree digest.Digest, c Codec, fill func(io.Writer) (Blob, error)) (Blob, error)
	// Open returns the bytes of a blob that Lookup or Put returned. The caller
	// closes the reader; the bytes are not verified.
	Open(ctx context.Context, d digest.Digest) (io.ReadCloser, error)
}

// TreeID identifies the tar of a tree without reading its contents: entries
// hold the digests of all files, and tarball.Write makes no other choice.
func TreeID(entries []tarball.Entry) (digest.Digest, error) {
	h := sha256.New()
	fmt.Fprintf(h, "retort image layer 1 %d\n", tarball.Epoch.Unix())
	enc := json.NewEncoder(h)
	for _, e := range entries {
		if err := enc.Encode(e); err != nil {
			return "", fmt.Errorf("identify tree: %w", err)
		}
	}
	return digest.NewDigest(digest.SHA256, h), nil
}

// pack writes the compressed tar of t.
func pack(ctx context.Context, w io.Writer, t Tree, c Codec) (Blob, error) {
	z, err := c.NewWriter(w)
	if err != nil {
		return Blob{}, err
	}
	sum := digest.SHA256.Digester()
	size := &counter{}
	open := func(e tarball.Entry) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return t.Open(e.Path)
	}
	err = tarball.Write(io.MultiWriter(z, sum.Hash(), size), t.Entries(), tarball.Epoch, open)
	if closing := z.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return Blob{}, err
	}
	return Blob{DiffID: sum.Digest(), TarSize: size.n}, nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

// DirBlobs keeps blobs in a plain directory. Many processes may share it.
//
//	blobs/<hex of digest>          compressed bytes
//	trees/<codec>/<hex of TreeID>  Blob as JSON
type DirBlobs struct{ dir string }

// NewDirBlobs returns the blobs of a directory, which it makes if necessary.
func NewDirBlobs(dir string) (*DirBlobs, error) {
	for _, sub := range []string{"blobs", filepath.Join("trees", string(Gzip)), filepath.Join("trees", string(Zstd))} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("make blob directory: %w", err)
		}
	}
	return &DirBlobs{dir}, nil
}

func (s *DirBlobs) blob(d digest.Digest) string { return filepath.Join(s.dir, "blobs", d.Encoded()) }
func (s *DirBlobs) record(tree digest.Digest, c Codec) string {
	return filepath.Join(s.dir, "trees", string(c), tree.Encoded())
}

// Lookup implements Blobs. A damaged record counts as none.
func (s *DirBlobs) Lookup(_ context.Context, tree digest.Digest, c Codec) (Blob, bool, error) {
	data, err := os.ReadFile(s.record(tree, c))
	if errors.Is(err, fs.ErrNotExist) {
		return Blob{}, false, nil
	}
	if err != nil {
		return Blob{}, false, fmt.Errorf("look up blob: %w", err)
	}
	var b Blob
	if json.Unmarshal(data, &b) != nil || checkDigest(b.Digest) != nil || checkDigest(b.DiffID) != nil {
		return Blob{}, false, nil
	}
	info, err := os.Stat(s.blob(b.Digest))
	if err != nil || info.Size() != b.Size {
		return Blob{}, false, nil
	}
	return b, true, nil
}

// Put implements Blobs.
func (s *DirBlobs) Put(_ context.Context, tree digest.Digest, c Codec, fill func(io.Writer) (Blob, error)) (_ Blob, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("store blob: %w", err)
		}
	}()
	tmp, err := os.CreateTemp(s.dir, "blob-*")
	if err != nil {
		return Blob{}, err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	sum := digest.SHA256.Digester()
	size := &counter{}
	b, err := fill(io.MultiWriter(tmp, sum.Hash(), size))
	if err != nil {
		return Blob{}, err
	}
	b.Digest, b.Size = sum.Digest(), size.n
	if err := commit(tmp, s.blob(b.Digest)); err != nil {
		return Blob{}, err
	}
	data, err := json.Marshal(b)
	if err != nil {
		return Blob{}, err
	}
	return b, writeFile(s.record(tree, c), data)
}

// Open implements Blobs.
func (s *DirBlobs) Open(_ context.Context, d digest.Digest) (io.ReadCloser, error) {
	if err := checkDigest(d); err != nil {
		return nil, err
	}
	f, err := os.Open(s.blob(d))
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	return f, nil
}

// commit makes a complete temporary file visible under its name.
func commit(tmp *os.File, name string) error {
	if err := tmp.Chmod(0o644); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

// writeFile writes a file atomically, through a temporary one beside it.
func writeFile(name string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	if _, err := tmp.Write(data); err != nil {
		return err
	}
	return commit(tmp, name)
}

// checkDigest accepts sha256 only, in full and in lower case, so that a digest
// can be a file name.
func checkDigest(d digest.Digest) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("digest %q: %w", string(d), err)
	}
	if d.Algorithm() != digest.SHA256 {
		return fmt.Errorf("digest %q: want sha256", string(d))
	}
	return nil
}
