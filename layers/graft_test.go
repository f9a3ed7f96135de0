package layers

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Whatever a process does in a folder that a layer below has, the capture is
// what the process saw there at the end.
func TestCaptureBase(t *testing.T) {
	needRoot(t)
	s := newStore(t)
	base := addLayer(t, s, "", spec{
		"else": "x", "out/a/1": "a1", "out/a/2": "a2", "out/a/b/3": "a3", "out/c/4": "c4", "out/c/link": "-> 4",
		"out/d/hard": "=> out/c/4", "out/e/": "", "out/f": "f",
	})
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		up, err := s.TempDir()
		must(t, err)
		work, err := s.TempDir()
		must(t, err)
		at := t.TempDir()
		must(t, unix.Mount("overlay", at, "overlay", 0, "lowerdir="+s.Path(base)+",upperdir="+up+",workdir="+work+",userxattr"))
		var did []string
		for range r.IntN(8) {
			did = append(did, change(r, at+"/out"))
		}
		seen, err := seenIn(at + "/out")
		must(t, unix.Unmount(at, 0), err, os.MkdirAll(up+"/out", 0o755))
		got, err := s.Capture(t.Context(), "", up+"/out", "", CaptureOptions{Base: base, BasePrefix: "out"})
		if err != nil {
			t.Fatalf("seed %d, %v: %v", seed, did, err)
		}
		if want := addLayer(t, s, "", seen); got.Layer != want {
			t.Errorf("seed %d, %v: captured %q, the process saw %v", seed, did, onDisk(t, s.Path(got.Layer)), seen)
		}
	}
	if r, err := s.Verify(t.Context(), VerifyOptions{}); err != nil || len(r.Problems) > 0 {
		t.Errorf("%+v, %v", r.Problems, err)
	}
}

// change does something at random below dir; it need not succeed.
func change(r *rand.Rand, dir string) string {
	path := dir + "/" + []string{"a", "a/1", "a/2", "a/b", "a/b/3", "c", "c/4", "c/link", "d", "d/hard", "e", "f", "g", "g/5"}[r.IntN(14)]
	switch r.IntN(5) {
	case 0:
		return fmt.Sprint("remove ", path, os.RemoveAll(path))
	case 1:
		return fmt.Sprint("write ", path, os.WriteFile(path, []byte("new"), 0o644))
	case 2:
		return fmt.Sprint("mkdir ", path, os.MkdirAll(path, 0o755))
	case 3: // copied up, and its mode is normalised
		return fmt.Sprint("touch ", path, os.Chmod(path, 0o600))
	}
	return fmt.Sprint("replace ", path, errors.Join(os.RemoveAll(path), os.Symlink("a", path)))
}

func seenIn(dir string) (spec, error) {
	out := spec{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel := strings.TrimPrefix(path, dir+"/")
		switch {
		case d.IsDir():
			out[rel+"/"] = ""
		case d.Type() == fs.ModeSymlink:
			link, err := os.Readlink(path)
			out[rel] = "-> " + link
			return err
		default:
			text, err := os.ReadFile(path)
			out[rel] = string(text)
			return err
		}
		return nil
	})
	return out, err
}
