package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
)

// pack makes a tarball of headers whose PAXRecords hold the content.
func pack(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, h := range entries {
		content := h.Linkname
		if h.Typeflag == 0 || h.Typeflag == tar.TypeReg {
			h.Typeflag, h.Linkname, h.Size = tar.TypeReg, "", int64(len(content))
		}
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// entries is a sink that remembers.
type entries map[string]string

func (s entries) Add(e tarball.Entry, content io.Reader) error {
	var data []byte
	if content != nil {
		var err error
		if data, err = io.ReadAll(content); err != nil {
			return err
		}
	}
	s[e.Path] = fmt.Sprintf("%c %o %q", e.Kind, e.Mode, data)
	return nil
}

func unpack(t testing.TB, data []byte, executables ...string) (entries, error) {
	got := entries{}
	err := Unpack(t.Context(), bytes.NewReader(data), int64(len(data)), Want{Integrity: digest.SHA512.FromBytes(data), Executables: executables}, got)
	return got, err
}

func TestUnpack(t *testing.T) {
	long := "#!/usr/bin/env node\r\n" + strings.Repeat("x\r\n", 3000)
	got, err := unpack(t, pack(t,
		tar.Header{Name: "package/package.json", Linkname: "{}", Mode: 0o600, Uid: 501},
		tar.Header{Name: "package/bin", Typeflag: tar.TypeDir, Mode: 0o700},
		tar.Header{Name: "package/bin/a.js", Linkname: long},
		tar.Header{Name: "package/bin/b.js", Linkname: "#!/bin/sh\n\r\n"},
		tar.Header{Name: "package/run", Linkname: "x\r\n", Mode: 0o755},
		tar.Header{Name: "package/link", Linkname: "../../../etc/passwd", Typeflag: tar.TypeSymlink},
		tar.Header{Name: "package/.npmignore", Linkname: "n"},
		tar.Header{Name: "package/.gitignore", Linkname: "g"},
		tar.Header{Name: "package/lib/.gitignore", Linkname: "lib"},
		tar.Header{Name: "other/also", Linkname: "o"},
		tar.Header{Name: "package/./dist//x", Linkname: "first"},
		tar.Header{Name: "package/dist/x", Linkname: "last"},
	), "bin/a.js", "bin/b.js", "not/there")
	if err != nil {
		t.Fatal(err)
	}
	want := entries{
		"package.json": `f 644 "{}"`, "bin": `d 755 ""`, "dist/x": `f 644 "last"`,
		"bin/a.js": fmt.Sprintf("f 755 %q", strings.Replace(long, "\r", "", 1)), "bin/b.js": `f 755 "#!/bin/sh\n\r\n"`,
		"run": `f 755 "x\r\n"`, ".npmignore": `f 644 "n"`, "lib/.npmignore": `f 644 "lib"`, "also": `f 644 "o"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestUnpackRefuses(t *testing.T) {
	good := pack(t, tar.Header{Name: "package/a", Linkname: "x"})
	for _, tt := range []struct {
		name string
		data []byte
		sum  digest.Digest
		want string
	}{
		{"other bytes", good, digest.SHA512.FromString("other"), "wrong integrity: want sha512:"},
		{"sha256", good, digest.SHA256.FromBytes(good), "no sha512"},
		{"no integrity", good, "", "no sha512"},
		{"no gzip", []byte("hello"), digest.SHA512.FromString("hello"), "read tarball"},
		{"way out", pack(t, tar.Header{Name: "package/../../a", Linkname: "x"}), "", "package/../../a"},
		{"absolute", pack(t, tar.Header{Name: "/etc/passwd", Linkname: "x"}), "", "/etc/passwd"},
		{"cut off", good[:len(good)/2], "", "EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.sum == "" && tt.name != "no integrity" {
				tt.sum = digest.SHA512.FromBytes(tt.data)
			}
			got := entries{}
			err := Unpack(t.Context(), bytes.NewReader(tt.data), int64(len(tt.data)), Want{Integrity: tt.sum}, got)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if len(got) > 0 {
				t.Errorf("the sink got %v", got)
			}
		})
	}
}
