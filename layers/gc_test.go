package layers

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// age makes everything in a store look unused since d.
func age(t testing.TB, s *Store, d time.Duration) {
	t.Helper()
	all, err := s.scan(t.Context())
	must(t, err)
	at := time.Now().Add(-d)
	for _, o := range all {
		must(t, os.Chtimes(o.file, at, at))
	}
}

func putBlob(t testing.TB, s *Store, content string) digest.Digest {
	t.Helper()
	d := digest.FromString(content)
	must(t, s.PutBlob(t.Context(), d, int64(len(content)), func(w io.Writer) error {
		_, err := io.WriteString(w, content)
		return err
	}))
	return d
}

const day = 24 * time.Hour

// A project's last build for each platform is kept, and no earlier one.
func TestGCKeepsEachPlatform(t *testing.T) {
	s := newStore(t)
	project := t.TempDir() + "/toolchain.lock"
	must(t, os.WriteFile(project, nil, 0o644))
	builds := []struct{ name, of string }{{"first", "linux/amd64"}, {"arm64", "linux/arm64"}, {"amd64", "linux/amd64"}, {"matrix", ""}}
	for _, b := range builds {
		addLayer(t, s, testKey(b.name), spec{"f": b.name})
		must(t, s.AddRoot(t.Context(), ProjectRoot{Path: project, For: b.of, Keys: []Key{testKey(b.name)}}))
	}
	age(t, s, 40*day)
	_, err := s.GC(t.Context(), Policy{MaxAge: 30 * day, Now: time.Now()})
	must(t, err)
	for _, b := range builds {
		if _, err := s.Lookup(t.Context(), testKey(b.name)); (err == nil) != (b.name != "first") {
			t.Errorf("%s: %v", b.name, err)
		}
	}
}

