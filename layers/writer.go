package layers

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/internal/tarball"
)

// Writer makes one layer out of entries that come in any order. It is not safe
// for concurrent use. Commit or Abort ends it.
type Writer struct {
	store   *Store
	dir     string // staging directory: fs, tree, record
	entries []tarball.Entry
	at      map[string]int // index in entries, or impliedDir
	sum     hash.Hash
	buf     []byte
	err     error // of an Add: the writer holds half a file
	sealed  *sealed
	done    bool
}

const impliedDir = -1

var errWriterDone = errors.New("writer is finished")

// NewWriter starts a layer.
func (s *Store) NewWriter(ctx context.Context) (*Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("start layer: %w", err)
	}
	w := &Writer{
		store: s, dir: s.tempName("layer"), at: make(map[string]int),
		sum: sha256.New(), buf: make([]byte, 128<<10),
	}
	if err := os.Mkdir(w.dir, 0o755); err != nil {
		return nil, fmt.Errorf("start layer: %w", err)
	}
	if err := os.Mkdir(w.dir+"/fs", 0o755); err != nil {
		return nil, errors.Join(fmt.Errorf("start layer: %w", err), os.Remove(w.dir))
	}
	return w, nil
}

// Add takes one entry. The content of a file is read to its end; its size and
// digest are filled in, and compared where e states them (a zero Size states
// nothing). Parents are made when missing. After an error only Abort is of use.
func (w *Writer) Add(e tarball.Entry, content io.Reader) error {
	return w.add(e, func(e *tarball.Entry) error { return w.writeFile(e, content) })
}

// Adopt takes the file at hostPath, which must be on the store's file system,
// by renaming it; nothing may have it open. A file with other names is copied.
func (w *Writer) Adopt(e tarball.Entry, hostPath string) error {
	return w.add(e, func(e *tarball.Entry) error { return w.moveFile(e, unix.AT_FDCWD, hostPath) })
}

func (w *Writer) add(e tarball.Entry, content func(*tarball.Entry) error) error {
	if w.done || w.sealed != nil {
		return fmt.Errorf("add %q: %w", e.Path, errWriterDone)
	}
	if w.err == nil {
		w.err = w.place(e, content)
	}
	if w.err != nil {
		return fmt.Errorf("add %q: %w", e.Path, w.err)
	}
	return nil
}

func (w *Writer) place(e tarball.Entry, content func(*tarball.Entry) error) error {
	if err := tarball.CheckPath(e.Path); err != nil {
		return err
	}
	at, known := w.at[e.Path]
	if known && (at != impliedDir || e.Kind != tarball.Dir) {
		return errors.New("duplicate path")
	}
	if err := w.makeParents(e.Path); err != nil {
		return err
	}
	var err error
	switch e.Kind {
	case tarball.File:
		err = content(&e)
	case tarball.Dir:
		if !known {
			err = os.Mkdir(w.host(e.Path), 0o700)
		}
	case tarball.Symlink:
		e.Mode = 0o777
		err = os.Symlink(e.Link, w.host(e.Path))
		if err == nil {
			err = setEpoch(w.host(e.Path))
		}
	}
	if err == nil {
		err = tarball.CheckEntry(e)
	}
	if err != nil {
		return err
	}
	w.at[e.Path] = len(w.entries)
	w.entries = append(w.entries, e)
	return nil
}

// makeParents makes the directories above p and refuses to go through anything
// else, so that no name leads out of the staging directory.
func (w *Writer) makeParents(p string) error {
	up := path.Dir(p)
	if up == "." {
		return nil
	}
	if at, ok := w.at[up]; ok {
		if at != impliedDir && w.entries[at].Kind != tarball.Dir {
			return fmt.Errorf("%q is not a directory", up)
		}
		return nil
	}
	if err := w.makeParents(up); err != nil {
		return err
	}
	if err := os.Mkdir(w.host(up), 0o700); err != nil {
		return err
	}
	w.at[up] = impliedDir
	return nil
}

func (w *Writer) host(p string) string { return w.dir + "/fs/" + p }

// writeFile stores content as the file of e.
func (w *Writer) writeFile(e *tarball.Entry, content io.Reader) error {
	if content == nil {
		return errors.New("file without content")
	}
	name := w.host(e.Path)
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &fs.PathError{Op: "create", Path: name, Err: err}
	}
	size, err := w.fill(fd, content)
	if err == nil {
		err = w.stated(e, size)
	}
	if err == nil {
		err = unix.Fchmod(fd, diskMode(*e))
	}
	if err = errors.Join(err, unix.Close(fd)); err != nil {
		return err
	}
	return setEpoch(name)
}

