package layers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/internal/tarball"
)

// upper makes a directory on the store's file system.
func upper(t testing.TB, s *Store, build func(dir string)) string {
	t.Helper()
	dir, err := s.TempDir()
	if err != nil {
		t.Fatal(err)
	}
	build(dir)
	return dir
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCapture(t *testing.T) {
	s := newStore(t)
	build := func(dir string) {
		must(t,
			os.MkdirAll(dir+"/a/b", 0o700),
			os.WriteFile(dir+"/a/b/plain", []byte("plain"), 0o600),
			os.WriteFile(dir+"/a/run", []byte("run"), 0o744),
			os.WriteFile(dir+"/a/secret", []byte("secret"), 0o600),
			os.Link(dir+"/a/run", dir+"/zrun"),
			os.Symlink("/somewhere/else", dir+"/link"),
			os.Mkdir(dir+"/empty", 0o755),
			os.WriteFile(dir+"/drop", nil, 0o644),
			os.Chmod(dir+"/a/secret", 0),
			os.Chmod(dir+"/a/b", 0),
		)
	}
	opt := CaptureOptions{Filter: func(p string) bool { return p != "drop" }}
	got, err := s.Capture(t.Context(), testKey("c"), upper(t, s, build), "app/out", opt)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"drwxr-xr-x app", "drwxr-xr-x app/out", "drwxr-xr-x app/out/a", "drwxr-xr-x app/out/a/b",
		"-rw-r--r-- app/out/a/b/plain plain", "-rwxr-xr-x app/out/a/run run", "-rw-r--r-- app/out/a/secret secret",
		"drwxr-xr-x app/out/empty", "Lrwxrwxrwx app/out/link /somewhere/else", "-rwxr-xr-x app/out/zrun run",
	}
	if d := cmp.Diff(want, onDisk(t, s.Path(got.Layer))); d != "" {
		t.Error(d)
	}
	// What was captured is the layer that a writer makes of the same.
	same := addLayer(t, s, "", spec{"app/out/a/b/plain": "plain", "app/out/a/secret": "secret", "app/out/empty/": "", "app/out/link": "-> /somewhere/else"})
	if same == got.Layer {
		t.Error("layers with and without executable are equal")
	}
	kept, err := s.Capture(t.Context(), "", upper(t, s, build), "", CaptureOptions{KeepModes: true})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := s.Entries(t.Context(), kept.Layer)
	must(t, err)
	for _, e := range entries {
		if e.Path == "a/b/plain" && e.Mode != 0o600 || e.Path == "a/secret" && e.Mode != 0 || e.Path == "a/b" && e.Mode != 0 {
			t.Errorf("%s: mode %#o", e.Path, e.Mode)
		}
	}
	if len(kept.Removed) > 0 {
		t.Errorf("removed %v", kept.Removed)
	}
}

