package fetch

import (
	"errors"
	"hash"
	"io"
	"strconv"

	"github.com/opencontainers/go-digest"
)

// body is what has arrived of one download, over all tries and sources.
type body struct {
	req  *Request
	sink Sink
	hash hash.Hash
	n    int64 // bytes in the sink
	best int64 // the most that n ever was
	// validator is the strong ETag or the Last-Modified of the answer which
	// the bytes come from; origin is the URL of that answer.
	validator, origin string
	joined            bool // pieces were put together that nothing but the digest ties
	earlier           bool // the beginning is the sink's own, which hash has not seen
}

func newBody(req *Request, sink Sink) *body {
	b := &body{req: req, sink: sink}
	b.hash = b.algorithm().Hash()
	return b
}

// resume takes up what the sink has of an earlier download.
func (b *body) resume() error {
	r, ok := b.sink.(Resumer)
	if !ok || b.req.Digest == "" {
		return nil
	}
	n := r.Offset()
	if n == 0 {
		return nil
	}
	b.n, b.best, b.earlier = n, n, true
	b.progress(n)
	if n >= b.req.limit() {
		return b.restart()
	}
	return nil
}

func (b *body) algorithm() digest.Algorithm {
	if b.req.Digest != "" {
		return b.req.Digest.Algorithm()
	}
	return digest.SHA256
}

func (b *body) digest() digest.Digest {
	if b.earlier {
		return b.req.Digest // for the sink to judge
	}
	return digest.NewDigest(b.algorithm(), b.hash)
}

// restart forgets what has arrived.
func (b *body) restart() error {
	b.validator, b.origin, b.joined, b.earlier = "", "", false, false
	if b.n == 0 {
		return nil
	}
	b.progress(-b.n)
	b.n = 0
	b.hash.Reset()
	if err := b.sink.Reset(); err != nil {
		return &sinkError{err}
	}
	return nil
}

// resumable says whether the rest may be asked of a URL: when a digest will
// judge the whole, or a validator the pieces.
func (b *body) resumable(url string) bool {
	return b.n > 0 && (b.req.Digest != "" || b.origin == url && b.validator != "")
}

// read takes what the source sends, up to the limit and one byte, which proves
// a body too long without reading it all.
func (b *body) read(r io.Reader) error {
	limit := b.req.limit()
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if over := b.n + int64(n) - limit; over > 0 {
			return &BytesError{What: "size", Want: b.wantSize(), Got: "more"}
		}
		if n > 0 {
			if _, werr := b.sink.Write(buf[:n]); werr != nil {
				return &sinkError{werr}
			}
			b.hash.Write(buf[:n])
			b.n += int64(n)
			b.progress(int64(n))
		}
		if err == io.EOF || err != nil && b.n == b.req.Size && b.n > 0 {
			// All that was wanted is here: how the connection ends matters not.
			return b.whole()
		} else if err != nil {
			return &brokenError{err}
		}
	}
}

// whole judges a body that ended.
func (b *body) whole() error {
	if b.req.Size > 0 && b.n < b.req.Size {
		// A close-delimited answer that was cut looks like a whole one.
		return &brokenError{io.ErrUnexpectedEOF}
	}
	if want := b.req.Digest; want != "" && !b.earlier {
		if got := b.digest(); got != want {
			return &BytesError{What: "digest", Want: want.String(), Got: got.String()}
		}
	}
	return nil
}

func (b *body) wantSize() string {
	if b.req.Size > 0 {
		return strconv.FormatInt(b.req.Size, 10)
	}
	return "at most " + strconv.FormatInt(b.req.MaxSize, 10)
}

func (b *body) progress(n int64) {
	if b.req.Progress != nil {
		b.req.Progress(n)
	}
}

// grew says whether the body came farther than ever, by enough to count as a
// sign of life. It bounds the retries: a source that always breaks must end.
func (b *body) grew() bool {
	const enough = 64 << 10
	if b.n < b.best+enough {
		return false
	}
	b.best = b.n
	return true
}

// brokenError is a connection that failed, which may be tried again.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// errAgain asks for the same source anew at once, from the first byte.
var errAgain = errors.New("source changed under the download")
