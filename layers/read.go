package layers

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/internal/tarball"
)

// Layer returns the layer with a DiffID, and keeps it from being collected. It
// fails with ErrNotFound if the store has none.
func (s *Store) Layer(ctx context.Context, id digest.Digest) (Layer, error) {
	l, _, err := s.tree(ctx, id)
	if err != nil {
		return Layer{}, fmt.Errorf("look up layer %s: %w", id, err)
	}
	return l, nil
}

// Entries returns the canonical entries of a layer, in order.
func (s *Store) Entries(ctx context.Context, l Layer) ([]tarball.Entry, error) {
	_, entries, err := s.tree(ctx, l.DiffID)
	if err != nil {
		return nil, fmt.Errorf("entries of layer %s: %w", l.DiffID, err)
	}
	return entries, nil
}

// tree reads a layer's tree file and stamps its use.
func (s *Store) tree(ctx context.Context, id digest.Digest) (Layer, []tarball.Entry, error) {
	if err := ctx.Err(); err != nil {
		return Layer{}, nil, err
	}
	if err := checkSHA256(id); err != nil {
		return Layer{}, nil, err
	}
	if err := s.within(func() error { return s.useLayer(id) }); err != nil {
		return Layer{}, nil, err
	}
	raw, err := os.ReadFile(s.path(layersDir, id.Encoded(), "tree"))
	if err != nil {
		return Layer{}, nil, err
	}
	return readTree(raw, id)
}

// Path is the directory that holds a layer's files, with the modes and owners
// that a sandbox of one user needs. It must not be changed.
func (s *Store) Path(l Layer) string { return s.path(layersDir, l.DiffID.Encoded(), "fs") }

// OpenFile opens one file of a layer by its path in the layer; symlinks are not
// followed.
func (s *Store) OpenFile(l Layer, name string) (*os.File, error) {
	f, err := openBeneath(s.Path(l), name)
	if err != nil {
		return nil, fmt.Errorf("open %s of layer %s: %w", name, l.DiffID, err)
	}
	return f, nil
}

func openBeneath(dir, name string) (*os.File, error) {
	if err := tarball.CheckPath(name); err != nil {
		return nil, err
	}
	root, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(root)
	fd, err := openAt(root, name, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// openAt opens a file below a directory, through no symlink and no mount.
func openAt(dir int, name string, flags uint64) (int, error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC | unix.O_NOFOLLOW,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(dir, name, &how)
		// EAGAIN: a rename somewhere made the kernel unsure about "..".
		if err == unix.EINTR || err == unix.EAGAIN {
			continue
		}
		if err != nil {
			return -1, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return fd, nil
	}
}

// WriteTar writes the canonical tar of a layer. Every byte is verified on the
// way, so the result has digest l.DiffID or WriteTar fails.
func (s *Store) WriteTar(ctx context.Context, w io.Writer, l Layer) error {
	entries, err := s.Entries(ctx, l)
	if err == nil {
		err = tarball.Write(w, entries, tarball.Epoch, s.opener(ctx, l))
	}
	if err != nil {
		return fmt.Errorf("write layer %s: %w", l.DiffID, err)
	}
	return nil
}

// opener opens a layer's files for tarball.Write.
func (s *Store) opener(ctx context.Context, l Layer) func(tarball.Entry) (io.ReadCloser, error) {
	dir := s.Path(l)
	return func(e tarball.Entry) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return openBeneath(dir, e.Path)
	}
}