// fill copies content to an open file, with its digest in w.sum.
func (w *Writer) fill(fd int, content io.Reader) (size int64, err error) {
	w.sum.Reset()
	for {
		n, rerr := content.Read(w.buf)
		w.sum.Write(w.buf[:n])
		size += int64(n)
		if err := writeAll(fd, w.buf[:n]); err != nil {
			return size, fmt.Errorf("write: %w", err)
		}
		if rerr == io.EOF {
			return size, nil
		}
		if rerr != nil {
			return size, rerr
		}
	}
}

func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil && err != unix.EINTR {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

// stated compares what e says of its content with what was read, whose digest
// is in w.sum, and fills in the rest.
func (w *Writer) stated(e *tarball.Entry, size int64) error {
	got := digest.NewDigest(digest.SHA256, w.sum)
	if e.Size != 0 && e.Size != size {
		return fmt.Errorf("%d bytes, want %d", size, e.Size)
	}
	if e.Digest != "" && e.Digest != got {
		return &DigestError{What: e.Path, Want: e.Digest, Got: got}
	}
	e.Size, e.Digest = size, got
	return nil
}

// diskMode is the mode that an entry has on disk: readable by the owner, and
// without bits that would mean something to the host.
func diskMode(e tarball.Entry) uint32 {
	if e.Kind == tarball.Dir {
		return e.Mode&0o777 | 0o700
	}
	return e.Mode&0o777 | 0o400
}

func setEpoch(name string) error {
	t := unix.NsecToTimespec(tarball.Epoch.UnixNano())
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "set time", Path: name, Err: err}
	}
	return nil
}

// Commit makes the layer durable and records it under key. If the key was
// committed before, that layer stays and is returned: a key has one result. An
// empty key stores the layer without a record, for comparison.
func (w *Writer) Commit(ctx context.Context, key Key) (Layer, error) {
	if w.done {
		return Layer{}, fmt.Errorf("commit layer: %w", errWriterDone)
	}
	l, err := w.commit(ctx, key)
	if err = errors.Join(err, w.Abort()); err != nil {
		return Layer{}, fmt.Errorf("commit layer: %w", err)
	}
	return l, nil
}

func (w *Writer) commit(ctx context.Context, key Key) (Layer, error) {
	if key != "" && !ValidKey(string(key)) {
		return Layer{}, fmt.Errorf("key %q", key)
	}
	if err := w.seal(ctx); err != nil {
		return Layer{}, err
	}
	return w.store.publish(ctx, w.dir, key, w.sealed.layer, w.sealed.entries)
}

// sealed is what a layer came to.
type sealed struct {
	layer   Layer
	entries []tarball.Entry
}

// Seal does the part of Commit that keeps the processor busy: what is left is
// to wait for the disk. No entry can be added after it. Calling it is optional.
func (w *Writer) Seal(ctx context.Context) error {
	if w.done {
		return fmt.Errorf("seal layer: %w", errWriterDone)
	}
	if err := w.seal(ctx); err != nil {
		return fmt.Errorf("seal layer: %w", err)
	}
	return nil
}

func (w *Writer) seal(ctx context.Context) error {
	if w.err != nil || w.sealed != nil {
		return w.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := w.settle()
	if err != nil {
		w.err = err // half settled
		return err
	}
	var l Layer
	l.DiffID, l.Size, err = tarball.Digest(entries, func(e tarball.Entry) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return os.Open(w.host(e.Path))
	})
	if err != nil {
		w.err = err
		return err
	}
	w.sealed = &sealed{l, entries}
	return nil
}

// settle brings the staged files into their final form and returns the
// canonical entries.
func (w *Writer) settle() ([]tarball.Entry, error) {
	entries, err := tarball.Normalise(w.entries)
	if err != nil {
		return nil, err
	}
	for _, e := range w.entries {
		if e.Kind != tarball.Hardlink {
			continue
		}
		target := e
		for target.Kind == tarball.Hardlink { // Normalise has seen that this ends
			target = w.entries[w.at[target.Link]]
		}
		if err := os.Link(w.host(target.Path), w.host(e.Path)); err != nil {
			return nil, err
		}
	}
	// Children first: a new name changes its directory's time.
	for _, e := range slices.Backward(entries) {
		if e.Kind != tarball.Dir {
			continue
		}
		if err := os.Chmod(w.host(e.Path), os.FileMode(diskMode(e))); err != nil {
			return nil, err
		}
		if err := setEpoch(w.host(e.Path)); err != nil {
			return nil, err
		}
	}
	if err := os.Chmod(w.dir+"/fs", 0o755); err != nil {
		return nil, err
	}
	return entries, setEpoch(w.dir + "/fs")
}

// Abort drops what was staged. After Commit it does nothing.
func (w *Writer) Abort() error {
	if w.done {
		return nil
	}
	w.done = true
	if err := removeTree(w.dir); err != nil {
		return fmt.Errorf("drop staged layer: %w", err)
	}
	return nil
}
