package layers

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
)

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
	if left, _ := glob(s.lease.tmp + "/*"); len(left) > 0 {
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
	if left, _ := glob(s.lease.tmp + "/*"); len(left) > 0 {
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
	// Nor is a layer without its tree file in the way of the whole one.
	must(t, os.Remove(s.path(layersDir, three.DiffID.Encoded(), "tree")))
	if again := addLayer(t, s, key, spec{"f": "3"}); again != three {
		t.Errorf("layer %+v, want %+v", again, three)
	}
	if got, err := s.Lookup(t.Context(), key); err != nil || got != three {
		t.Errorf("Lookup = %+v, %v, want %+v", got, err, three)
	}
}

func TestAdopt(t *testing.T) {
	s := newStore(t)
	dir, err := s.TempDir()
	must(t, err)
	must(t, os.WriteFile(dir+"/two", []byte("two"), 0o600), os.Link(dir+"/two", dir+"/names"), os.Symlink("two", dir+"/link"))
	w, err := s.NewWriter(t.Context())
	must(t, err)
	// The other name must not reach the store's file.
	must(t, w.Adopt(tarball.Entry{Path: "a", Kind: tarball.File, Mode: 0o644}, dir+"/two"))
	far, err := os.CreateTemp("/dev/shm", "retort-test-*")
	if err == nil {
		defer os.Remove(far.Name())
		_, err = far.WriteString("far")
		must(t, err, far.Close())
		must(t, w.Adopt(tarball.Entry{Path: "b", Kind: tarball.File, Mode: 0o644}, far.Name()))
	} else {
		must(t, w.Add(tarball.Entry{Path: "b", Kind: tarball.File, Mode: 0o644}, strings.NewReader("far")))
	}
	l, err := w.Commit(t.Context(), "")
	must(t, err)
	must(t, os.WriteFile(dir+"/names", []byte("changed"), 0o600))
	if d := cmp.Diff([]string{"-rw-r--r-- a two", "-rw-r--r-- b far"}, onDisk(t, s.Path(l))); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"/link", "/nothing", ""} {
		w, err := s.NewWriter(t.Context())
		must(t, err)
		if err := w.Adopt(tarball.Entry{Path: "a", Kind: tarball.File, Mode: 0o644}, dir+bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
		must(t, w.Abort())
	}
}

// What is sealed takes no more entries, and commits as it would have without.
func TestSeal(t *testing.T) {
	s := newStore(t)
	var got []Layer
	for _, seal := range []bool{false, true} {
		w, err := s.NewWriter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		file := tarball.Entry{Path: "a/b", Kind: tarball.File, Mode: 0o644}
		if err := w.Add(file, strings.NewReader("content")); err != nil {
			t.Fatal(err)
		}
		if seal {
			for range 2 {
				if err := w.Seal(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			file.Path = "a/c"
			if err := w.Add(file, strings.NewReader("late")); !errors.Is(err, errWriterDone) {
				t.Errorf("Add after Seal: %v", err)
			}
		}
		l, err := w.Commit(t.Context(), testKey(fmt.Sprint("seal", seal)))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Seal(t.Context()); !errors.Is(err, errWriterDone) {
			t.Errorf("Seal after Commit: %v", err)
		}
		got = append(got, l)
	}
	if got[0] != got[1] {
		t.Errorf("sealed: %v, not sealed: %v", got[1], got[0])
	}
}
