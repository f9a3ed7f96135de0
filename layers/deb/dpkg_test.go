package deb

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDpkgDeb reads packages that dpkg-deb built with every compression, and
// compares their files with the tar that dpkg-deb gives back.
func TestDpkgDeb(t *testing.T) {
	if os.Getenv("RETORT_E2E") != "1" {
		t.Skip("needs dpkg-deb; set RETORT_E2E=1")
	}
	src := t.TempDir()
	big := strings.Repeat("a line that repeats, and is long enough to matter\n", 200_000)
	for name, content := range map[string]string{
		"DEBIAN/control":  stanza + "Maintainer: nobody <nobody@example.org>\n",
		"DEBIAN/postinst": "#!/bin/sh\n", "usr/bin/hello": "hello", "usr/share/big": big, "etc/" + strings.Repeat("long", 40): "x",
	} {
		p := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("hello", filepath.Join(src, "usr/bin/hi")); err != nil {
		t.Fatal(err)
	}
	for _, z := range []string{"xz", "gzip", "zstd", "none"} {
		deb := filepath.Join(t.TempDir(), z+".deb")
		if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Z"+z, "--build", src, deb).CombinedOutput(); err != nil {
			t.Fatalf("dpkg-deb: %v\n%s", err, out)
		}
		b, err := os.ReadFile(deb)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := unpackBytes(t, b, Options{Jobs: 2, Want: Identity{Name: "hello"}})
		if err != nil {
			t.Fatalf("%s: %v", z, err)
		}
		got = slices.DeleteFunc(got, func(l string) bool { return strings.Contains(l, " var") })
		slices.Sort(got)
		if diff := cmp.Diff(dpkgTree(t, deb), got); diff != "" {
			t.Errorf("%s: %s", z, diff)
		}
	}
}

// dpkgTree lists the data of a package as dpkg-deb unpacks it.
func dpkgTree(t *testing.T, deb string) tree {
	out, err := exec.Command("dpkg-deb", "--fsys-tarfile", deb).Output()
	if err != nil {
		t.Fatal(err)
	}
	var want tree
	for r := tar.NewReader(bytes.NewReader(out)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.Trim(strings.TrimPrefix(h.Name, "."), "/")
		if name == "" {
			continue
		}
		line := fmt.Sprintf("%s %o %d:%d %s", map[byte]string{tar.TypeReg: "f", tar.TypeDir: "d", tar.TypeSymlink: "l"}[h.Typeflag], h.Mode, h.Uid, h.Gid, name)
		e := fmtContent(t, h, r)
		want = append(want, line+e)
	}
	slices.Sort(want)
	return want
}

func fmtContent(t *testing.T, h *tar.Header, r io.Reader) string {
	if h.Typeflag == tar.TypeSymlink {
		return " -> " + h.Linkname
	}
	if h.Typeflag != tar.TypeReg {
		return ""
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return contentLine(b)
}
