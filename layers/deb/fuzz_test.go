package deb

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/retort-build/retort/internal/tarball"
)

func FuzzReadAr(f *testing.F) {
	f.Add(arOf(arFile{"debian-binary", []byte("2.0\n")}, arFile{"x/", []byte("y")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		members, err := readAr(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, m := range members {
			if n, err := io.Copy(io.Discard, m); n != m.Size() || err != nil {
				t.Errorf("%s: %d of %d bytes, %v", m.name, n, m.Size(), err)
			}
		}
	})
}

func FuzzParseControl(f *testing.F) {
	f.Add([]byte(stanza))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseControl(b)
		if err == nil && (strings.Contains(c.Name, "/") || strings.HasPrefix(c.Name, ".")) {
			t.Errorf("name %q", c.Name)
		}
	})
}

func FuzzParseSums(f *testing.F) {
	f.Add([]byte(sumLine("usr/bin/x", "x")))
	f.Fuzz(func(t *testing.T, b []byte) { _, _ = parseSums(b) })
}

func FuzzReadIndex(f *testing.F) {
	b, err := os.ReadFile("testdata/blocks.tar.xz")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, bl := range readIndex(bytes.NewReader(b), int64(len(b))) {
			if bl.offset < 0 || bl.plain < 0 || bl.plain > xzMaxBlock || bl.offset+bl.padded() > int64(len(b)) {
				t.Errorf("block %+v of %d bytes", bl, len(b))
			}
		}
	})
}

// inside is a sink that checks what every sink relies on.
type inside struct{ t *testing.T }

func (s inside) Add(e tarball.Entry, content io.Reader) error {
	for part := range strings.SplitSeq(e.Path, "/") {
		if part == "" || part == "." || part == ".." {
			s.t.Errorf("path %q", e.Path)
		}
	}
	if content == nil {
		return nil
	}
	_, err := io.Copy(io.Discard, content)
	return err
}

func FuzzUnpack(f *testing.F) {
	f.Add(debOf(f, []file{{name: "./md5sums", content: sumLine("a", "a")}}, []file{{name: "./a", content: "a"}, {name: "./lib/b", link: "./a"}}))
	blocks, err := os.ReadFile("testdata/tiny.tar.xz")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(arOf(arFile{"debian-binary", []byte("2.0\n")}, arFile{"control.tar", tarOf(f, file{name: "./control", content: stanza})}, arFile{"data.tar.xz", blocks}))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = Unpack(t.Context(), bytes.NewReader(b), int64(len(b)), Options{Rewrite: true, Jobs: 2}, inside{t})
	})
}
