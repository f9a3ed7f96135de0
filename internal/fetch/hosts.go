package fetch

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// snapshotHost answers 429 and bans whoever asks much at once.
const (
	snapshotHost  = "snapshot.debian.org"
	snapshotLimit = 2
)

// hosts bounds the downloads at once per host. The zero value is ready.
type hosts struct {
	mu    sync.Mutex
	slots map[string]chan struct{}
}

// enter waits for a place at a host and returns how to leave it.
func (h *hosts) enter(ctx context.Context, host string, limit int) (leave func(), err error) {
	host = strings.ToLower(host)
	name, _, _ := strings.Cut(host, ":")
	if (name == snapshotHost || strings.HasSuffix(name, "."+snapshotHost)) && limit > snapshotLimit {
		limit = snapshotLimit
	}
	h.mu.Lock()
	slot := h.slots[host]
	if slot == nil {
		if h.slots == nil {
			h.slots = make(map[string]chan struct{})
		}
		slot = make(chan struct{}, limit)
		h.slots[host] = slot
	}
	h.mu.Unlock()
	select {
	case slot <- struct{}{}:
		return func() { <-slot }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// client returns the HTTP client to use: the caller's, or one that keeps as
// many connections per host open as there may be downloads.
func (c *Client) client() *http.Client {
	if c.HTTP != nil {
		return c.HTTP
	}
	c.once.Do(func() {
		c.own = &http.Client{CheckRedirect: keepSecrets}
		if t, ok := http.DefaultTransport.(*http.Transport); ok {
			t = t.Clone()
			t.MaxIdleConnsPerHost = c.perHost()
			c.own.Transport = t
		}
	})
	return c.own
}

// maxRedirects is as many as net/http follows by itself.
const maxRedirects = 10

// keepSecrets follows redirects, and takes the key along only to where it was
// first sent. net/http alone would send it to subdomains, other ports and in
// clear text, too.
func keepSecrets(next *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if first := via[0].URL; next.URL.Scheme != first.Scheme || !strings.EqualFold(next.URL.Host, first.Host) {
		next.Header.Del("Authorization")
		next.Header.Del("Cookie")
	}
	return nil
}
