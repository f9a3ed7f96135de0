package fetch

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
)

// Client downloads. Its zero value works; it is safe for concurrent use, and
// the limits per host hold over all calls of one Client.
type Client struct {
	HTTP    *http.Client  // nil is a client without an overall time limit
	Retries int           // further tries of one source after a passing fault; 0 is 4, negative none
	PerHost int           // downloads at once from one host; 0 is 8. snapshot.debian.org never gets more than 2
	Pause   time.Duration // before the first retry, doubled each time up to 30 s; 0 is 500 ms
	Idle    time.Duration // a connection that brings no byte for so long is given up; 0 is 60 s

	hosts hosts
	once  sync.Once
	own   *http.Client
}

// Request names what to download.
type Request struct {
	URLs    []string      // http, https or file; tried in order
	Digest  digest.Digest // of the whole body; "" accepts any
	Size    int64         // of the whole body; 0 is not known
	MaxSize int64         // bound when the size is not known; 0 is 64 MiB
	Header  http.Header   // sent with every try
	// Progress is told how many bytes arrived since it was last called; a
	// negative number takes back bytes that were thrown away. nil is allowed.
	Progress func(n int64)
}

// Result says what was downloaded, and whence.
type Result struct {
	URL    string // the source that gave the last accepted bytes, without a password
	Digest digest.Digest
	Size   int64
}

const (
	defaultRetries = 4
	defaultPerHost = 8
	defaultPause   = 500 * time.Millisecond
	defaultIdle    = 60 * time.Second
	defaultMaxSize = 64 << 20
	longestPause   = 30 * time.Second
	// longestWait is how much of a Retry-After is obeyed: a source that asks
	// for more has as good as refused, and the next one is tried.
	longestWait = 2 * time.Minute
)

// Get downloads the wanted bytes from the first source that gives them. The
// error is a *NotFoundError, an *Error, the context's, or the sink's.
func (c *Client) Get(ctx context.Context, req Request, w Sink) (Result, error) {
	urls, err := c.prepare(&req)
	if err != nil {
		return Result{}, fmt.Errorf("fetch %s: %w", req.name(), err)
	}
	b := newBody(&req, w)
	if err := b.resume(); err != nil {
		return Result{}, fmt.Errorf("fetch %s: %w", req.name(), err)
	}
	var attempts []Attempt
	for _, u := range urls {
		err := c.source(ctx, u, b)
		if err == nil {
			return Result{URL: u.Redacted(), Digest: b.digest(), Size: b.n}, nil
		}
		var sink *sinkError
		if ctx.Err() != nil {
			return Result{}, fmt.Errorf("fetch %s: %w", req.name(), context.Cause(ctx))
		} else if errors.As(err, &sink) {
			return Result{}, fmt.Errorf("fetch %s: %w", req.name(), err)
		}
		attempts = append(attempts, Attempt{URL: u.Redacted(), Err: plain(err)})
	}
	return Result{}, fmt.Errorf("fetch %s: %w", req.name(), failure(attempts))
}

// Served asks whether a source has the wanted file, without its body. It
// returns nil when one has, and otherwise the same errors as Get.
func (c *Client) Served(ctx context.Context, req Request) error {
	urls, err := c.prepare(&req)
	if err != nil {
		return fmt.Errorf("look for %s: %w", req.name(), err)
	}
	var attempts []Attempt
	for _, u := range urls {
		err := c.repeat(ctx, func() (bool, error) { return false, c.head(ctx, u, &req) })
		if err == nil {
			return nil
		} else if ctx.Err() != nil {
			return fmt.Errorf("look for %s: %w", req.name(), context.Cause(ctx))
		}
		attempts = append(attempts, Attempt{URL: u.Redacted(), Err: plain(err)})
	}
	return fmt.Errorf("look for %s: %w", req.name(), failure(attempts))
}

// prepare validates a request and fills in its defaults.
func (c *Client) prepare(req *Request) ([]*url.URL, error) {
	if req.Digest != "" {
		if err := req.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("digest %q: %w", req.Digest, err)
		}
	}
	if req.Size < 0 || req.MaxSize < 0 {
		return nil, errors.New("negative size")
	}
	if req.MaxSize == 0 {
		req.MaxSize = defaultMaxSize
	}
	urls := make([]*url.URL, 0, len(req.URLs))
	for _, raw := range req.URLs {
		u, err := url.Parse(raw)
		if err != nil {
			// url.Error repeats the whole address, password included.
			return nil, errors.New("a source is not a URL")
		}
		switch {
		case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		case u.Scheme == "file" && (u.Host == "" || u.Host == "localhost"):
		default:
			return nil, fmt.Errorf("source %q: want an http, https or file URL", u.Redacted())
		}
		urls = append(urls, u)
	}
	return urls, nil
}

// name says in errors what was wanted.
func (r *Request) name() string {
	for _, raw := range r.URLs {
		if u, err := url.Parse(raw); err == nil && u.Path != "" {
			return u.Path
		}
	}
	if r.Digest != "" {
		return r.Digest.String()
	}
	return "file"
}

// limit is how many bytes the body may have.
func (r *Request) limit() int64 {
	if r.Size > 0 {
		return r.Size
	}
	return r.MaxSize
}

func (c *Client) perHost() int {
	if c.PerHost <= 0 {
		return defaultPerHost
	}
	return c.PerHost
}

func (c *Client) retries() int {
	if c.Retries == 0 {
		return defaultRetries
	}
	return max(c.Retries, 0)
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}
