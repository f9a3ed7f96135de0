package debian

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sum = "9ea7778e443144ca490668737a8ab22dd3e748bb99e805e22ec055abeb3c7fac"

const twoStanzas = `Package: erlang-base
Source: erlang (1:27.3-1)
Version: 1:27.3-1+b2
Architecture: amd64
Description: with
 more lines
 .
  and blanks
DEPENDS: libc6 (>= 2.38),
 zlib1g
Provides: erlang-abi (= 17.0)
Essential: yes
Priority: optional
Filename: pool/main/e/erlang/erlang-base_27.3-1+b2_amd64.deb
Size: 12
SHA256: ` + sum + `


# a comment
Package: b
Version: 2
Architecture: all
Filename: pool/b.deb
Size: 1
SHA256: ` + sum

func TestReadStanzas(t *testing.T) {
	for _, end := range []string{"\n", "\r\n"} {
		var got []stanza
		err := readStanzas(strings.NewReader(strings.ReplaceAll(twoStanzas, "\n", end)), func(s *stanza) error {
			got = append(got, *s)
			return nil
		})
		want := []stanza{{
			name: "erlang-base", version: "1:27.3-1+b2", arch: "amd64", source: "erlang", sourceVersion: "1:27.3-1",
			priority: "optional", essential: true, path: "pool/main/e/erlang/erlang-base_27.3-1+b2_amd64.deb", size: 12,
			digest: "sha256:" + sum, depends: "libc6 (>= 2.38),\nzlib1g", provides: "erlang-abi (= 17.0)",
		}, {
			name: "b", version: "2", arch: "all", source: "b", sourceVersion: "2", path: "pool/b.deb", size: 1, digest: "sha256:" + sum,
		}}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(stanza{})); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	}
}

func TestReadStanzasRefuses(t *testing.T) {
	good := "Package: b\nVersion: 2\nArchitecture: all\nFilename: pool/b.deb\nSize: 1\nSHA256: " + sum + "\n"
	for _, tt := range []struct{ from, to, err string }{
		{"Package: b", "Package: ../b", "bad name"},
		{"Package: b", "Package:", "bad name"},
		{"Version: 2", "Version: 2 3", "version"},
		{"Version: 2\n", "", "version"},
		{"Architecture: all", "Architecture: a b", "architecture"},
		{"pool/b.deb", "/etc/passwd", "bad path"},
		{"pool/b.deb", "pool/../../b.deb", "bad path"},
		{"pool/b.deb", "pool/b.deb?x", "bad path"},
		{"Size: 1", "Size: 0", "bad size"},
		{"Size: 1", "Size: 99999999999999999999", "bad size"},
		{sum, sum[1:], "bad digest"},
		{sum, strings.ToUpper(sum), "bad digest"},
		{"Version: 2", "Version: 2\nSource: x (", "bad source"},
		{"Version: 2", "Version: 2\nVersion: 3", "stands twice"},
		{"Version: 2", "Version 2", "not a field"},
		{"Package: b", " b\nPackage: b", "continuation of no field"},
		{"Version: 2", "Version: " + strings.Repeat("2", longestLine+1), "line is too long"},
	} {
		err := readStanzas(strings.NewReader(strings.Replace(good, tt.from, tt.to, 1)), func(*stanza) error { return nil })
		if err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%.30q for %q: %v, want %q", tt.to, tt.from, err, tt.err)
		}
	}
	if err := readStanzas(strings.NewReader(good), func(*stanza) error { return nil }); err != nil {
		t.Error(err)
	}
}

func TestLongLines(t *testing.T) {
	long := strings.Repeat("x, ", 200<<10/3*2) + "y"
	in := fmt.Sprintf("Package: b\nVersion: 2\nDepends: %s\nArchitecture: all\nFilename: pool/b.deb\nSize: 1\nSHA256: %s\n", long, sum)
	err := readStanzas(strings.NewReader(in), func(s *stanza) error {
		if s.depends != long || s.arch != "all" {
			t.Errorf("%d bytes of depends, want %d", len(s.depends), len(long))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestUnpackIsBounded(t *testing.T) {
	for limit, fails := range map[int64]bool{9: true, 10: false, 11: false} {
		r, err := unpack(strings.NewReader("0123456789"), "", limit)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(r)
		if (err != nil) != fails {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
}

func FuzzReadStanzas(f *testing.F) {
	f.Add([]byte(twoStanzas))
	f.Add([]byte("Package: b\n\n\n a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		u := newUniverse("amd64")
		err := readStanzas(bytes.NewReader(data), func(s *stanza) error {
			if !isName(s.name) || !isPoolPath(s.path) || s.size <= 0 {
				t.Errorf("accepted %+v", s)
			}
			return u.add(s)
		})
		if err == nil {
			u.sort()
		}
	})
}

func BenchmarkReadStanzas(b *testing.B) {
	var index bytes.Buffer
	for i := range 68825 {
		fmt.Fprintf(&index, `Package: package-%d
Source: source-%d
Version: 1:%d.3.4.1+dfsg-1+deb13u3
Installed-Size: 24822
Maintainer: Some Team <some-team@lists.example>
Architecture: amd64
Depends: procps, adduser, libc6 (>= 2.38), libgcc-s1 (>= 12), libstdc++6 (>= 11), libsystemd0, zlib1g (>= 1:1.2.8)
Recommends: libsctp1 (>= 1.0.21+dfsg)
Description: a package that stands in for a real one
Multi-Arch: allowed
Homepage: https://www.example.org/
Description-md5: 05592e757f082a6d0a61fb86c3fb8cac
Tag: devel::interpreter, role::program, scope::utility, use::filtering, use::scanning,
 works-with::text, implemented-in::c, interface::commandline, uitoolkit::ncurses
Section: interpreters
Priority: optional
Filename: pool/main/s/source/package-%d_1.3.4.1+dfsg-1+deb13u3_amd64.deb
Size: 11425380
MD5sum: 35c7751ccebffb2695f43b341de03567
SHA256: %s

`, i, i/3, i%9, i, sum)
	}
	b.SetBytes(int64(index.Len()))
	b.ReportAllocs()
	for b.Loop() {
		u := newUniverse("amd64")
		if err := readStanzas(bytes.NewReader(index.Bytes()), u.add); err != nil {
			b.Fatal(err)
		}
		u.sort()
	}
}
