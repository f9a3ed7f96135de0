package fetch

import (
	"context"
	"errors"
	"io"
	"net/http"
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
}

// Request names what to download.
type Request struct {
	URLs    []string      // http, https or file; tried in order
	Digest  digest.Digest // of the whole body; "" accepts any
	Size    int64         // of the whole body when Digest is set or it is above 0
	MaxSize int64         // bound when the size is not known; 0 is 64 MiB
	Header  http.Header   // sent with every try
	// Progress is told how many bytes arrived since it was last called; a
	// negative number takes back bytes that were thrown away. nil is allowed.
	Progress func(n int64)
}

// Result says what was downloaded, and whence.
type Result struct {
	URL    string // the source that gave the accepted bytes
	Digest digest.Digest
	Size   int64
	ETag   string
}

// Sink takes a body. What it holds is unverified until Get has returned nil.
type Sink interface {
	io.Writer
	// Reset throws away all that was written: the body starts anew.
	Reset() error
}

// Get downloads the first source that gives the wanted bytes.
func (c *Client) Get(ctx context.Context, req Request, w Sink) (Result, error) {
	return Result{}, errors.ErrUnsupported
}

// Served asks whether a source has the wanted file, without its body: nil when
// one has, *NotFoundError when all say that they have not.
func (c *Client) Served(ctx context.Context, req Request) error {
	return errors.ErrUnsupported
}
