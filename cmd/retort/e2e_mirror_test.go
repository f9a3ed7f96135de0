package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retort-build/retort/env"
)

// A mirror serves the packages of locks out of the seed store, below the paths
// of a Debian mirror, and Hex packages. It has no index: a lock is enough.
type mirror struct {
	kit    *kit
	server *httptest.Server
	hex    func() (*httptest.Server, error)

	mu    sync.Mutex
	files map[string]string // path of the URL: file
	fault fault
	asked []string // paths, in the order of requests
}

// A fault takes the place of an answer if it returns true.
type fault func(w http.ResponseWriter, path, file string) bool

func newMirror(t *testing.T, k *kit) *mirror {
	m := &mirror{kit: k, files: map[string]string{}}
	m.server = httptest.NewServer(http.HandlerFunc(m.serve))
	t.Cleanup(m.server.Close)
	m.hex = sync.OnceValues(func() (*httptest.Server, error) {
		repo, err := hexRepository()
		if err != nil {
			return nil, err
		}
		server := httptest.NewServer(repo.Handler())
		t.Cleanup(server.Close)
		return server, nil
	})
	return m
}

func (m *mirror) url() string { return m.server.URL }

// hexURL is the address of the Hex repository, once a test has started it.
func (m *mirror) hexURL() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.files["hex"]
}

func (m *mirror) startHex() error {
	server, err := m.hex()
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.files["hex"] = server.URL
	}
	return err
}

// add serves the packages of a lock.
func (m *mirror) add(lock *env.Lock) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range lock.Packages {
		blob := filepath.Join(m.kit.seed, "store", "blobs", "blobs", "sha256", p.Digest.Encoded())
		m.files["/"+p.Archive+"/"+p.Path] = blob
	}
	for _, s := range lock.Sources {
		if archive, path, ok := s.Debian(); ok {
			m.files["/"+archive+"/"+path] = filepath.Join(m.kit.seed, "store", "blobs", "blobs", "sha256", s.Digest.Encoded())
		}
	}
}

// with answers with f until the returned function is called.
func (m *mirror) with(f fault) (restore func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault, m.asked = f, nil
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.fault = nil
	}
}

// requests are the paths asked for since with.
func (m *mirror) requests() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asked)
}

func (m *mirror) serve(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	file, f := m.files[r.URL.Path], m.fault
	m.asked = append(m.asked, r.URL.Path)
	m.mu.Unlock()
	if f != nil && f(w, r.URL.Path, file) {
		return
	}
	data, err := os.Open(file)
	if file == "" || err != nil {
		http.NotFound(w, r)
		return
	}
	defer data.Close()
	http.ServeContent(w, r, "", time.Time{}, data)
}

// forPackage makes a fault concern one package alone.
func forPackage(name string, f fault) fault {
	return func(w http.ResponseWriter, path, file string) bool {
		return strings.HasPrefix(filepath.Base(path), name+"_") && f(w, path, file)
	}
}

// The faults of a mirror.

func missing(w http.ResponseWriter, _, _ string) bool {
	w.WriteHeader(http.StatusNotFound)
	return true
}

// garbled serves other bytes of the right length.
func garbled(w http.ResponseWriter, _, file string) bool {
	data, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	data[len(data)/2] ^= 1
	_, _ = w.Write(data)
	return true
}

// shortened serves a file that is complete, says the server, and too short.
func shortened(w http.ResponseWriter, _, file string) bool {
	data, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)/2))
	_, _ = w.Write(data[:len(data)/2])
	return true
}

// brokenOff promises a file and closes the connection after half of it.
func brokenOff(w http.ResponseWriter, _, file string) bool {
	data, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(data)))
	_, _ = w.Write(data[:len(data)/2])
	panic(http.ErrAbortHandler)
}

// slowly delays every answer.
func slowly(d time.Duration) fault {
	return func(http.ResponseWriter, string, string) bool {
		time.Sleep(d)
		return false
	}
}

// onceEach has a fault for the first request of each path, and remembers them.
// Requests come at the same time, and seen is read when they are over.
func onceEach(seen map[string]bool, f fault) fault {
	var mu sync.Mutex
	return func(w http.ResponseWriter, path, file string) bool {
		mu.Lock()
		again := seen[path]
		seen[path] = true
		mu.Unlock()
		return !again && f(w, path, file)
	}
}
