package git

import (
	"bytes"
	"compress/zlib"
	"io"
	"path"
	"strings"
	"testing"
)

func TestParseModules(t *testing.T) {
	got, err := parseModules([]byte("\ufeff; a comment\n[core]\n\tpath = no\n[Submodule \"a \\\"b\\\\\"]\n\tPATH = deps/a # no\n url = \"https://h/x;y\" ; no\n" +
		"\tshallow\n[submodule \"c\"]\r\n\tpath = \"d e\" f \r\n\turl = ../\\\n  x\\ty\n\tupdate = none\n[submodule \"empty\"]"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]submodule{
		"deps/a": {path: "deps/a", url: "https://h/x;y"},
		"d e f":  {path: "d e f", url: "../  x\ty", skip: true},
	}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for p, m := range want {
		if got[p] != m {
			t.Errorf("%s: got %+v, want %+v", p, got[p], m)
		}
	}
	for text, why := range map[string]string{
		"[submodule \"a\"]\npath = ../x":                       "line 2: its path",
		"[submodule \"a\"]\npath = /x":                         "its path",
		"[submodule \"a\"]\npath=x\n[submodule \"b\"]\npath=x": "two submodules",
		"[submodule \"a":                                       "without its end",
		"[submodule":                                           "without its end",
		"=":                                                    "neither a section nor a key",
		"[submodule \"a\"]\npath = \"x":                        "closing quote",
		"[submodule \"a\"]\npath = \\x":                        "unknown escape",
		"[submodule \"a\"]\npath = x\nupdate = !rm":            "runs a command",
		strings.Repeat("\n", maxModulesFile+1):                 "longer than",
	} {
		if _, err := parseModules([]byte(text)); err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(why, "line 2: ")) {
			t.Errorf("%.40q: got %v, want %q", text, err, why)
		}
	}
}

func TestRelativeURL(t *testing.T) {
	for _, tt := range []struct{ parent, url, want string }{
		{"https://h.example/a/b.git", "../c.git", "https://h.example/a/c.git"},
		{"https://h.example/a/b.git/", "../../c.git/", "https://h.example/c.git"},
		{"https://h.example/a/b.git", "./c", "https://h.example/a/b.git/c"},
		{"git@h.example:a/b.git", "../c.git", "git@h.example:a/c.git"},
		{"git@h.example:b.git", "../c.git", "git@h.example:c.git"},
		{"/srv/a", "../b", "/srv/b"},
		{"https://h.example/b.git", "../../c.git", ""},
		{"git@h.example:b.git", "../../c.git", ""},
		{"https://h.example/b.git", "../../../../c.git", ""},
	} {
		got, err := relativeURL(tt.parent, tt.url)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s from %s: got %q, %v; want %q", tt.url, tt.parent, got, err, tt.want)
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"fatal: unable to access 'https://u:p%40ss@h.example/x': 403": "fatal: unable to access 'https://***@h.example/x': 403",
		"https://token@h https://h/a@b":                               "https://***@h https://h/a@b",
		"ssh://git@h:22/x":                                            "ssh://***@h:22/x",
	} {
		if got := Redact(in); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestLooseObject(t *testing.T) {
	for _, n := range []int{0, 1, 65535, 65536, 200000} {
		data := bytes.Repeat([]byte{7}, n)
		r, err := zlib.NewReader(bytes.NewReader(looseObject(data)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: %d, %v", n, len(got), err)
		}
	}
}

func FuzzParseModules(f *testing.F) {
	f.Add([]byte("[submodule \"a\"]\n\tpath = deps/a\n\turl = ../a # x\n"))
	f.Add([]byte("[submodule \"a\\\"\"]\npath=\"x\\\ny\"\nupdate\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		modules, err := parseModules(data)
		if err != nil {
			return
		}
		for p, m := range modules {
			if p != m.path || path.IsAbs(p) || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../") {
				t.Errorf("path %q of %+v", p, m)
			}
		}
	})
}

func FuzzParseTree(f *testing.F) {
	f.Add([]byte("100644 a\x00aaaaaaaaaaaaaaaaaaaa40000 b\x00bbbbbbbbbbbbbbbbbbbb"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parseTree(data, 20)
		if err != nil {
			return
		}
		for _, e := range entries {
			if path.Join("x", e.name) != "x/"+e.name || !validID(e.id) || strings.EqualFold(e.name, ".git") {
				t.Errorf("entry %+v", e)
			}
		}
	})
}

func FuzzURL(f *testing.F) {
	for _, s := range []string{"https://u:p@h/x", "git@h:x", "ext::x", "/x", "-x", "ssh://h"} {
		f.Add(s, "../y")
	}
	f.Fuzz(func(t *testing.T, url, relative string) {
		if checkURL(url) != nil {
			return
		}
		if m := schemeForm.FindString(url); m != "" {
			authority, _, _ := strings.Cut(url[len(m):], "/")
			if i := strings.LastIndexByte(authority, '@'); i >= 0 && strings.Contains(authority[:i], ":") {
				t.Errorf("%q has a password", url)
			}
		}
		if out, err := relativeURL(url, relative); err == nil && strings.HasPrefix(url, "https://") && !strings.HasPrefix(out, "https://") {
			t.Errorf("%q from %q is %q", relative, url, out)
		}
	})
}
