package fetch

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// idleWatch cancels a request that brings nothing for too long.
type idleWatch struct {
	timer  *time.Timer
	after  time.Duration
	cancel context.CancelCauseFunc
}

func watchIdle(ctx context.Context, after time.Duration) (context.Context, *idleWatch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &idleWatch{after: after, cancel: cancel}
	w.timer = time.AfterFunc(after, func() { cancel(errIdle) })
	return ctx, w
}

func (w *idleWatch) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// watchedReader tells a watch of every sign of life, and reports the reason of
// a cancelled read instead of the bare cancellation.
type watchedReader struct {
	r     io.Reader
	cause func() error // why to stop, or nil
	watch *idleWatch   // nil for local files
}

func watched(ctx context.Context, r io.Reader, watch *idleWatch) io.Reader {
	return &watchedReader{r: r, cause: func() error { return context.Cause(ctx) }, watch: watch}
}

func (r *watchedReader) Read(p []byte) (int, error) {
	if cause := r.cause(); cause != nil {
		return 0, cause
	}
	n, err := r.r.Read(p)
	if n > 0 && r.watch != nil {
		r.watch.timer.Reset(r.watch.after)
	}
	if err != nil && err != io.EOF {
		if cause := r.cause(); cause != nil {
			err = cause
		}
	}
	return n, err
}

// head asks one URL once whether it has a file of the wanted size.
func (c *Client) head(ctx context.Context, u *url.URL, req *Request) error {
	if u.Scheme == "file" {
		f, err := openFile(u)
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		return sizeFits(st.Size(), req)
	}
	leave, err := c.hosts.enter(ctx, u.Host, c.perHost())
	if err != nil {
		return err
	}
	defer leave()
	ctx, watch := watchIdle(ctx, orDefault(c.Idle, defaultIdle))
	defer watch.stop()
	resp, err := c.send(ctx, http.MethodHead, u, &body{req: req})
	if status, ok := err.(*StatusError); ok && (status.Code == http.StatusMethodNotAllowed || status.Code == http.StatusNotImplemented) {
		// The body is not read: closing it ends the connection.
		resp, err = c.send(ctx, http.MethodGet, u, &body{req: req})
	}
	if err != nil {
		return err
	}
	resp.Body.Close()
	return sizeFits(resp.ContentLength, req)
}

func sizeFits(n int64, req *Request) error {
	if n >= 0 && req.Size > 0 && n != req.Size {
		return &BytesError{What: "size", Want: strconv.FormatInt(req.Size, 10), Got: strconv.FormatInt(n, 10)}
	}
	return nil
}
