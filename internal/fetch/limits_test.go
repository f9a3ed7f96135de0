package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retort-build/retort/internal/fetch"
)

func TestSilentServer(t *testing.T) {
	quiet := make(chan struct{})
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Write(content[:1000])
		w.(http.Flusher).Flush()
		select {
		case <-quiet:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(quiet) })
	c := client()
	c.Idle = 20 * time.Millisecond
	var buf fetch.Buffer
	res, err := c.Get(t.Context(), wanted(u, serve(t, good)), &buf)
	if err != nil || res.URL == u || !bytes.Equal(buf.Bytes(), content) {
		t.Errorf("from %s: %v", res.URL, err)
	}
}

func TestCancel(t *testing.T) {
	why := errors.New("user went home")
	for name, h := range map[string]http.HandlerFunc{
		"while sleeping": status(503, "Retry-After", "60"),
		"while reading": func(w http.ResponseWriter, r *http.Request) {
			w.Write(content[:9])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		u := serve(t, func(w http.ResponseWriter, r *http.Request) {
			time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
			h(w, r)
		})
		if _, err := client().Get(ctx, wanted(u), &fetch.Buffer{}); !errors.Is(err, why) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type brokenSink struct{ fetch.Buffer }

func (*brokenSink) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestSinkFails(t *testing.T) {
	var asked atomic.Int32
	u := serve(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1); good(w, r) })
	_, err := client().Get(t.Context(), wanted(u, u), &brokenSink{})
	if !errors.Is(err, io.ErrShortWrite) || asked.Load() != 1 {
		t.Errorf("asked %d times: %v", asked.Load(), err)
	}
}

func TestPerHost(t *testing.T) {
	var now, most atomic.Int32
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(2 * time.Millisecond)
		good(w, r)
	})
	c := client()
	c.PerHost = 3
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Get(t.Context(), wanted(u), &fetch.Buffer{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() > 3 {
		t.Errorf("%d downloads at once", most.Load())
	}
}

func TestBadRequests(t *testing.T) {
	for name, req := range map[string]fetch.Request{
		"scheme":         {URLs: []string{"ftp://x/y"}},
		"no host":        {URLs: []string{"http:///y"}},
		"file on a host": {URLs: []string{"file://other/y"}},
		"digest":         {URLs: []string{"http://127.0.0.1/y"}, Digest: "sha256:12"},
		"size":           {URLs: []string{"http://127.0.0.1/y"}, Size: -1},
	} {
		if _, err := client().Get(t.Context(), req, &fetch.Buffer{}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := client().Get(t.Context(), fetch.Request{URLs: []string{"http://user:secret@127.0.0.1:1/y"}}, &fetch.Buffer{})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("the password is shown: %v", err)
	}
}
