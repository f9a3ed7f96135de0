package configure

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/internal/tarball"
)

type failing struct{ err error }

func (f failing) Add(tarball.Entry, io.Reader) error { return f.err }

func TestOrder(t *testing.T) {
	names := func(ps []Package) string {
		var all []string
		for _, p := range ps {
			all = append(all, p.Name)
		}
		return strings.Join(all, " ")
	}
	for _, tt := range []struct {
		name string
		in   []Package
		want string
	}{
		{"by name", []Package{{Name: "b"}, {Name: "a"}}, "a b"},
		{"dependency first", []Package{{Name: "a", Depends: []string{"z"}}, {Name: "z"}}, "z a"},
		{"what is not here", []Package{{Name: "a", Depends: []string{"libc6"}}}, "a"},
		{"cycle", []Package{{Name: "c", Depends: []string{"b"}}, {Name: "b", Depends: []string{"c", "d"}}, {Name: "d"}, {Name: "a", Depends: []string{"c"}}}, "d b c a"},
		{"base-files before all", []Package{{Name: "a"}, {Name: "base-files", Depends: []string{"mawk"}}, {Name: "mawk"}}, "base-files mawk a"},
		{"itself", []Package{{Name: "a", Depends: []string{"a"}}}, "a"},
	} {
		got, err := order(tt.in)
		if err != nil || names(got) != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.name, names(got), err, tt.want)
		}
	}
	if _, err := order([]Package{{Name: "a"}, {Name: "a"}}); err == nil {
		t.Error("a package twice is taken")
	}
}

func TestCompareVersions(t *testing.T) {
	ascending := []string{"0~~", "0~", "0", "1.0~rc1-1", "1.0-1", "1.0-1+b1", "1.0-1.1", "1.0-10", "1.0a-1", "1.0.1-1", "1.2", "1.10", "1:0.1", "2:0"}
	for i, a := range ascending {
		for j, b := range ascending {
			got := compareVersions(a, b)
			if (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s and %s: %d", a, b, got)
			}
		}
	}
	for _, tt := range []struct {
		a, op, b string
		want     bool
	}{
		{"", "lt", "1", true}, {"", "lt-nl", "1", false}, {"", "gt-nl", "1", true}, {"1", "le", "", false},
		{"", "eq", "", true}, {"1.0", "eq", "1.00", true}, {"2", ">>", "1", true}, {"1", "<=", "1", true}, {"1", "ne", "1", false},
	} {
		if got, ok := versionHolds(tt.a, tt.op, tt.b); got != tt.want || !ok {
			t.Errorf("%q %s %q: %v, %v", tt.a, tt.op, tt.b, got, ok)
		}
	}
}

func TestSed(t *testing.T) {
	for _, tt := range []struct {
		script, in, want string
		quiet, extended  bool
	}{
		{script: `s/a/b/`, in: "aa\na\n", want: "ba\nb\n"},
		{script: `s/a/b/g;s|b\(c\)*|<&\1>|2`, in: "abab\n", want: "b<b>bb\n"},
		{script: `s/\(DIR=\)\{1,2\}/[\1]/p`, in: "xDIR=y\nz\n", want: "x[DIR=]y\n", quiet: true},
		{script: `2,3d`, in: "1\n2\n3\n4\n", want: "1\n4\n"},
		{script: `/b/,/c/p;$!d`, in: "a\nb\nx\nc\nd\n", want: "b\nx\nc\nd\n"},
		{script: `1,/x/d`, in: "x\ny\nx\nz\n", want: "z\n"},
		{script: "\\' /etc/x ' { s/ obsolete$//; s/.* //; p }", in: " /etc/x abc obsolete\n /etc/y q\n", want: "abc\n", quiet: true},
		{script: `/^#/b`, in: "", want: "error"},
		{script: `$a\`, in: "no newline", want: "no newline\n"},
		{script: `s/x/y/`, in: "no newline", want: "no newline"},
		{script: `s/(a|b)+/\U/`, in: "", want: "U", extended: true},
		{script: `a after`, in: "x\n", want: "x\nafter\n"},
		{script: `y/abc/xyz/;q`, in: "cab\nq\n", want: "zxy\n"},
		{script: `s/^[[:space:]]*2[[:space:]]*//`, in: "      2 a\n", want: "a\n"},
		{script: `s/*/x/;s/[]]/y/;s/[^/]*$//`, in: "a*]/b\n", want: "axy/\n"},
	} {
		got, err := runSed(tt.script, tt.extended, tt.quiet, []byte(tt.in))
		if tt.want == "error" {
			if err == nil {
				t.Errorf("%s: taken", tt.script)
			}
			continue
		}
		if tt.in == "" {
			continue // only that it parses
		}
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.script, got, err, tt.want)
		}
	}
}

