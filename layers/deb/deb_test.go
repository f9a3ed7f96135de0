package deb

import (
	"archive/tar"
	"bytes"
	"crypto/md5"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/retort-build/retort/internal/tarball"
)

// tree collects what a sink is given, one line an entry.
type tree []string

func (t *tree) Add(e tarball.Entry, content io.Reader) error {
	line := fmt.Sprintf("%c %o %d:%d %s", e.Kind, e.Mode, e.UID, e.GID, e.Path)
	if e.Link != "" {
		line += " -> " + e.Link
	}
	if content != nil {
		b, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		if int64(len(b)) != e.Size {
			return fmt.Errorf("%s: read %d bytes of %d", e.Path, len(b), e.Size)
		}
		line += contentLine(b)
	}
	*t = append(*t, line)
	return nil
}

// contentLine shows a content, or its digest if it is long.
func contentLine(b []byte) string {
	if len(b) > 40 {
		return fmt.Sprintf(" md5:%x", md5.Sum(b))
	}
	return fmt.Sprintf(" %q", b)
}

// file is an entry of a tar archive under test; a name that ends in a slash is
// a directory.
type file struct {
	name    string
	mode    int64
	content string
	symlink string
	link    string
}

func tarOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Format: tar.FormatGNU, Name: f.name, Mode: f.mode, Typeflag: tar.TypeReg, Size: int64(len(f.content))}
		switch {
		case strings.HasSuffix(f.name, "/"):
			h.Typeflag = tar.TypeDir
		case f.symlink != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, f.symlink
		case f.link != "":
			h.Typeflag, h.Linkname = tar.TypeLink, f.link
		}
		if h.Mode == 0 {
			h.Mode = 0o644
			if h.Typeflag == tar.TypeDir {
				h.Mode = 0o755
			}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

type arFile struct {
	name    string
	content []byte
}

func arOf(files ...arFile) []byte {
	var buf bytes.Buffer
	buf.WriteString(arMagic)
	for _, f := range files {
		fmt.Fprintf(&buf, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", f.name, 0, 0, 0, "100644", len(f.content))
		buf.Write(f.content)
		if len(f.content)%2 == 1 {
			buf.WriteByte('\n')
		}
	}
	return buf.Bytes()
}

const stanza = "Package: hello\nVersion: 1:2.0-1\nArchitecture: amd64\nInstalled-Size: 12\nSource: hi (2.0-1)\nDescription: greets\n it greets\n"

// debOf is a package with a control file and what else is given.
func debOf(t testing.TB, control []file, data []file) []byte {
	control = append([]file{{name: "./"}, {name: "./control", content: stanza}}, control...)
	return arOf(
		arFile{"debian-binary", []byte("2.0\n")},
		arFile{"control.tar", tarOf(t, control...)},
		arFile{"data.tar", tarOf(t, data...)},
	)
}

func unpackBytes(t testing.TB, b []byte, opt Options) (tree, *Control, error) {
	t.Helper()
	var got tree
	c, err := Unpack(t.Context(), bytes.NewReader(b), int64(len(b)), opt, &got)
	return got, c, err
}

func TestUnpack(t *testing.T) {
	b := debOf(t,
		[]file{{name: "./postinst", mode: 0o755, content: "#!/bin/sh\n"}, {name: "./md5sums", content: sumLine("usr/bin/hello", "hello")}},
		[]file{
			{name: "./"},
			{name: "./usr/"},
			{name: "./usr/bin/hello", mode: 0o4755, content: "hello"},
			{name: "./usr/bin/hi", symlink: "hello"},
			{name: "./usr/bin/hullo", link: "./usr/bin/hello"},
		})
	got, c, err := unpackBytes(t, b, Options{Want: Identity{"hello", "1:2.0-1", "amd64"}})
	if err != nil {
		t.Fatal(err)
	}
	want := tree{
		`d 755 0:0 usr`,
		`d 755 0:0 usr/bin`,
		`f 4755 0:0 usr/bin/hello "hello"`,
		`l 777 0:0 usr/bin/hi -> hello`,
		`h 4755 0:0 usr/bin/hullo -> usr/bin/hello`,
		`d 755 0:0 var`,
		`d 755 0:0 var/lib`,
		`d 755 0:0 var/lib/dpkg`,
		`d 755 0:0 var/lib/dpkg/info`,
		`f 644 0:0 var/lib/dpkg/info/hello.md5sums md5:` + fmt.Sprintf("%x", md5.Sum([]byte(sumLine("usr/bin/hello", "hello")))),
		`f 755 0:0 var/lib/dpkg/info/hello.postinst "#!/bin/sh\n"`,
		`d 755 0:0 var/lib/dpkg/status.d`,
		`f 644 0:0 var/lib/dpkg/status.d/hello md5:` + fmt.Sprintf("%x", md5.Sum([]byte(stanza))),
	}
	for i, l := range got {
		// archive/tar writes the mode of the header for hard links.
		got[i] = strings.Replace(l, "h 644", "h 4755", 1)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if c.Source != "hi" || c.InstalledSize != 12 || c.Version != "1:2.0-1" || strings.Join(c.Members, " ") != "md5sums postinst" {
		t.Errorf("control: %+v", c)
	}
}

func sumLine(name, content string) string {
	return fmt.Sprintf("%x  %s\n", md5.Sum([]byte(content)), name)
}

func TestRewrite(t *testing.T) {
	b := debOf(t, []file{{name: "./md5sums", content: sumLine("lib/x86/libx.so.1", "x")}}, []file{
		{name: "./bin/"}, {name: "./bin/cat", content: "cat"},
		{name: "./lib/"}, {name: "./lib/x86/"}, {name: "./lib/x86/libx.so.1", content: "x"},
		{name: "./lib/x86/libx.so", symlink: "../../usr/lib/y"},
		{name: "./lib/hard", link: "./lib/x86/libx.so.1"},
		{name: "./lib64/ld", symlink: "/lib/x86/ld"},
		{name: "./library/x", content: "x"},
		{name: "./usr/"}, {name: "./usr/lib/"}, {name: "./usr/lib/z", content: "z"},
	})
	got, _, err := unpackBytes(t, b, Options{Rewrite: true})
	if err != nil {
		t.Fatal(err)
	}
	want := tree{
		`d 755 0:0 usr`, `d 755 0:0 usr/bin`, `f 644 0:0 usr/bin/cat "cat"`,
		`d 755 0:0 usr/lib`, `d 755 0:0 usr/lib/x86`, `f 644 0:0 usr/lib/x86/libx.so.1 "x"`,
		`l 777 0:0 usr/lib/x86/libx.so -> ../../usr/lib/y`,
		`h 644 0:0 usr/lib/hard -> usr/lib/x86/libx.so.1`,
		`d 755 0:0 usr/lib64`, `l 777 0:0 usr/lib64/ld -> /lib/x86/ld`,
		`d 755 0:0 library`, `f 644 0:0 library/x "x"`,
		`f 644 0:0 usr/lib/z "z"`,
	}
	if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
		t.Error(diff)
	}
}

func TestCompressions(t *testing.T) {
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	control := tarOf(t, file{name: "./control", content: stanza})
	var gz, zst bytes.Buffer
	gw := gzip.NewWriter(&gz)
	gw.Write(control)
	gw.Close()
	zw, _ := zstd.NewWriter(&zst)
	zw.Write(control)
	zw.Close()

	var first tree
	for _, data := range []string{"single.tar.xz", "blocks.tar.xz"} {
		for _, jobs := range []int{0, 1, 2, 5} {
			for _, c := range []arFile{{"control.tar", control}, {"control.tar.gz/", gz.Bytes()}, {"control.tar.zst", zst.Bytes()}} {
				b := arOf(arFile{"debian-binary/", []byte("2.0\n")}, arFile{"_gpgorigin", nil}, c, arFile{"data.tar.xz", read(data)})
				got, _, err := unpackBytes(t, b, Options{Jobs: jobs})
				if err != nil {
					t.Fatalf("%s %s jobs %d: %v", data, c.name, jobs, err)
				}
				if first == nil {
					first = got
				}
				if diff := cmp.Diff(first, got); diff != "" {
					t.Errorf("%s %s jobs %d: %s", data, c.name, jobs, diff)
				}
			}
		}
	}
	if !strings.Contains(strings.Join(first, "\n"), `usr/share/small "small\n"`) {
		t.Errorf("content: %q", first)
	}
}

func TestRefuse(t *testing.T) {
	good := debOf(t, nil, []file{{name: "./a", content: "a"}})
	bin := arFile{"debian-binary", []byte("2.0\n")}
	control := arFile{"control.tar", tarOf(t, file{name: "./control", content: stanza})}
	data := arFile{"data.tar", tarOf(t, file{name: "./a", content: "a"})}
	blocks, err := os.ReadFile("testdata/blocks.tar.xz")
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(blocks)
	damaged[len(damaged)/2] ^= 1
	for _, tt := range []struct {
		name string
		deb  []byte
		opt  Options
		want string
	}{
		{"empty", nil, Options{}, "not an ar archive"},
		{"cut", good[:len(good)-1], Options{}, "archive has"},
		{"cut in header", good[:100], Options{}, "EOF"},
		{"trailing", append(bytes.Clone(good), 'x'), Options{}, "EOF"},
		{"version", arOf(arFile{"debian-binary", []byte("3.0\n")}, control, data), Options{}, `format "3.0"`},
		{"order", arOf(bin, data, control), Options{}, "members are not"},
		{"extra", arOf(bin, control, data, data), Options{}, "members are not"},
		{"compression", arOf(bin, control, arFile{"data.tar.lz4", nil}), Options{}, "unknown compression"},
		{"wrong package", good, Options{Want: Identity{Name: "bye"}}, `Package is "hello", want "bye"`},
		{"wrong version", good, Options{Want: Identity{Version: "1"}}, `Version is "1:2.0-1"`},
		{"no control", arOf(bin, arFile{"control.tar", tarOf(t)}, data), Options{}, "no control file"},
		{"control path", debOf(t, []file{{name: "./a/b", content: "x"}}, nil), Options{}, "a/b"},
		{"control twice", debOf(t, []file{{name: "./control", content: stanza}}, nil), Options{}, "duplicate"},
		{"path up", debOf(t, nil, []file{{name: "./../x", content: "x"}}), Options{}, "../x"},
		{"path twice", debOf(t, nil, []file{{name: "./x", content: "x"}, {name: "./x", content: "y"}}), Options{}, "duplicate"},
		{"below link", debOf(t, nil, []file{{name: "./x", symlink: "/etc"}, {name: "./x/passwd", content: "y"}}), Options{}, "x"},
		{"hard link out", debOf(t, nil, []file{{name: "./x", link: "etc/shadow"}}), Options{}, "etc/shadow"},
		{"own database", debOf(t, nil, []file{{name: "./var/lib/dpkg/status.d/hello", content: "x"}}), Options{}, "twice"},
		{"md5", debOf(t, []file{{name: "./md5sums", content: sumLine("a", "b")}}, []file{{name: "./a", content: "a"}}), Options{}, "a: md5 is"},
		{"md5 missing", debOf(t, []file{{name: "./md5sums", content: sumLine("b", "b")}}, nil), Options{}, "b is not in data.tar"},
		{"damaged block", arOf(bin, control, arFile{"data.tar.xz", damaged}), Options{Jobs: 2}, "data.tar: "},
		{"damaged stream", arOf(bin, control, arFile{"data.tar.xz", damaged}), Options{}, "data.tar: "},
		{"behind tar", arOf(bin, control, arFile{"data.tar", append(data.content, "more"...)}), Options{}, "after the end"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := unpackBytes(t, tt.deb, tt.opt)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

type failing struct{ after int }

func (f *failing) Add(tarball.Entry, io.Reader) error {
	if f.after--; f.after < 0 {
		return fmt.Errorf("disk is full")
	}
	return nil
}

// A sink that fails stops parallel decoding, and its reason is the one told.
func TestSinkError(t *testing.T) {
	blocks, err := os.ReadFile("testdata/blocks.tar.xz")
	if err != nil {
		t.Fatal(err)
	}
	b := arOf(arFile{"debian-binary", []byte("2.0\n")}, arFile{"control.tar", tarOf(t, file{name: "./control", content: stanza})}, arFile{"data.tar.xz", blocks})
	for jobs := range 4 {
		_, err := Unpack(t.Context(), bytes.NewReader(b), int64(len(b)), Options{Jobs: jobs}, &failing{2})
		if err == nil || !strings.Contains(err.Error(), "disk is full") {
			t.Errorf("jobs %d: %v", jobs, err)
		}
	}
}

func TestBound(t *testing.T) {
	blocks, err := os.ReadFile("testdata/blocks.tar.xz")
	if err != nil {
		t.Fatal(err)
	}
	m := member{"data.tar.xz", io.NewSectionReader(bytes.NewReader(blocks), 0, int64(len(blocks)))}
	for _, jobs := range []int{1, 3} {
		m.Seek(0, io.SeekStart)
		err := decompress(t.Context(), m, 100_000, jobs, func(r io.Reader) error {
			_, err := io.Copy(io.Discard, r)
			return err
		})
		if err == nil || !strings.Contains(err.Error(), "more than 100000 bytes") {
			t.Errorf("jobs %d: %v", jobs, err)
		}
	}
}

func TestReadIndex(t *testing.T) {
	b, err := os.ReadFile("testdata/blocks.tar.xz")
	if err != nil {
		t.Fatal(err)
	}
	blocks := readIndex(bytes.NewReader(b), int64(len(b)))
	var total int64
	for _, bl := range blocks {
		total += bl.plain
	}
	if len(blocks) != 5 || total != 163840 {
		t.Errorf("%d blocks, %d bytes", len(blocks), total)
	}
	for i := range b {
		if i < 12 || i > len(b)-60 {
			bad := bytes.Clone(b)
			bad[i] ^= 0x10
			if got := readIndex(bytes.NewReader(bad), int64(len(bad))); got != nil && i != 6 && i < 12 {
				t.Errorf("byte %d: damage not seen", i)
			}
		}
	}
}
