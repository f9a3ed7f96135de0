package layers

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/internal/tarball"
)

// needRoot skips unless the tests that mount are asked for.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getenv("RETORT_E2E") != "1" {
		t.Skip("mounts file systems: set RETORT_E2E=1 and run as root")
	}
	if os.Geteuid() != 0 {
		t.Fatal("RETORT_E2E=1: must be root to mount")
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// mountImage mounts an ext4 image and unmounts it at the end of the test, or
// when the function that it returns is called.
func mountImage(t *testing.T, image string) (dir string, unmount func()) {
	t.Helper()
	dir = t.TempDir()
	command(t, "mount", "-o", "loop", image, dir)
	mounted := true
	unmount = func() {
		if mounted {
			mounted = false
			command(t, "umount", dir)
		}
	}
	t.Cleanup(unmount)
	return dir, unmount
}

// The image of a file system, copied at the moment at which Commit returns, is
// what a power cut leaves. Whatever it records must be there to the last byte.
func TestPowerCut(t *testing.T) {
	needRoot(t)
	work := t.TempDir()
	image := work + "/disk"
	must(t, os.WriteFile(image, nil, 0o600), os.Truncate(image, 256<<20))
	command(t, "mkfs.ext4", "-q", image)
	dir, _ := mountImage(t, image)
	s := openStore(t, dir+"/store")
	for i := range 5 {
		key := testKey(fmt.Sprint(i))
		sp := make(spec)
		for j := range 300 {
			sp[fmt.Sprintf("d%d/f%d", j%7, j)] = strings.Repeat(fmt.Sprint(i, j), 500)
		}
		l := addLayer(t, s, key, sp)
		view, err := s.View(t.Context(), []ViewLayer{{Layer: l}})
		must(t, err)
		d := putBlob(t, s, fmt.Sprint("blob ", i))
		must(t, s.PutValue(t.Context(), key, []byte("value")))

		after := fmt.Sprintf("%s/after-%d", work, i)
		command(t, "cp", "--sparse=always", image, after)
		cut, unmount := mountImage(t, after)
		r, err := Open(cut + "/store")
		must(t, err)
		if got, err := r.Lookup(t.Context(), key); err == nil && got != l || err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("cut %d: layer %+v, %v", i, got, err)
		} else if err != nil {
			t.Logf("cut %d: record not yet on disk", i)
		}
		if has, err := r.HasBlob(t.Context(), d); !has || err != nil {
			t.Errorf("cut %d: blob %t, %v", i, has, err)
		}
		report, err := r.Verify(t.Context(), VerifyOptions{})
		must(t, err)
		for _, p := range report.Problems {
			t.Errorf("cut %d: %s %s: %s", i, p.Kind, p.Name, p.What)
		}
		if i > 0 && report.Records < i {
			t.Errorf("cut %d: %d records of earlier commits", i, report.Records)
		}
		must(t, r.Close())
		unmount()
		must(t, os.Remove(after))
		_ = view
	}
}

// On a full disk everything fails cleanly, what was there stays good, and with
// space again everything works.
func TestDiskFull(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"))
	// containerd's probe for fs-verity leaves a file open until it is collected.
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	store := dir + "/store"
	s, err := Open(store)
	must(t, err)
	first := addLayer(t, s, testKey("first"), spec{"f": "x"})
	fill := filepath.Join(dir, "fill")
	f, err := os.Create(fill)
	must(t, err)
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	must(t, f.Close())
	full := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	w, err := s.NewWriter(t.Context())
	if err == nil {
		err = w.Add(tarball.Entry{Path: "big", Kind: tarball.File}, strings.NewReader(strings.Repeat("x", 1<<20)))
		_, cerr := w.Commit(t.Context(), testKey("second"))
		full("commit", cerr)
	}
	full("write", err)
	full("value", s.PutValue(t.Context(), testKey("v"), []byte(strings.Repeat("v", 1<<16))))
	full("blob", s.PutBlob(t.Context(), digestOf("blob"), 4, func(w io.Writer) error { _, err := io.WriteString(w, "blob"); return err }))
	if got, err := s.Lookup(t.Context(), testKey("first")); err != nil || got != first {
		t.Errorf("look-up on a full disk: %+v, %v", got, err)
	}
	must(t, os.Remove(fill))
	addLayer(t, s, testKey("second"), spec{"big": strings.Repeat("x", 1<<20)})
	putBlob(t, s, "blob")
	must(t, s.Close())
	verifyClean(t, store)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
