package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// source brings the body from one URL, with as many tries as it deserves.
func (c *Client) source(ctx context.Context, u *url.URL, b *body) error {
	fresh := false // the whole was already asked anew after a wrong digest
	return c.repeat(ctx, func() (bool, error) {
		for {
			joined := b.joined
			err := c.try(ctx, u, b)
			var wrong *BytesError
			switch {
			case err == nil:
				return false, nil
			case errors.Is(err, errAgain), errors.As(err, &wrong):
				joined = joined || b.joined
				if rerr := b.restart(); rerr != nil {
					return false, rerr
				}
				if wrong != nil && !joined || fresh {
					return false, err
				}
				fresh = true
			default:
				return b.grew(), err
			}
		}
	})
}

// repeat runs a try again after passing faults, with growing pauses. A try
// that made progress does not count against the retries.
func (c *Client) repeat(ctx context.Context, try func() (progress bool, err error)) error {
	pause := orDefault(c.Pause, defaultPause)
	for left := c.retries(); ; left-- {
		progress, err := try()
		if err == nil || ctx.Err() != nil {
			return err
		}
		wait, passing := pause, false
		var status *StatusError
		var broken *brokenError
		if errors.As(err, &status) {
			passing = status.passing() && status.wait <= longestWait
			wait = max(wait, status.wait)
		} else if errors.As(err, &broken) {
			passing = true
			// Another source is more likely to answer than a host that is down.
			var dial *net.OpError
			var dns *net.DNSError
			if errors.As(err, &dns) && dns.IsNotFound {
				passing = false
			} else if errors.As(err, &dial) && dial.Op == "dial" {
				left = min(left, 1)
			}
		}
		if progress {
			left, pause = c.retries()+1, orDefault(c.Pause, defaultPause)
		}
		if !passing || left <= 0 {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		pause = min(2*pause, longestPause)
	}
}

// try asks one URL once for what is still missing.
func (c *Client) try(ctx context.Context, u *url.URL, b *body) error {
	if u.Scheme == "file" {
		return tryFile(ctx, u, b)
	}
	leave, err := c.hosts.enter(ctx, u.Host, c.perHost())
	if err != nil {
		return err
	}
	defer leave()
	ctx, watch := watchIdle(ctx, orDefault(c.Idle, defaultIdle))
	defer watch.stop()
	key := u.String()
	if b.n > 0 && !b.resumable(key) {
		if err := b.restart(); err != nil {
			return err
		}
	}
	resp, err := c.send(ctx, http.MethodGet, u, b)
	var status *StatusError
	if errors.As(err, &status) && status.Code == http.StatusRequestedRangeNotSatisfiable && b.n > 0 {
		return errAgain
	} else if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := accept(resp, key, b); err != nil {
		return err
	}
	return b.read(watched(ctx, resp.Body, watch))
}

// send makes one request and turns every answer without a body into an error.
func (c *Client) send(ctx context.Context, method string, u *url.URL, b *body) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for name, values := range b.req.Header {
		req.Header[name] = append([]string(nil), values...)
	}
	// Asking for identity keeps net/http from unpacking what is to be hashed.
	req.Header.Set("Accept-Encoding", "identity")
	if b.n > 0 {
		req.Header.Set("Range", "bytes="+strconv.FormatInt(b.n, 10)+"-")
		if b.origin == u.String() && b.validator != "" {
			req.Header.Set("If-Range", b.validator)
		}
	}
	resp, err := c.client().Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, &brokenError{err}
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent {
		return resp, nil
	}
	// A short body is drained so that the connection can be used again.
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	resp.Body.Close()
	return nil, &StatusError{Code: resp.StatusCode, wait: retryAfter(resp.Header)}
}

// accept decides what an answer's bytes are the continuation of.
func accept(resp *http.Response, key string, b *body) error {
	if resp.StatusCode == http.StatusPartialContent {
		start, total, err := contentRange(resp.Header.Get("Content-Range"))
		if err != nil || b.n == 0 || start != b.n || total >= 0 && b.req.Size > 0 && total != b.req.Size {
			return errAgain
		}
		if b.origin != key || b.validator == "" {
			b.joined = true
		}
	} else {
		if err := b.restart(); err != nil {
			return err
		}
		if n := resp.ContentLength; n >= 0 && (b.req.Size > 0 && n != b.req.Size || n > b.req.limit()) {
			return &BytesError{What: "size", Want: b.wantSize(), Got: strconv.FormatInt(n, 10)}
		}
	}
	b.origin, b.validator = key, validator(resp.Header)
	return nil
}

// validator returns what If-Range may compare: a strong ETag. Last-Modified is
// too weak where a mirror is written to within the same second.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return ""
}

// contentRange reads "bytes 10-99/100"; a total of * is -1.
func contentRange(s string) (start, total int64, err error) {
	spec, ok := strings.CutPrefix(s, "bytes ")
	span, size, ok2 := strings.Cut(spec, "/")
	first, _, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return 0, 0, fmt.Errorf("content range %q is malformed", s)
	}
	if start, err = strconv.ParseInt(first, 10, 64); err != nil || start < 0 {
		return 0, 0, fmt.Errorf("content range %q is malformed", s)
	}
	if size == "*" {
		return start, -1, nil
	}
	if total, err = strconv.ParseInt(size, 10, 64); err != nil || total < start {
		return 0, 0, fmt.Errorf("content range %q is malformed", s)
	}
	return start, total, nil
}

// retryAfter reads how long a server asks to wait. A date counts from the
// server's own clock.
func retryAfter(h http.Header) time.Duration {
	s := h.Get("Retry-After")
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	then, err := http.ParseTime(s)
	now, nerr := http.ParseTime(h.Get("Date"))
	if err != nil || nerr != nil {
		return 0
	}
	return max(then.Sub(now), 0)
}

// tryFile copies a local file.
func tryFile(ctx context.Context, u *url.URL, b *body) error {
	f, err := openFile(u)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := b.restart(); err != nil {
		return err
	}
	return b.read(watched(ctx, f, nil))
}

func openFile(u *url.URL) (*os.File, error) {
	st, err := os.Stat(u.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &StatusError{Code: http.StatusNotFound}
	} else if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		// Opening a pipe would wait for a writer.
		return nil, errors.New("not a regular file")
	}
	return os.Open(u.Path)
}

// plain strips the marks that are of use inside the package only.
func plain(err error) error {
	var broken *brokenError
	if errors.As(err, &broken) {
		err = broken.err
	}
	// url.Error repeats the method and the URL, which Attempt names already.
	var uerr *url.Error
	if errors.As(err, &uerr) {
		err = uerr.Err
	}
	return err
}