func TestModes(t *testing.T) {
	for _, tt := range []struct {
		mode string
		old  uint32
		dir  bool
		want uint32
	}{
		{"755", 0o4000, false, 0o755}, {"755", 0o2000, true, 0o2755}, {"02775", 0, true, 0o2775},
		{"u+s,go-w", 0o777, false, 0o4755}, {"a+X", 0o644, false, 0o644}, {"+x", 0o644, false, 0o755},
		{"g=u", 0o750, false, 0o770}, {"=", 0o777, false, 0}, {"1777", 0, true, 0o1777},
	} {
		if got, ok := parseModeFor(tt.mode, tt.old, tt.dir); !ok || got != tt.want {
			t.Errorf("%s on %o: %o, %v; want %o", tt.mode, tt.old, got, ok, tt.want)
		}
	}
	for _, bad := range []string{"", "99", "u+q", "x", "77777"} {
		if _, ok := parseModeFor(bad, 0, false); ok {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestCompareLibraries(t *testing.T) {
	descending := []string{"libz.so.10", "libz.so.9", "libz.so", "libstdc++.so.6", "libssl.so.3", "libc2.so", "libc.so.6"}
	for i := 1; i < len(descending); i++ {
		if compareLibraries(descending[i-1], descending[i]) <= 0 {
			t.Errorf("%s is not after %s", descending[i-1], descending[i])
		}
	}
}

// The bytes are what ldconfig of glibc 2.41 writes for the same libraries.
func TestEncodeCache(t *testing.T) {
	got := encodeCache([]library{{key: "libz.so.1", path: "/lib/libz.so.1"}, {key: "liba.so", path: "/lib/liba.so"}}, 0x0303, "ldconfig")
	var want bytes.Buffer
	want.WriteString("glibc-ld.so.cache1.1\x02\x00\x00\x00\x1c\x00\x00\x00\x02\x00\x00\x00\x7c\x00\x00\x00")
	want.Write(make([]byte, 12))
	entry := func(key, value byte) {
		want.Write([]byte{3, 3, 0, 0, key, 0, 0, 0, value, 0, 0, 0})
		want.Write(make([]byte, 12))
	}
	const strs = 48 + 2*24
	entry(strs+13+5, strs+13)
	entry(strs+5, strs)
	want.WriteString("/lib/liba.so\x00/lib/libz.so.1\x00")
	want.WriteString("\x74\x21\xa4\xea\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x94\x00\x00\x00\x08\x00\x00\x00ldconfig")
	if diff := cmp.Diff(want.Bytes(), got); diff != "" {
		t.Error(diff)
	}
}

func TestSysusers(t *testing.T) {
	got, _, err := configureTree(t, map[string]string{
		info + "p.postinst":         "#!/bin/sh\nsystemd-sysusers p.conf\n",
		"usr/lib/sysusers.d/p.conf": "# c\nu! messagebus - \"System Message Bus\" - -\ng extra 77\nm messagebus extra\n",
		"etc/passwd":                "root:x:0:0:root:/root:/bin/sh\n",
		"etc/group":                 "root:x:0:\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nmessagebus:*:997:997:System Message Bus:/:/usr/sbin/nologin\n",
		"etc/group":  "root:x:0:\nmessagebus:*:997:\nextra:*:77:messagebus\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