func TestCaptureRefuses(t *testing.T) {
	s := newStore(t)
	tests := []struct {
		name  string
		build func(dir string)
		want  string
	}{
		{"fifo", func(d string) { must(t, os.Mkdir(d+"/x", 0o755), unix.Mkfifo(d+"/x/pipe", 0o644)) }, `"x/pipe" is a FIFO`},
		{"socket", func(d string) { must(t, unix.Mknod(d+"/sock", unix.S_IFSOCK|0o644, 0)) }, `"sock" is a socket`},
		{"name", func(d string) { must(t, os.WriteFile(d+"/a\nb", nil, 0o644)) }, "control character"},
		{"not UTF-8", func(d string) { must(t, os.WriteFile(d+"/a\xff", nil, 0o644)) }, "not UTF-8"},
		{"whiteout name", func(d string) { must(t, os.WriteFile(d+"/.wh.a", nil, 0o644)) }, "marks a removal"},
		{"not a directory", func(d string) { must(t, os.Remove(d), os.Symlink("/", d)) }, "not a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := s.Capture(t.Context(), testKey(tt.name), upper(t, s, tt.build), "", CaptureOptions{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	t.Run("prefix", func(t *testing.T) {
		dir := upper(t, s, func(d string) { must(t, os.WriteFile(d+"/f", nil, 0o644)) })
		if _, err := s.Capture(t.Context(), "", dir, "../x", CaptureOptions{}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Capture(ctx, "", upper(t, s, func(string) {}), "", CaptureOptions{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

func TestCaptureOverlayMarks(t *testing.T) {
	s := newStore(t)
	set := func(p, name, value string) {
		t.Helper()
		if err := unix.Setxattr(p, name, []byte(value), 0); err != nil {
			t.Skip("no user attributes here: ", err)
		}
	}
	build := func(d string) {
		must(t, os.MkdirAll(d+"/opaque/x", 0o755), os.WriteFile(d+"/gone", nil, 0o644), os.WriteFile(d+"/f", []byte("f"), 0o644))
		set(d+"/opaque", "user.overlay.opaque", "y")
		set(d+"/gone", "user.overlay.whiteout", "y")
		set(d+"/opaque/x", "user.overlay.opaque", "x")
		set(d+"/f", "user.overlay.origin", "zzz")
		set(d+"/f", "user.mine", "1")
	}
	got, err := s.Capture(t.Context(), "", upper(t, s, build), "", CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"gone", "opaque/"}, got.Removed); d != "" {
		t.Error(d)
	}
	if want := addLayer(t, s, "", spec{"f": "f", "opaque/x/": ""}); got.Layer != want {
		t.Errorf("layer %+v, want %+v", got.Layer, want)
	}
	if n, err := unix.Listxattr(s.Path(got.Layer)+"/f", make([]byte, 256)); n > 0 && err == nil {
		t.Errorf("%d bytes of attributes left", n)
	}
	if _, err := s.Capture(t.Context(), "", upper(t, s, build), "", CaptureOptions{RefuseRemovals: true}); err == nil {
		t.Error("removals: no error")
	}
	remade := func(d string) {
		must(t, os.MkdirAll(d+"/a/ebin/sub", 0o755), os.WriteFile(d+"/a/ebin/x.app", []byte("new"), 0o644))
		set(d+"/a/ebin", "user.overlay.opaque", "y")
	}
	for _, tt := range []struct {
		name  string
		below map[string]string
		want  []string
	}{
		{"nothing below", nil, nil},
		{"all there", map[string]string{"a/ebin/x.app": "old", "b/y": ""}, nil},
		{"a file is missing", map[string]string{"a/ebin/x.app": "old", "a/ebin/sub/y": ""}, []string{"a/ebin/"}},
		{"was a file", map[string]string{"a/ebin": "old"}, []string{"a/ebin/"}},
	} {
		below := t.TempDir()
		for name, text := range tt.below {
			must(t, os.MkdirAll(filepath.Dir(below+"/"+name), 0o755), os.WriteFile(below+"/"+name, []byte(text), 0o644))
		}
		opt := CaptureOptions{RefuseRemovals: true, Below: []string{t.TempDir(), below}}
		got, err := s.Capture(t.Context(), "", upper(t, s, remade), "", opt)
		if (err != nil) != (tt.want != nil) || len(got.Removed) > 0 {
			t.Errorf("%s: %v, %v", tt.name, got.Removed, err)
		}
		opt.RefuseRemovals = false
		if got, err := s.Capture(t.Context(), "", upper(t, s, remade), "", opt); err != nil || !slices.Equal(got.Removed, tt.want) {
			t.Errorf("%s: removed %q, %v, want %q", tt.name, got.Removed, err, tt.want)
		}
	}
	moved := func(d string) {
		must(t, os.Mkdir(d+"/new", 0o755))
		set(d+"/new", "user.overlay.redirect", "old")
	}
	if _, err := s.Capture(t.Context(), "", upper(t, s, moved), "", CaptureOptions{}); err == nil {
		t.Error("redirect: no error")
	}
	if os.Geteuid() == 0 {
		device := func(d string) { must(t, unix.Mknod(d+"/w", unix.S_IFCHR, 0)) }
		if got, err := s.Capture(t.Context(), "", upper(t, s, device), "", CaptureOptions{}); err != nil || len(got.Removed) != 1 {
			t.Errorf("whiteout: %v, %v", got.Removed, err)
		}
		device = func(d string) { must(t, unix.Mknod(d+"/null", unix.S_IFCHR, int(unix.Mkdev(1, 3)))) }
		if _, err := s.Capture(t.Context(), "", upper(t, s, device), "", CaptureOptions{}); err == nil {
			t.Error("device: no error")
		}
	}
}

func TestImportTar(t *testing.T) {
	s, from := newStore(t), newStore(t)
	sp := spec{"usr/bin/a": "a", "usr/bin/b": "=> usr/bin/a", "lib": "-> usr/lib", "usr/lib/": "", strings.Repeat("long/", 30) + "x": "deep", "ünï": ""}
	l := addLayer(t, from, "", sp)
	var tar bytes.Buffer
	must(t, from.WriteTar(t.Context(), &tar, l))
	key := testKey("import")
	for range 2 {
		got, err := s.ImportTar(t.Context(), key, bytes.NewReader(tar.Bytes()), l.DiffID)
		if err != nil || got != l {
			t.Fatalf("ImportTar = %+v, %v, want %+v", got, err, l)
		}
	}
	if d := cmp.Diff(onDisk(t, from.Path(l)), onDisk(t, s.Path(l))); d != "" {
		t.Error(d)
	}

	// Modes that the host must not see, attributes, owners.
	odd := []tarball.Entry{
		{Path: "d", Kind: tarball.Dir, Mode: 0o3000, UID: 7},
		{Path: "d/f", Kind: tarball.File, Mode: 0o4001, GID: 9, Digest: digest.FromString(""), Xattrs: map[string]string{"security.capability": "\x00\x01"}},
	}
	empty := func(tarball.Entry) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("")), nil }
	var buf bytes.Buffer
	must(t, tarball.Write(&buf, odd, tarball.Epoch, empty))
	got, err := s.ImportTar(t.Context(), "", bytes.NewReader(buf.Bytes()), digest.FromBytes(buf.Bytes()))
	must(t, err)
	if d := cmp.Diff([]string{"drwx------ d", "-r-------x d/f"}, onDisk(t, s.Path(got))); d != "" {
		t.Error(d)
	}
	if entries, err := s.Entries(t.Context(), got); err != nil || !cmp.Equal(odd, entries) {
		t.Errorf("entries: %v %s", err, cmp.Diff(odd, entries))
	}

	var wrong *DigestError
	if _, err := s.ImportTar(t.Context(), key, bytes.NewReader(tar.Bytes()[:512]), l.DiffID); !errors.As(err, &wrong) {
		t.Errorf("cut: %v", err)
	}
	var late bytes.Buffer
	must(t, tarball.Write(&late, odd, tarball.Epoch.Add(time.Second), empty))
	padded := append(bytes.Clone(tar.Bytes()), make([]byte, 512)...)
	for what, data := range map[string][]byte{
		"not in canonical form": padded,
		"canonical form":        late.Bytes(),
		"read tar":              []byte("no tar"),
	} {
		if _, err := s.ImportTar(t.Context(), testKey("bad"), bytes.NewReader(data), digest.FromBytes(data)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: error %v", what, err)
		}
	}
	if left, _ := glob(s.lease.tmp + "/*"); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
}

// A real overlay: what it leaves for a removed file, a replaced directory and
// a changed file.
func TestCaptureOverlay(t *testing.T) {
	needRoot(t)
	s := newStore(t)
	lower := addLayer(t, s, "", spec{"gone": "x", "dir/old": "x", "changed": "before", "dir2/sub/kept": "x"})
	up, err := s.TempDir()
	must(t, err)
	work, err := s.TempDir()
	must(t, err)
	at := t.TempDir()
	opts := "lowerdir=" + s.Path(lower) + ",upperdir=" + up + ",workdir=" + work + ",userxattr"
	must(t, unix.Mount("overlay", at, "overlay", 0, opts))
	err = errors.Join(
		os.Remove(at+"/gone"),
		os.RemoveAll(at+"/dir"), os.Mkdir(at+"/dir", 0o755), os.WriteFile(at+"/dir/new", []byte("new"), 0o644),
		os.WriteFile(at+"/changed", []byte("after"), 0o644),
		os.WriteFile(at+"/dir2/sub/added", []byte("added"), 0o755),
		os.Link(at+"/dir2/sub/added", at+"/dir2/linked"),
	)
	must(t, unix.Unmount(at, 0), err)
	got, err := s.Capture(t.Context(), "", up, "out", CaptureOptions{})
	must(t, err)
	if d := cmp.Diff([]string{"dir/", "gone"}, got.Removed); d != "" {
		t.Error(d)
	}
	want := []string{
		"drwxr-xr-x out", "-rw-r--r-- out/changed after", "drwxr-xr-x out/dir", "-rw-r--r-- out/dir/new new", "drwxr-xr-x out/dir2",
		"-rwxr-xr-x out/dir2/linked added", "drwxr-xr-x out/dir2/sub", "-rwxr-xr-x out/dir2/sub/added added",
	}
	if d := cmp.Diff(want, onDisk(t, s.Path(got.Layer))); d != "" {
		t.Error(d)
	}
	if r, err := s.Verify(t.Context(), VerifyOptions{}); err != nil || len(r.Problems) > 0 {
		t.Errorf("%+v, %v", r.Problems, err)
	}
}