func TestGCAge(t *testing.T) {
	s := newStore(t)
	old := addLayer(t, s, testKey("old"), spec{"f": "old"})
	rooted := addLayer(t, s, testKey("rooted"), spec{"f": "rooted"})
	blob, rootedBlob := putBlob(t, s, "blob"), putBlob(t, s, "rooted blob")
	must(t, s.PutValue(t.Context(), testKey("value"), []byte("x")))
	view, err := s.View(t.Context(), []ViewLayer{{Layer: old}})
	must(t, err)
	project := t.TempDir() + "/toolchain.lock"
	must(t, os.WriteFile(project, nil, 0o644))
	must(t, s.AddRoot(t.Context(), ProjectRoot{Path: project, Keys: []Key{testKey("rooted")}, Blobs: []digest.Digest{rootedBlob}}))
	_ = s.PutBlob(t.Context(), digest.FromString("never"), -1, func(w io.Writer) error {
		_, _ = io.WriteString(w, "nev")
		return errors.New("cut")
	})
	partials, err := s.ingests()
	must(t, err)
	for _, p := range partials {
		at := time.Now().Add(-40 * day)
		must(t, os.Chtimes(p+"/data", at, at))
	}
	age(t, s, 40*day)
	used := addLayer(t, s, testKey("used"), spec{"f": "used"})
	keep := Policy{MaxAge: 60 * day, Now: time.Now()}
	if r, err := s.GC(t.Context(), keep); err != nil || r != (Report{Kept: r.Kept}) || r.Kept == 0 {
		t.Fatalf("young: %+v, %v", r, err)
	}
	drop := Policy{MaxAge: 30 * day, Now: time.Now()}
	drop.DryRun = true
	dry, err := s.GC(t.Context(), drop)
	must(t, err)
	drop.DryRun = false
	r, err := s.GC(t.Context(), drop)
	must(t, err)
	if dry != r {
		t.Errorf("dry run %+v, then %+v", dry, r)
	}
	if d := cmp.Diff(Report{Views: 1, Layers: 1, Blobs: 1, Values: 1, Partials: 1, Freed: r.Freed, Kept: r.Kept}, r); d != "" {
		t.Error(d)
	}
	if _, err := s.Lookup(t.Context(), testKey("old")); !errors.Is(err, ErrNotFound) {
		t.Errorf("old: %v", err)
	}
	if _, err := s.Layer(t.Context(), old.DiffID); !errors.Is(err, ErrNotFound) {
		t.Errorf("old layer: %v", err)
	}
	if _, err := os.Lstat(view); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("view: %v", err)
	}
	if has, err := s.HasBlob(t.Context(), blob); has || err != nil {
		t.Errorf("blob: %t, %v", has, err)
	}
	if has, err := s.HasBlob(t.Context(), rootedBlob); !has || err != nil {
		t.Errorf("rooted blob: %t, %v", has, err)
	}
	for key, want := range map[string]Layer{"rooted": rooted, "used": used} {
		if got, err := s.Lookup(t.Context(), testKey(key)); err != nil || got != want {
			t.Errorf("%s: %+v, %v", key, got, err)
		}
	}
	// Without its project the root holds nothing.
	must(t, os.Remove(project))
	age(t, s, 40*day)
	if r, err := s.GC(t.Context(), drop); err != nil || r.Layers != 2 || r.Blobs != 1 || r.Kept != 0 {
		t.Errorf("project gone: %+v, %v", r, err)
	}
	for _, dir := range []string{trashDir, rootsDir, layersDir, viewsDir} {
		if left, _ := glob(s.path(dir, "*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

func TestGCSize(t *testing.T) {
	s := newStore(t)
	var keys []Key
	for i, name := range []string{"a", "b", "c", "d"} {
		keys = append(keys, testKey(name))
		l := addLayer(t, s, keys[i], spec{"f": strings.Repeat(name, 10_000)})
		at := time.Now().Add(time.Duration(i-10) * time.Hour)
		must(t, os.Chtimes(s.path(layersDir, l.DiffID.Encoded(), "tree"), at, at))
		must(t, os.Chtimes(s.path(keyPath(keysDir, keys[i])), at, at))
	}
	if _, err := s.Lookup(t.Context(), keys[0]); err != nil { // the oldest, but in use
		t.Fatal(err)
	}
	r, err := s.GC(t.Context(), Policy{MaxSize: 30_000, Now: time.Now()})
	if err != nil || r.Layers != 2 || r.Kept > 30_000 {
		t.Fatalf("%+v, %v", r, err)
	}
	for i, want := range []bool{true, false, false, true} {
		if _, err := s.Lookup(t.Context(), keys[i]); (err == nil) != want {
			t.Errorf("layer %d: %v", i, err)
		}
	}
}

// What another process looked up before the collector ran stays while that
// process lives, and only so long.
func TestGCLease(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := openStore(t, dir)
	key := testKey("k")
	l := addLayer(t, s, key, spec{"f": "x"})
	other, err := Open(dir)
	must(t, err)
	age(t, s, time.Hour)
	if _, err := other.Lookup(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	all := Policy{MaxAge: time.Nanosecond, Now: time.Now().Add(time.Hour)}
	if r, err := s.GC(t.Context(), all); err != nil || r.Layers != 0 {
		t.Fatalf("with lease: %+v, %v", r, err)
	}
	if _, err := os.Stat(s.Path(l) + "/f"); err != nil {
		t.Fatal(err)
	}
	must(t, other.Close())
	age(t, s, time.Hour)
	if r, err := s.GC(t.Context(), all); err != nil || r.Layers != 1 {
		t.Errorf("without lease: %+v, %v", r, err)
	}
}

// A use between the choice and the removal saves the object.
func TestGCRecheck(t *testing.T) {
	s := newStore(t)
	key := testKey("k")
	addLayer(t, s, key, spec{"f": "x"})
	age(t, s, time.Hour)
	doomed, err := s.scan(t.Context())
	must(t, err)
	if _, err := s.Lookup(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if gone, err := s.remove(t.Context(), doomed); err != nil || len(gone) > 0 {
		t.Errorf("removed %v, %v", gone, err)
	}
}

// Stamps never fall: a process with an old lease does not undo the stamp of
// one with a newer.
func TestUseRaises(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := openStore(t, dir)
	key := testKey("k")
	addLayer(t, s, key, spec{"f": "x"})
	name := s.path(keyPath(keysDir, key))
	newer := unix.Timespec{Sec: s.lease.start.Sec + 100}
	at := time.Unix(newer.Sec, 0)
	must(t, os.Chtimes(name, at, at))
	if _, err := s.Lookup(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(name); err != nil || !fi.ModTime().Equal(at) {
		t.Errorf("stamp %s, want %s, %v", fi.ModTime(), at, err)
	}
	old := time.Unix(1, 0)
	must(t, os.Chtimes(name, old, old))
	if _, err := s.Lookup(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	want := time.Unix(s.lease.start.Unix())
	if fi, err := os.Stat(name); err != nil || !fi.ModTime().Equal(want) {
		t.Errorf("stamp %s, want that of the lease, %s, %v", fi.ModTime(), want, err)
	}
}

func TestAddRootRefuses(t *testing.T) {
	s := newStore(t)
	for _, r := range []ProjectRoot{
		{Path: "relative"},
		{Path: "/x", Keys: []Key{"../../x"}},
		{Path: "/x", Blobs: []digest.Digest{"sha256:short"}},
	} {
		if err := s.AddRoot(t.Context(), r); err == nil {
			t.Errorf("%+v: no error", r)
		}
	}
}
