package tarball

import (
	"context"
	"io"
)

// WithContext is r, ended by ctx: once ctx is done, Read returns its error.
func WithContext(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx.Err, r} }

type contextReader struct {
	done func() error
	r    io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.done(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
