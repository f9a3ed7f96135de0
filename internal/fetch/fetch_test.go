package fetch_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/fetch"
)

var content = func() []byte {
	b := make([]byte, 300<<10)
	rand.New(rand.NewSource(1)).Read(b)
	return b
}()

func wanted(urls ...string) fetch.Request {
	return fetch.Request{URLs: urls, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

func client() *fetch.Client {
	return &fetch.Client{Retries: 3, Pause: time.Millisecond, Idle: 5 * time.Second}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/pool/file.deb"
}

func good(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("ETag", `"v1"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// cut sends n bytes of an answer that promised more, then resets.
func cut(w http.ResponseWriter, b []byte, n int) {
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b[:n])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// after gives the n-th request to the n-th handler, and the last all others.
func after(hs ...http.HandlerFunc) http.HandlerFunc {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) {
		i := min(int(n.Add(1)), len(hs))
		hs[i-1](w, r)
	}
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func TestGet(t *testing.T) {
	wrong := bytes.Clone(content)
	wrong[1000]++
	breaks := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.Header().Set("ETag", `"v1"`); cut(w, content, n) }
	}
	resumed := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") == "" || r.Header.Get("If-Range") != `"v1"` {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		good(w, r)
	}
	ignoresRange := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Write(content)
	}
	for _, tt := range []struct {
		name    string
		sources []http.HandlerFunc
		from    int // which source must have given it
		err     string
	}{
		{name: "whole", sources: []http.HandlerFunc{good}},
		{name: "reset in the middle, resumed", sources: []http.HandlerFunc{after(breaks(100<<10), resumed)}},
		{name: "reset many times", sources: []http.HandlerFunc{after(breaks(70<<10), func(w http.ResponseWriter, r *http.Request) {
			var start int
			fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &start)
			w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, len(content)-1, len(content)))
			w.Header().Set("Content-Length", strconv.Itoa(len(content)-start))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(content[start:min(start+66<<10, len(content))])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		})}},
		{name: "range ignored", sources: []http.HandlerFunc{after(breaks(100<<10), ignoresRange)}},
		{name: "range of another place", sources: []http.HandlerFunc{after(breaks(100<<10), func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				good(w, r)
				return
			}
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 5-%d/%d", len(content)-1, len(content)))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(content[5:])
		})}},
		{name: "range not satisfiable", sources: []http.HandlerFunc{after(breaks(100<<10), status(416), good)}},
		{name: "500 then right", sources: []http.HandlerFunc{after(status(500), good)}},
		{name: "429 then right", sources: []http.HandlerFunc{after(status(429, "Retry-After", "0"), good)}},
		{name: "down in the middle, next resumes", sources: []http.HandlerFunc{after(breaks(100<<10), status(403)), resumedWithout(t)}, from: 1},
		{name: "wrong half joined with right half", sources: []http.HandlerFunc{
			after(func(w http.ResponseWriter, r *http.Request) { cut(w, wrong, 100<<10) }, status(403)), good}, from: 1},
		{name: "wrong bytes, next right", sources: []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { w.Write(wrong) }, good}, from: 1},
		{name: "404, next right", sources: []http.HandlerFunc{status(404), good}, from: 1},
		{name: "asks for an hour, next right", sources: []http.HandlerFunc{status(503, "Retry-After", "3600"), good}, from: 1},
		{name: "truncated without a length", sources: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			w.Write(content[:50<<10])
			w.(http.Flusher).Flush()
		}, good}, from: 1},
		{name: "wrong bytes everywhere", sources: []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { w.Write(wrong) }}, err: "wrong digest"},
		{name: "too long", sources: []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { w.Write(append(bytes.Clone(content), 0)) }}, err: "wrong size"},
		{name: "endless", sources: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(content); err != nil {
					return
				}
			}
		}}, err: "wrong size"},
		{name: "too short", sources: []http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "short")
		}}, err: "wrong size: want 307200, got 5"},
		{name: "always breaks", sources: []http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) { cut(w, content, 1000) }}, err: "unexpected EOF"},
		{name: "never lives", sources: []http.HandlerFunc{status(500)}, err: "status 500"},
		{name: "html behind 403", sources: []http.HandlerFunc{status(403)}, err: "status 403 Forbidden"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var urls []string
			for _, h := range tt.sources {
				urls = append(urls, serve(t, h))
			}
			var seen int64
			req := wanted(urls...)
			req.Progress = func(n int64) { seen += n }
			var buf fetch.Buffer
			res, err := client().Get(t.Context(), req, &buf)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want one with %q", err, tt.err)
				}
				for _, u := range urls {
					if !strings.Contains(err.Error(), u) {
						t.Errorf("error %v does not name %s", err, u)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(buf.Bytes(), content) {
				t.Error("other bytes came")
			}
			if res.URL != urls[tt.from] || res.Digest != req.Digest || res.Size != req.Size {
				t.Errorf("result %+v, want it from source %d", res, tt.from)
			}
			if seen != req.Size {
				t.Errorf("progress sums up to %d of %d", seen, req.Size)
			}
		})
	}
}

// resumedWithout accepts a resumption that carries no foreign validator.
func resumedWithout(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") == "" || r.Header.Get("If-Range") != "" {
			t.Errorf("range %q, if-range %q", r.Header.Get("Range"), r.Header.Get("If-Range"))
		}
		good(w, r)
	}
}

func TestNotFound(t *testing.T) {
	gone, lost := serve(t, status(404)), serve(t, status(410))
	down := "http://127.0.0.1:1/x"
	for _, tt := range []struct {
		name  string
		urls  []string
		found bool
	}{
		{"everywhere", []string{gone, lost, "file://" + t.TempDir() + "/none"}, true},
		{"one out of reach", []string{gone, down}, false},
		{"no source", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var notFound *fetch.NotFoundError
			_, err := client().Get(t.Context(), wanted(tt.urls...), &fetch.Buffer{})
			if errors.As(err, &notFound) != tt.found {
				t.Errorf("Get: %v", err)
			}
			err = client().Served(t.Context(), wanted(tt.urls...))
			if err == nil || errors.As(err, &notFound) != tt.found {
				t.Errorf("Served: %v", err)
			}
		})
	}
}

func TestServed(t *testing.T) {
	noHead := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		good(w, r)
	}
	for name, urls := range map[string][]string{
		"second":  {serve(t, status(404)), serve(t, good)},
		"no HEAD": {serve(t, noHead)},
	} {
		if err := client().Served(t.Context(), wanted(urls...)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	err := client().Served(t.Context(), wanted(serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("short")) })))
	var wrong *fetch.BytesError
	if !errors.As(err, &wrong) {
		t.Errorf("a file of another size is served: %v", err)
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	u := (&url.URL{Scheme: "file", Path: path}).String()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := client().Get(t.Context(), wanted(u), fetch.File{File: out}); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(out.Name()); !bytes.Equal(got, content) {
		t.Error("other bytes came")
	}
	if err := client().Served(t.Context(), wanted(u)); err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(path, []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := client().Get(t.Context(), wanted(u), fetch.File{File: out}); err == nil {
		t.Error("a changed file was accepted")
	}
	if _, err := client().Get(t.Context(), wanted("file://"+t.TempDir()), fetch.File{File: out}); err == nil {
		t.Error("a directory was accepted")
	}
}

func TestWithoutDigest(t *testing.T) {
	// Nothing ties the pieces but the ETag: without it the body starts anew.
	for _, tag := range []string{`"v1"`, `W/"v1"`, ""} {
		var ranges atomic.Int32
		u := serve(t, after(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", tag)
			cut(w, content, 100<<10)
		}, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" {
				ranges.Add(1)
			}
			w.Header().Set("ETag", tag)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		}))
		var buf fetch.Buffer
		res, err := client().Get(t.Context(), fetch.Request{URLs: []string{u}}, &buf)
		if err != nil || !bytes.Equal(buf.Bytes(), content) || res.Digest != digest.FromBytes(content) {
			t.Errorf("etag %q: %v", tag, err)
		}
		if want := tag == `"v1"`; want != (ranges.Load() == 1) {
			t.Errorf("etag %q: %d ranges", tag, ranges.Load())
		}
	}
	_, err := client().Get(t.Context(), fetch.Request{URLs: []string{serve(t, good)}, MaxSize: 1000}, &fetch.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "at most 1000") {
		t.Errorf("a body above MaxSize: %v", err)
	}
}
