package npm

import (
	"archive/tar"
	"path"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
)

// Whatever a lock says, no path of its tree leads out of the project, and
// every package has a sha512.
func FuzzLock(f *testing.F) {
	f.Add(lock(`"": {"dependencies": {"a": "1"}}`, member("node_modules/a", "1.0.0", `"bin": "x.js", "os": ["!win32"], "optional": true`), `"node_modules/b": {"resolved": "../deps/b", "link": true}`, `"../deps/b": {"version": "1.0.0"}`))
	f.Add(lock(`"": {"optionalDependencies": {"a": "1"}}`, member("node_modules/a", "1.0.0", `"os": ["aix"], "optional": true, "dependencies": {"b": "1"}`), member("node_modules/a/node_modules/b", "1.0.0", `"inBundle": true, "bin": {"b": "../b"}, "optional": true`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse("package-lock.json", data)
		if err != nil {
			return
		}
		for _, p := range env.Platforms() {
			tree, err := l.Tree("assets/js", p)
			if err != nil {
				continue
			}
			if again, _ := l.Tree("assets/js", p); !reflect.DeepEqual(tree, again) {
				t.Fatalf("two trees of one lock:\n%+v\n%+v", tree, again)
			}
			for _, pkg := range tree.Packages {
				if !local(pkg.Path) || pkg.Integrity.Algorithm() != digest.SHA512 || pkg.Integrity.Validate() != nil || !strings.HasPrefix(pkg.URL, "http") && !strings.HasPrefix(pkg.URL, env.NPM) {
					t.Fatalf("%+v", pkg)
				}
				for _, file := range pkg.Executables {
					if !local(file) {
						t.Fatalf("%+v", pkg)
					}
				}
			}
			for _, link := range tree.Links {
				if !local(link.Path) || path.IsAbs(link.Target) || !local(path.Join(path.Dir(link.Path), link.Target)) {
					t.Fatalf("%+v", link)
				}
			}
		}
	})
}

func local(p string) bool {
	return p != "" && path.Clean(p) == p && !path.IsAbs(p) && p != ".." && !strings.HasPrefix(p, "../")
}

func FuzzUnpack(f *testing.F) {
	f.Add(pack(f, tar.Header{Name: "package/a", Linkname: "#!x\r\n"}, tar.Header{Name: "package/.gitignore", Linkname: "x"}))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := unpack(t, data, "a")
		if err != nil {
			return
		}
		for name := range got {
			if !local(name) {
				t.Fatalf("%q", name)
			}
		}
	})
}

func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"name": "a", "version": "1.0.0", "dist": {"integrity": "` + sha512('b') + `"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parseMetadata(data, "a", "1.0.0")
		if err == nil && d != "" && (d.Algorithm() != digest.SHA512 || d.Validate() != nil) {
			t.Fatalf("%q", d)
		}
	})
}
