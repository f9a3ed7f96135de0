package layers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/internal/tarball"
)

func openStore(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newStore(t testing.TB) *Store {
	t.Helper()
	return openStore(t, filepath.Join(t.TempDir(), "*", "st[o]re"))
}

func testKey(name string) Key {
	sum := sha256.Sum256([]byte(name))
	return Key(hex.EncodeToString(sum[:]))
}

// spec is "path" → content; a path ending in / is a directory, a content
// "-> x" a symlink, "=> x" a hard link.
type spec map[string]string

func (sp spec) entry(p string) (tarball.Entry, io.Reader) {
	c := sp[p]
	switch {
	case strings.HasSuffix(p, "/"):
		return tarball.Entry{Path: strings.TrimSuffix(p, "/"), Kind: tarball.Dir, Mode: 0o755}, nil
	case strings.HasPrefix(c, "-> "):
		return tarball.Entry{Path: p, Kind: tarball.Symlink, Mode: 0o777, Link: c[3:]}, nil
	case strings.HasPrefix(c, "=> "):
		return tarball.Entry{Path: p, Kind: tarball.Hardlink, Mode: 0o644, Link: c[3:]}, nil
	}
	return tarball.Entry{Path: p, Kind: tarball.File, Mode: 0o644}, strings.NewReader(c)
}

func addLayer(t testing.TB, s *Store, key Key, sp spec) Layer {
	t.Helper()
	w, err := s.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for p := range sp { // in any order
		e, content := sp.entry(p)
		if err := w.Add(e, content); err != nil {
			t.Fatal(err)
		}
	}
	l, err := w.Commit(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// onDisk lists a directory: kind, mode, path, content or target.
func onDisk(t testing.TB, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		rel, what := strings.TrimPrefix(p, dir+"/"), ""
		switch {
		case fi.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			what = string(b)
		case fi.Mode()&os.ModeSymlink != 0:
			what, err = os.Readlink(p)
		}
		if !fi.ModTime().Equal(tarball.Epoch) {
			t.Errorf("%s: time %s", p, fi.ModTime())
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", fi.Mode(), rel, what)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a/b/store")
	openStore(t, dir)
	openStore(t, dir)
	got, err := os.ReadFile(dir + "/format")
	if err != nil || string(got) != "retort store 1\n" {
		t.Errorf("format file %q, %v", got, err)
	}
	for format, want := range map[string]string{
		"retort store 2\n": "format 2; this program knows format 1",
		"other\n":          "not one of a store",
	} {
		if err := os.WriteFile(dir+"/format", []byte(format), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("format %q: error %v", format, err)
		}
	}
	other := t.TempDir()
	if err := os.WriteFile(other+"/photo.jpg", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(other); err == nil || !strings.Contains(err.Error(), "is not a store") {
		t.Errorf("foreign directory: error %v", err)
	}
}

func TestLookup(t *testing.T) {
	s := newStore(t)
	key := testKey("k")
	l := addLayer(t, s, key, spec{"f": "1"})
	name := s.path(keyPath(keysDir, key))
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string][]byte{
		"empty":     {},
		"cut":       good[:len(good)-1],
		"flipped":   bytes.Replace(good, []byte("size"), []byte("sizf"), 1),
		"of other":  sealRecord(string(testKey("other")), []byte(`{"diffID":"`+l.DiffID+`","size":1}`)),
		"no digest": sealRecord(string(key), []byte(`{"diffID":"../../x","size":1}`)),
		"large":     make([]byte, maxRecord+1),
	} {
		if err := os.WriteFile(name, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Lookup(t.Context(), key); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	if _, err := s.Lookup(t.Context(), "../../etc/passwd"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("bad key: error %v", err)
	}
}

func TestValues(t *testing.T) {
	s := newStore(t)
	key := testKey("v")
	if _, err := s.Value(t.Context(), key); !errors.Is(err, ErrNotFound) {
		t.Errorf("absent: %v", err)
	}
	for _, want := range []string{"one", "", strings.Repeat("x", maxValue)} {
		if err := s.PutValue(t.Context(), key, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Value(t.Context(), key); err != nil || string(got) != want {
			t.Errorf("Value = %d bytes, %v", len(got), err)
		}
	}
	if err := s.PutValue(t.Context(), key, make([]byte, maxValue+1)); err == nil {
		t.Error("too large: no error")
	}
}

func TestTempDir(t *testing.T) {
	s := newStore(t)
	dir, err := s.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir+"/a/b", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir+"/a", 0); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveTemp(dir); err != nil {
		t.Error(err)
	}
	if err := s.RemoveTemp(s.Dir()); err == nil {
		t.Error("removed the store")
	}
}

func TestLock(t *testing.T) {
	s := newStore(t)
	other := openStore(t, s.Dir())
	key := testKey("k")
	release, err := s.Lock(t.Context(), key)
	must(t, err)
	for _, waiting := range []*Store{s, other} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		if _, err := waiting.Lock(ctx, key); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("locked twice: %v", err)
		}
		cancel()
	}
	must(t, s.sweep(true)) // takes no lock that is held
	done := make(chan error)
	go func() {
		release, err := other.Lock(t.Context(), key)
		if err == nil {
			release()
		}
		done <- err
	}()
	release()
	must(t, <-done)
	if left, _ := glob(s.path(locksDir, "*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := s.Lock(t.Context(), "../x"); err == nil {
		t.Error("bad key: no error")
	}
}

func BenchmarkLookup300(b *testing.B) {
	s := newStore(b)
	var keys []Key
	for i := range 300 {
		keys = append(keys, testKey(fmt.Sprint(i)))
		addLayer(b, s, keys[i], spec{"f": fmt.Sprint(i)})
	}
	old := time.Now().Add(-time.Hour)
	for _, how := range []string{"used", "first use"} {
		b.Run(how, func(b *testing.B) {
			start := cpuTime(b)
			defer func() { reportCPU(b, start) }()
			for b.Loop() {
				if how == "first use" {
					b.StopTimer()
					for _, k := range keys {
						if err := os.Chtimes(s.path(keyPath(keysDir, k)), old, old); err != nil {
							b.Fatal(err)
						}
					}
					b.StartTimer()
				}
				for _, k := range keys {
					if _, err := s.Lookup(b.Context(), k); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func digestOf(content string) digest.Digest { return digest.FromString(content) }

// cpuTime is what this process has used. Benchmarks report it beside the wall
// time, which says little on a shared machine.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, start time.Duration) {
	b.Helper()
	b.ReportMetric(float64((cpuTime(b)-start).Microseconds())/1000/float64(b.N), "cpu-ms/op")
}
