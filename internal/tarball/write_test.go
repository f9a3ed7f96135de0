package tarball

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

func file(path, content string) Entry {
	return Entry{Path: path, Kind: File, Mode: 0o644, Size: int64(len(content)), Digest: digest.FromString(content)}
}

func dir(path string) Entry { return Entry{Path: path, Kind: Dir, Mode: 0o755} }

// from gives each file the content of the map.
func from(contents map[string]string) func(Entry) (io.ReadCloser, error) {
	return func(e Entry) (io.ReadCloser, error) {
		c, ok := contents[e.Path]
		if !ok {
			return nil, fmt.Errorf("no content for %s", e.Path)
		}
		return io.NopCloser(strings.NewReader(c)), nil
	}
}

// sample holds every feature that the writer has.
func sample() ([]Entry, map[string]string) {
	long := strings.Repeat("d", 60)
	contents := map[string]string{
		"bin/su":                      "root",
		"empty":                       "",
		"usr/share/ca/Főtanúsítvány":  "cert",
		long + "/" + long + "/" + "x": "split",
		strings.Repeat("n", 130):      "long",
		"block":                       strings.Repeat("b", 512),
		"owner":                       "big ids",
	}
	entries := []Entry{
		dir("bin"),
		{Path: "bin/su", Kind: File, Mode: 0o4755, GID: 42, Size: 4, Digest: digest.FromString("root"),
			Xattrs: map[string]string{"security.capability": "\x01\x00\x00\x02", "user.note": "a=b\nc"}},
		{Path: "bin/su-link", Kind: Hardlink, Mode: 0o4755, GID: 42, Link: "bin/su"},
		file("block", contents["block"]),
		dir(long), dir(long + "/" + long), file(long+"/"+long+"/x", "split"),
		file("empty", ""),
		{Path: "lib", Kind: Symlink, Mode: 0o777, Link: "usr/lib"},
		{Path: "long", Kind: Symlink, Mode: 0o777, Link: "/" + strings.Repeat("t/", 60)},
		file(strings.Repeat("n", 130), "long"),
		{Path: "owner", Kind: File, Mode: 0o600, UID: 4_000_000, GID: 3_000_000, Size: 7, Digest: digest.FromString("big ids")},
		{Path: "tmp", Kind: Dir, Mode: 0o1777},
		dir("usr"), dir("usr/share"), dir("usr/share/ca"), file("usr/share/ca/Főtanúsítvány", "cert"),
	}
	entries, err := Normalise(entries)
	if err != nil {
		panic(err)
	}
	return entries, contents
}

func emit(t testing.TB, entries []Entry, contents map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := Write(&buf, entries, Epoch, from(contents)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// collect reads a tar back with digests.
func collect(r io.Reader) ([]Entry, map[string]string, error) {
	var entries []Entry
	contents := make(map[string]string)
	err := Read(r, Limits{}, func(e Entry, content io.Reader) error {
		if e.Kind == File {
			b, err := io.ReadAll(content)
			if err != nil {
				return err
			}
			e.Digest = digest.FromBytes(b)
			contents[e.Path] = string(b)
		}
		entries = append(entries, e)
		return nil
	})
	return entries, contents, err
}

// The digests are the format: layers in stores and registries carry them. A
// change here orphans all of them and needs a new key salt.
func TestWriteGolden(t *testing.T) {
	all, contents := sample()
	tests := []struct {
		name    string
		entries []Entry
		want    string
	}{
		{"nothing", nil, goldenNothing},
		{"one file", []Entry{file("empty", "")}, goldenFile},
		{"everything", all, goldenAll},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := fmt.Sprintf("%x", sha256.Sum256(emit(t, tt.entries, contents)))
			if got != tt.want {
				t.Errorf("digest %s, want %s", got, tt.want)
			}
			d, size, err := Digest(tt.entries, from(contents))
			if err != nil || d.Encoded() != got || size != int64(len(emit(t, tt.entries, contents))) {
				t.Errorf("Digest = %s, %d, %v", d, size, err)
			}
		})
	}
}

