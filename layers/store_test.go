package layers

import (
	"bytes"
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

	"github.com/google/go-cmp/cmp"
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
	return openStore(t, filepath.Join(t.TempDir(), "store"))
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

func TestWriter(t *testing.T) {
	s := newStore(t)
	w, err := s.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	add := func(e tarball.Entry, content string) {
		t.Helper()
		if err := w.Add(e, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	host := s.lease.tmp + "/adopted"
	if err := os.WriteFile(host, []byte("adopted"), 0o600); err != nil {
		t.Fatal(err)
	}
	add(tarball.Entry{Path: "usr/bin/a", Kind: tarball.Hardlink, Mode: 0o4755, Link: "usr/bin/su"}, "")
	add(tarball.Entry{Path: "usr/bin/su", Kind: tarball.File, Mode: 0o4755, GID: 42, Size: 2, Digest: digest.FromString("su")}, "su")
	add(tarball.Entry{Path: "usr/bin", Kind: tarball.Dir, Mode: 0o2555}, "")
	add(tarball.Entry{Path: "lib", Kind: tarball.Symlink, Link: "usr/lib"}, "")
	add(tarball.Entry{Path: "etc/shadow", Kind: tarball.File, Mode: 0, Xattrs: map[string]string{"security.capability": "\xff\x00"}}, "")
	if err := w.Adopt(tarball.Entry{Path: "adopted", Kind: tarball.File, Mode: 0o755}, host); err != nil {
		t.Fatal(err)
	}
	key := testKey("writer")
	l, err := w.Commit(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"-rwxr-xr-x adopted adopted",
		"drwxr-xr-x etc",
		"-r-------- etc/shadow",
		"Lrwxrwxrwx lib usr/lib",
		"drwxr-xr-x usr",
		"drwxr-xr-x usr/bin",
		"-rwxr-xr-x usr/bin/a su",
		"-rwxr-xr-x usr/bin/su su",
	}
	if d := cmp.Diff(want, onDisk(t, s.Path(l))); d != "" {
		t.Error(d)
	}
	entries, err := s.Entries(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%c %04o %d:%d %s %s %q", e.Kind, e.Mode, e.UID, e.GID, e.Path, e.Link, e.Xattrs["security.capability"]))
	}
	wantEntries := []string{
		`f 0755 0:0 adopted  ""`, `d 0755 0:0 etc  ""`, `f 0000 0:0 etc/shadow  "\xff\x00"`, `l 0777 0:0 lib usr/lib ""`,
		`d 0755 0:0 usr  ""`, `d 2555 0:0 usr/bin  ""`, `f 4755 0:42 usr/bin/a  ""`, `h 4755 0:42 usr/bin/su usr/bin/a ""`,
	}
	if d := cmp.Diff(wantEntries, got); d != "" {
		t.Error(d)
	}
	var tar bytes.Buffer
	if err := s.WriteTar(t.Context(), &tar, l); err != nil {
		t.Fatal(err)
	}
	if digest.FromBytes(tar.Bytes()) != l.DiffID || int64(tar.Len()) != l.Size {
		t.Errorf("tar %s of %d bytes, layer %+v", digest.FromBytes(tar.Bytes()), tar.Len(), l)
	}
	if again, err := s.Lookup(t.Context(), key); err != nil || again != l {
		t.Errorf("Lookup = %+v, %v", again, err)
	}
	f, err := s.OpenFile(l, "usr/bin/su")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, _ := io.ReadAll(f); string(b) != "su" {
		t.Errorf("content %q", b)
	}
	for _, bad := range []string{"lib/x", "../tree", "/etc/passwd", "nothing"} {
		if _, err := s.OpenFile(l, bad); err == nil {
			t.Errorf("OpenFile %s: no error", bad)
		}
	}
	if err := w.Add(tarball.Entry{Path: "x", Kind: tarball.Dir}, nil); !errors.Is(err, errWriterDone) {
		t.Errorf("Add after Commit: %v", err)
	}
	if left, _ := filepath.Glob(s.lease.tmp + "/*"); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
}

// The layout that one order of Add gives is the layout of all.
func TestWriterOrder(t *testing.T) {
	sp := spec{"a/b/c": "1", "a/b/": "", "z": "=> a/b/c", "m": "=> z", "s": "-> /nowhere", "e/": ""}
	var first Layer
	for i := range 20 {
		l := addLayer(t, newStore(t), testKey("x"), sp)
		if i == 0 {
			first = l
		}
		if l != first {
			t.Fatalf("layer %+v, then %+v", first, l)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	file := func(p string) tarball.Entry { return tarball.Entry{Path: p, Kind: tarball.File, Mode: 0o644} }
	tests := []struct {
		name    string
		entries []tarball.Entry
		want    string
	}{
		{"dot dot", []tarball.Entry{file("../x")}, `component ".."`},
		{"absolute", []tarball.Entry{file("/x")}, "absolute"},
		{"duplicate", []tarball.Entry{file("x"), file("x")}, "duplicate"},
		{"file over implied directory", []tarball.Entry{file("x/y"), file("x")}, "duplicate"},
		{"through symlink", []tarball.Entry{{Path: "x", Kind: tarball.Symlink, Link: "/tmp"}, file("x/y")}, "not a directory"},
		{"through file", []tarball.Entry{file("x"), file("x/y/z")}, "not a directory"},
		{"size", []tarball.Entry{{Path: "x", Kind: tarball.File, Size: 9}}, "7 bytes, want 9"},
		{"digest", []tarball.Entry{{Path: "x", Kind: tarball.File, Digest: digest.FromString("")}}, "digest mismatch"},
		{"kind", []tarball.Entry{{Path: "x", Kind: 'c'}}, "kind"},
		{"dangling hard link", []tarball.Entry{{Path: "x", Kind: tarball.Hardlink, Link: "y"}}, "not a file"},
		{"circle", []tarball.Entry{{Path: "x", Kind: tarball.Hardlink, Link: "y"}, {Path: "y", Kind: tarball.Hardlink, Link: "x"}}, "circle"},
	}
	s := newStore(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, err := s.NewWriter(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range tt.entries {
				err = w.Add(e, strings.NewReader("content"))
				if err != nil {
					break
				}
			}
			if _, cerr := w.Commit(t.Context(), testKey(tt.name)); cerr == nil {
				t.Error("Commit: no error")
			} else if err == nil {
				err = cerr
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if _, err := s.Lookup(t.Context(), testKey(tt.name)); !errors.Is(err, ErrNotFound) {
				t.Errorf("Lookup: %v", err)
			}
		})
	}
	if left, _ := filepath.Glob(s.lease.tmp + "/*"); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
}

// A key has one result: the first.
func TestCommitTwice(t *testing.T) {
	s := newStore(t)
	key := testKey("k")
	one := addLayer(t, s, key, spec{"f": "1"})
	if two := addLayer(t, s, key, spec{"f": "2"}); two != one {
		t.Errorf("second commit gave %+v, first %+v", two, one)
	}
	if free := addLayer(t, s, "", spec{"f": "2"}); free == one {
		t.Error("commit without key gave the recorded layer")
	}
	// A record whose layer is gone is no result.
	if err := os.Rename(s.path(layersDir, one.DiffID.Encoded()), s.path(trashDir, "x")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Lookup(t.Context(), key); !errors.Is(err, ErrNotFound) {
		t.Errorf("Lookup: %v", err)
	}
	three := addLayer(t, s, key, spec{"f": "3"})
	if got, err := s.Lookup(t.Context(), key); err != nil || got != three {
		t.Errorf("Lookup = %+v, %v, want %+v", got, err, three)
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
