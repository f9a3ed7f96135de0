package layers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/errdefs"
	"github.com/containerd/log"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Resumer is what the writer that PutBlob hands to fill also implements. A fill
// that can continue an earlier attempt asks Offset before its first Write and
// then writes the rest. One that does not ask starts from the beginning.
type Resumer interface {
	// Offset is how many bytes are there already. They are not verified yet:
	// if the whole turns out wrong, fill is called once more from zero.
	Offset() int64
	// Restart drops what is there; the next Write is the first byte.
	Restart() error
}

func newBlobs(dir string) (content.Store, error) {
	// NewStore warns on stderr about file systems without fs-verity, through a
	// logger that it cannot be given.
	if err := log.SetLevel("fatal"); err != nil {
		return nil, err
	}
	s, err := local.NewStore(dir)
	if err != nil {
		return nil, fmt.Errorf("open blobs: %w", err)
	}
	return s, nil
}

// Blobs is the store of blobs, as containerd's libraries take it. What is
// written through it must carry a ref that no other process uses.
func (s *Store) Blobs() (content.Store, error) { return s.blobs() }

func (s *Store) blobPath(d digest.Digest) string {
	return s.path(blobsDir, "blobs", d.Algorithm().String(), d.Encoded())
}

// HasBlob reports whether the store has a blob, and if so keeps it from being
// collected.
func (s *Store) HasBlob(ctx context.Context, d digest.Digest) (bool, error) {
	err := ctx.Err()
	if err == nil {
		err = checkSHA256(d)
	}
	if err == nil {
		err = s.within(func() error { return s.lease.usePath(s.blobPath(d)) })
	}
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look up blob %s: %w", d, err)
	}
	return true, nil
}

// OpenBlob opens a blob. It fails with ErrNotFound if the store has none. The
// caller closes the reader.
func (s *Store) OpenBlob(ctx context.Context, d digest.Digest) (content.ReaderAt, error) {
	has, err := s.HasBlob(ctx, d)
	if err == nil && !has {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open blob %s: %w", d, err)
	}
	blobs, err := s.blobs()
	if err != nil {
		return nil, err
	}
	r, err := blobs.ReaderAt(ctx, ocispec.Descriptor{Digest: d})
	if errdefs.IsNotFound(err) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open blob %s: %w", d, err)
	}
	return r, nil
}

// PutBlob stores the blob want of size bytes, which fill writes. A size of -1
// is not checked. If the store has the blob, fill is not called; if another
// process is writing it, PutBlob waits for that one. What fill wrote before an
// error is kept, so that a later PutBlob can continue; see Resumer. Bytes other
// than the wanted give a *DigestError and are dropped.
func (s *Store) PutBlob(ctx context.Context, want digest.Digest, size int64, fill func(io.Writer) error) error {
	if err := s.putBlob(ctx, want, size, fill); err != nil {
		return fmt.Errorf("put blob %s: %w", want, err)
	}
	return nil
}

func (s *Store) putBlob(ctx context.Context, want digest.Digest, size int64, fill func(io.Writer) error) error {
	has, err := s.HasBlob(ctx, want)
	if has || err != nil {
		return err
	}
	// containerd's own lock of a ref holds within one process only.
	release, err := s.lockName(ctx, "blob-"+want.Encoded())
	if err != nil {
		return err
	}
	defer release()
	if has, err = s.HasBlob(ctx, want); has || err != nil {
		return err
	}
	blobs, err := s.blobs()
	if err != nil {
		return err
	}
	for {
		p := &partial{want: want, limit: size}
		// The ref is the digest, so that the next attempt finds it.
		ref := "partial-" + want.Encoded()
		p.reopen = func() (content.Writer, error) { return blobs.Writer(ctx, content.WithRef(ref)) }
		p.abort = func() error { return blobs.Abort(ctx, ref) }
		err := p.run(ctx, fill)
		if err == nil {
			return s.within(func() error { return s.lease.usePath(s.blobPath(want)) })
		}
		// The bytes of an earlier attempt may be bad, by a power cut for one.
		var wrong *DigestError
		if !errors.As(err, &wrong) || !p.resumed {
			return err
		}
	}
}

// partial is one blob on its way in. The caller holds the blob's lock.
type partial struct {
	reopen  func() (content.Writer, error)
	abort   func() error
	want    digest.Digest
	limit   int64 // or -1
	w       content.Writer
	n       int64
	started bool // the filler asked for the offset or wrote
	resumed bool // bytes of an earlier attempt are part of it
}

func (p *partial) run(ctx context.Context, fill func(io.Writer) error) (err error) {
	if err := p.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.w.Close()) }()
	if p.limit > 0 && p.n == p.limit {
		p.Offset() // nothing is left to ask for
	} else if err := fill(p); err != nil {
		return err
	}
	if !p.started { // an empty blob, or one that an earlier attempt left complete
		p.Offset()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if got := p.w.Digest(); got != p.want || p.limit >= 0 && p.n != p.limit {
		err := error(&DigestError{What: "blob", Want: p.want, Got: got})
		if got == p.want {
			err = fmt.Errorf("%d bytes, want %d", p.n, p.limit)
		}
		return errors.Join(err, p.drop())
	}
	err = p.w.Commit(ctx, p.n, p.want)
	if errdefs.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// open starts or continues the ingestion.
func (p *partial) open() error {
	w, err := p.reopen()
	if err != nil {
		return err
	}
	st, err := w.Status()
	if err != nil {
		return errors.Join(err, w.Close())
	}
	p.w, p.n = w, st.Offset
	if p.limit >= 0 && p.n > p.limit {
		return p.Restart()
	}
	return nil
}

func (p *partial) drop() error {
	err := p.w.Close()
	if aerr := p.abort(); !errdefs.IsNotFound(aerr) {
		err = errors.Join(err, aerr)
	}
	return err
}

// Offset implements Resumer.
func (p *partial) Offset() int64 {
	p.started = true
	p.resumed = p.resumed || p.n > 0
	return p.n
}

// Restart implements Resumer.
func (p *partial) Restart() error {
	p.started, p.resumed = true, false
	if p.n == 0 {
		return nil
	}
	if err := p.drop(); err != nil {
		return err
	}
	return p.open()
}

// Write implements io.Writer. It stops at the first byte too many.
func (p *partial) Write(b []byte) (int, error) {
	if !p.started {
		if err := p.Restart(); err != nil {
			return 0, err
		}
	}
	if p.limit >= 0 && p.n+int64(len(b)) > p.limit {
		return 0, errors.Join(fmt.Errorf("longer than %d bytes", p.limit), p.Restart())
	}
	n, err := p.w.Write(b)
	p.n += int64(n)
	return n, err
}

// ingests lists the directories of partial blobs, and those in which containerd
// was trying out the file system when its process was killed.
func (s *Store) ingests() ([]string, error) {
	found, err := glob(s.path(blobsDir, "ingest", "*"))
	if err != nil {
		return nil, err
	}
	beside, err := glob(s.path(blobsDir, "*"))
	for _, dir := range beside {
		if strings.HasPrefix(filepath.Base(dir), ".fsverity-check-") {
			found = append(found, dir)
		}
	}
	return found, err
}