func TestRoundTrip(t *testing.T) {
	entries, contents := sample()
	data := emit(t, entries, contents)
	back, backContents, err := collect(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(entries, back); d != "" {
		t.Errorf("entries (-written +read):\n%s", d)
	}
	if !bytes.Equal(data, emit(t, back, backContents)) {
		t.Error("written again, the bytes differ")
	}
}

// The standard library must see in our bytes what we meant.
func TestStandardReader(t *testing.T) {
	entries, contents := sample()
	r := tar.NewReader(bytes.NewReader(emit(t, entries, contents)))
	for _, e := range entries {
		h, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSuffix(h.Name, "/"); got != e.Path {
			t.Fatalf("name %q, want %q", got, e.Path)
		}
		if uint32(h.Mode) != e.Mode || h.Uid != e.UID || h.Gid != e.GID || h.Size != e.Size || h.Linkname != e.Link {
			t.Errorf("%s: header %+v", e.Path, h)
		}
		if !h.ModTime.Equal(Epoch) || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s: time %s, owner %q:%q", e.Path, h.ModTime, h.Uname, h.Gname)
		}
		for k, v := range e.Xattrs {
			if h.PAXRecords[paxXattr+k] != v {
				t.Errorf("%s: %s = %q", e.Path, k, h.PAXRecords[paxXattr+k])
			}
		}
		if b, err := io.ReadAll(r); err != nil || e.Kind == File && string(b) != contents[e.Path] {
			t.Errorf("%s: content %q, %v", e.Path, b, err)
		}
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

func TestReadGNUTar(t *testing.T) {
	gnu, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("no tar program")
	}
	root := t.TempDir()
	long := strings.Repeat("l", 120)
	for _, p := range []string{"a/b", "a/" + long, "ünïcode"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, p)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, p), []byte(p), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(root, "a/b"), filepath.Join(root, "zlink")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/"+long, filepath.Join(root, "sym")); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"gnu", "oldgnu", "pax"} {
		t.Run(format, func(t *testing.T) {
			data, err := exec.Command(gnu, "--format="+format, "--sort=name", "--numeric-owner", "-C", root, "-c", ".").Output()
			if err != nil {
				t.Skip("tar program lacks an option: ", err)
			}
			entries, _, err := collect(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if entries, err = Normalise(entries); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				got = append(got, fmt.Sprintf("%c %s %s", e.Kind, e.Path, e.Link))
			}
			want := []string{"d a ", "f a/b ", "f a/" + long + " ", "l sym /" + long, "h zlink a/b", "f ünïcode "}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWriteRefuses(t *testing.T) {
	f := file("f", "x")
	with := func(change func(*Entry)) Entry { e := f; change(&e); return e }
	tests := []struct {
		name    string
		entries []Entry
		content string
		mtime   time.Time
		want    string
	}{
		{"unsorted", []Entry{dir("b"), dir("a")}, "", Epoch, "not after"},
		{"duplicate", []Entry{f, f}, "x", Epoch, "not after"},
		{"dot", []Entry{dir(".")}, "", Epoch, "empty path"},
		{"dot dot", []Entry{dir("a/../b")}, "", Epoch, `component ".."`},
		{"absolute", []Entry{dir("/a")}, "", Epoch, "absolute"},
		{"slash", []Entry{dir("a/")}, "", Epoch, `component ""`},
		{"whiteout", []Entry{dir("a/.wh.b")}, "", Epoch, "marks a removal"},
		{"newline", []Entry{dir("a\nb")}, "", Epoch, "control"},
		{"below file", []Entry{f, dir("f/a")}, "x", Epoch, "not a directory"},
		{"far below file", []Entry{f, dir("f/a/b")}, "x", Epoch, "not a directory"},
		{"link first", []Entry{{Path: "a", Kind: Hardlink, Mode: 0o644, Link: "f"}, f}, "x", Epoch, "earlier file"},
		{"link mode", []Entry{f, {Path: "g", Kind: Hardlink, Mode: 0o600, Link: "f"}}, "x", Epoch, "mode or owner"},
		{"symlink mode", []Entry{{Path: "a", Kind: Symlink, Mode: 0o755, Link: "f"}}, "", Epoch, "symlink mode"},
		{"no link", []Entry{{Path: "a", Kind: Symlink, Mode: 0o777}}, "", Epoch, "link target"},
		{"kind", []Entry{with(func(e *Entry) { e.Kind = 'c' })}, "x", Epoch, "kind"},
		{"mode", []Entry{with(func(e *Entry) { e.Mode = 0o100644 })}, "x", Epoch, "mode"},
		{"owner", []Entry{with(func(e *Entry) { e.UID = -1 })}, "x", Epoch, "owner"},
		{"no digest", []Entry{with(func(e *Entry) { e.Digest = "" })}, "x", Epoch, "digest"},
		{"sha512", []Entry{with(func(e *Entry) { e.Digest = digest.Digest("sha512:" + strings.Repeat("0", 128)) })}, "x", Epoch, "digest"},
		{"xattr", []Entry{with(func(e *Entry) { e.Xattrs = map[string]string{"user.overlay.opaque": "y"} })}, "x", Epoch, "attribute"},
		{"short content", []Entry{f}, "", Epoch, "0 bytes, want 1"},
		{"long content", []Entry{f}, "xy", Epoch, "longer"},
		{"other content", []Entry{f}, "y", Epoch, "digest mismatch"},
		{"time", nil, "", time.Unix(-1, 0), "does not fit"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Write(io.Discard, tt.entries, tt.mtime, from(map[string]string{"f": tt.content}))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestNormalise(t *testing.T) {
	z := file("z", "x")
	got, err := Normalise([]Entry{
		z,
		{Path: "m/n/o", Kind: Hardlink, Link: "q"},
		{Path: "q", Kind: Hardlink, Link: "z"},
	})
	if err != nil {
		t.Fatal(err)
	}
	first := z
	first.Path = "m/n/o"
	want := []Entry{
		dir("m"), dir("m/n"), first,
		{Path: "q", Kind: Hardlink, Mode: 0o644, Link: "m/n/o"},
		{Path: "z", Kind: Hardlink, Mode: 0o644, Link: "m/n/o"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, bad := range map[string][]Entry{
		"duplicate path":         {z, z},
		"not a file of the tree": {{Path: "a", Kind: Hardlink, Link: "b"}},
		"circle":                 {{Path: "a", Kind: Hardlink, Link: "b"}, {Path: "b", Kind: Hardlink, Link: "a"}},
		"is not a directory":     {z, dir("z/a")},
		"absolute":               {dir("/a")},
	} {
		if _, err := Normalise(bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}
