package deb

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/therootcompany/xz"
	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/internal/tarball"
)

// maxDict bounds the memory that a compressed stream may ask for: xz -9 and
// zstd --ultra stay below it.
const maxDict = 128 << 20

// decompress calls fn with the plain content of a member, which is at most
// limit bytes; whatever fn leaves unread is read and checked too.
func decompress(ctx context.Context, m member, limit int64, jobs int, fn func(io.Reader) error) error {
	_, ext, _ := strings.Cut(m.name, ".tar")
	if ext == ".xz" && jobs > 1 {
		if blocks := readIndex(m, m.Size()); len(blocks) > 1 {
			return decompressBlocks(ctx, m, blocks, limit, jobs, fn)
		}
	}
	plain, err := newDecoder(bufio.NewReaderSize(m, 64<<10), ext)
	if err != nil {
		return err
	}
	defer plain.Close()
	return consume(&boundedReader{r: tarball.WithContext(ctx, plain), left: limit, limit: limit}, fn)
}

func newDecoder(r io.Reader, ext string) (io.ReadCloser, error) {
	switch ext {
	case "":
		return io.NopCloser(r), nil
	case ".gz":
		return gzip.NewReader(r)
	case ".xz":
		d, err := xz.NewReader(r, maxDict)
		return io.NopCloser(d), err
	case ".zst":
		d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxDict))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return nil, fmt.Errorf("unknown compression %q", ext)
}

// decompressBlocks decodes the blocks of an xz stream side by side.
func decompressBlocks(ctx context.Context, m member, blocks []block, limit int64, jobs int, fn func(io.Reader) error) error {
	var total int64
	for _, b := range blocks {
		total += b.plain // readIndex bounds every block and their number
	}
	if total > limit {
		return &sizeError{limit}
	}
	pr, pw := io.Pipe()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := writeBlocks(gctx, pw, m, blocks, jobs)
		pw.CloseWithError(err)
		return err
	})
	g.Go(func() error {
		err := consume(pr, fn)
		// A consumer that gives up must not leave the decoder waiting, and its
		// reason must not be lost to the decoder's.
		pr.CloseWithError(err)
		return err
	})
	return g.Wait()
}

// consume runs fn and then reads the padding behind the tar archive, so that
// the stream's own checksums are always verified.
func consume(r io.Reader, fn func(io.Reader) error) error {
	if err := fn(r); err != nil {
		return err
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		for _, b := range buf[:n] {
			if b != 0 {
				return fmt.Errorf("data behind the end of the tar archive")
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// sizeError says that a member is larger than its package may be.
type sizeError struct{ limit int64 }

func (e *sizeError) Error() string {
	return fmt.Sprintf("unpacks to more than %d bytes", e.limit)
}

// boundedReader fails where io.LimitReader would end.
type boundedReader struct {
	r     io.Reader
	left  int64
	limit int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, &sizeError{b.limit}
	}
	return n, err
}
