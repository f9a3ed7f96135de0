package layers

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/containerd/containerd/v2/pkg/archive"
	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
)

// maxImport bounds the canonical tar that ImportTar takes.
const maxImport = 32 << 30

// ImportTar stores a layer that comes as its canonical tar, of digest want, and
// records it under key as Commit does. Bytes of another digest give a
// *DigestError; a tar that this program would write differently is refused.
func (s *Store) ImportTar(ctx context.Context, key Key, r io.Reader, want digest.Digest) (Layer, error) {
	l, err := s.importTar(ctx, key, r, want)
	if err != nil {
		return Layer{}, fmt.Errorf("import layer %s: %w", want, err)
	}
	return l, nil
}

func (s *Store) importTar(ctx context.Context, key Key, r io.Reader, want digest.Digest) (l Layer, err error) {
	if err := checkSHA256(want); err != nil {
		return Layer{}, err
	}
	if key != "" && !ValidKey(string(key)) {
		return Layer{}, fmt.Errorf("key %q", key)
	}
	dir := s.tempName("import")
	if err := os.MkdirAll(dir+"/fs", 0o755); err != nil {
		return Layer{}, err
	}
	defer func() { err = errors.Join(err, removeTree(dir)) }()
	spool, err := os.OpenFile(s.tempName("tar"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return Layer{}, err
	}
	defer func() { err = errors.Join(err, spool.Close(), removeIfThere(spool.Name())) }()
	size, err := receive(ctx, spool, r, want)
	if err != nil {
		return Layer{}, err
	}
	entries, err := listTar(ctx, spool)
	if err != nil {
		return Layer{}, err
	}
	if err := unpack(ctx, dir+"/fs", spool); err != nil {
		return Layer{}, err
	}
	// The tar of what is on disk now has the digest only if the tar was
	// canonical and was unpacked without loss.
	l.DiffID, l.Size, err = tarball.Digest(entries, func(e tarball.Entry) (io.ReadCloser, error) {
		return openBeneath(dir+"/fs", e.Path)
	})
	if err != nil {
		return Layer{}, err
	}
	if l.DiffID != want || l.Size != size {
		return Layer{}, errors.New("tar is not in canonical form")
	}
	return s.publish(ctx, dir, key, l, entries)
}

// receive copies r into spool and verifies its digest.
func receive(ctx context.Context, spool *os.File, r io.Reader, want digest.Digest) (int64, error) {
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(spool, sum), io.LimitReader(tarball.WithContext(ctx, r), maxImport+1))
	if err != nil {
		return 0, err
	}
	if n > maxImport {
		return 0, fmt.Errorf("tar larger than %d bytes", int64(maxImport))
	}
	if got := digest.NewDigest(digest.SHA256, sum); got != want {
		return 0, &DigestError{What: "layer", Want: want, Got: got}
	}
	return n, nil
}

// listTar reads the entries of a tar that has to be canonical.
func listTar(ctx context.Context, spool *os.File) ([]tarball.Entry, error) {
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var entries []tarball.Entry
	sum := sha256.New()
	err := tarball.Read(tarball.WithContext(ctx, spool), tarball.Limits{Bytes: maxImport, FileBytes: maxImport}, func(e tarball.Entry, content io.Reader) error {
		if e.Kind == tarball.File {
			sum.Reset()
			if _, err := io.Copy(sum, content); err != nil {
				return err
			}
			e.Digest = digest.NewDigest(digest.SHA256, sum)
		}
		entries = append(entries, e)
		return nil
	})
	if err == nil {
		err = tarball.Check(entries)
	}
	return entries, err
}

// unpack applies a tar that listTar accepted, with the modes of store files.
func unpack(ctx context.Context, dir string, spool *os.File) error {
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	storeForm := func(h *tar.Header) (bool, error) {
		e := tarball.Entry{Kind: tarball.File, Mode: uint32(h.Mode)}
		switch h.Typeflag {
		case tar.TypeDir:
			e.Kind = tarball.Dir
		case tar.TypeSymlink:
			return true, nil
		}
		h.Mode = int64(diskMode(e))
		h.PAXRecords = nil // attributes stay in the tree file
		return true, nil
	}
	if _, err := archive.Apply(ctx, dir, spool, archive.WithNoSameOwner(), archive.WithFilter(storeForm)); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	return setEpoch(dir)
}
