package registry

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Codec names a compression whose bytes never change: algorithm,
// implementation and parameters. An implementation that writes other bytes is
// another codec. Decoding needs only the algorithm.
type Codec string

// The codecs. Gzip is what every registry and runtime reads; on the hello
// release it is as small as the standard library's level 9 and does not change
// with the Go release. Zstd packs five times as fast.
const (
	Gzip Codec = "gzip-kp1.20.3-9"
	Zstd Codec = "zstd-kp1.20.3-default"
)

// gzipOS is "unknown" (RFC 1952): the member says nothing of the machine.
const gzipOS = 255

// NewWriter returns a compressor to w. Closing it ends the stream, not w. The
// bytes do not depend on the sizes of writes or on the number of processors.
func (c Codec) NewWriter(w io.Writer) (io.WriteCloser, error) {
	switch c {
	case Gzip:
		z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
		if err != nil {
			return nil, fmt.Errorf("compress with %s: %w", c, err)
		}
		z.OS = gzipOS
		z.ModTime = time.Unix(0, 0) // the zero Time is not written as 0
		return z, nil
	case Zstd:
		// One goroutine: more of them only overlap blocks of a frame, and
		// layers are compressed side by side instead.
		z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("compress with %s: %w", c, err)
		}
		return z, nil
	}
	return nil, fmt.Errorf("compress with %q: no such codec", string(c))
}

// MediaType is the media type of a layer compressed by c in a format.
func (c Codec) MediaType(f Format) (string, error) {
	switch {
	case f == OCI && c == Gzip:
		return ociLayerGzip, nil
	case f == OCI && c == Zstd:
		return ociLayerZstd, nil
	case f == Docker && c == Gzip:
		return dockerLayerGzip, nil
	}
	return "", fmt.Errorf("format %s has no layers of codec %s", f, c)
}

// maxWindow bounds the memory which a foreign zstd frame may ask for; it is
// what RFC 8878 recommends that decoders accept.
const maxWindow = 8 << 20

// ErrTooLarge says that compressed data holds more than the caller allows.
var ErrTooLarge = errors.New("decompressed data is larger than allowed")

// Decompress returns the content of a layer blob, at most limit bytes of it:
// one byte more makes ErrTooLarge. A gzip blob must be one member without name,
// comment or extra field, and a zstd blob one frame: a second one, or a byte
// behind the end, is an error, for readers disagree about them. compression is
// "gzip", "zstd" or "" for none.
func Decompress(r io.Reader, compression string, limit int64) (io.ReadCloser, error) {
	switch compression {
	case "":
		return &bounded{r: r, left: limit}, nil
	case "gzip":
		in := bufio.NewReader(r)
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("decompress gzip: %w", err)
		}
		if z.Name != "" || z.Comment != "" || len(z.Extra) > 0 {
			z.Close()
			return nil, errors.New("decompress gzip: the member has a name, a comment or extra fields")
		}
		z.Multistream(false)
		return &bounded{r: &endsWith{r: z, rest: in}, left: limit, close: z.Close}, nil
	case "zstd":
		frame := &zstdFrame{r: bufio.NewReader(r)}
		z, err := zstd.NewReader(frame, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(maxWindow), zstd.IgnoreChecksum(false))
		if err != nil {
			return nil, fmt.Errorf("decompress zstd: %w", err)
		}
		return &bounded{r: &endsWith{r: z, rest: frame.r}, left: limit, close: func() error { z.Close(); return nil }}, nil
	}
	return nil, fmt.Errorf("decompress: no compression %q", compression)
}

// endsWith reads r, and at its end requires that rest is at its end too.
type endsWith struct {
	r    io.Reader
	rest *bufio.Reader
}

func (e *endsWith) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if errors.Is(err, io.EOF) {
		if _, more := e.rest.ReadByte(); more == nil {
			return n, errors.New("decompress: bytes behind the end of the stream")
		} else if !errors.Is(more, io.EOF) {
			return n, more
		}
	}
	return n, err
}

type bounded struct {
	r     io.Reader
	left  int64
	close func() error
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n, ErrTooLarge
	}
	return n, err
}

func (b *bounded) Close() error {
	if b.close == nil {
		return nil
	}
	return b.close()
}
