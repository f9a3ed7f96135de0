package npm

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
)

// sha512 is an integrity of 64 equal bytes.
func sha512(b byte) string {
	return "sha512-" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(b)), 64)))
}

func sum(b byte) digest.Digest {
	return digest.NewDigestFromBytes(digest.SHA512, []byte(strings.Repeat(string(rune(b)), 64)))
}

// lock is a package-lock.json with the given members of packages.
func lock(packages ...string) []byte {
	return []byte(`{"name": "x", "lockfileVersion": 3, "requires": true, "packages": {` + strings.Join(packages, ",") + `}}`)
}

// member is a package with an integrity, and further fields.
func member(key, version, more string) string {
	if more != "" {
		more = ", " + more
	}
	return fmt.Sprintf(`%q: {"version": %q, "integrity": %q%s}`, key, version, sha512('a'), more)
}

func tree(t *testing.T, p env.Platform, packages ...string) (Tree, error) {
	t.Helper()
	l, err := Parse("assets/package-lock.json", lock(packages...))
	if err != nil {
		return Tree{}, err
	}
	return l.Tree("assets", p)
}

func TestTree(t *testing.T) {
	got, err := tree(t, env.LinuxAMD64,
		`"": {"dependencies": {"a": "^1.0.0", "@s/b": "2", "alias": "npm:other@3.0.0", "phoenix": "file:../deps/phoenix"}}`,
		member("node_modules/a", "1.0.0", `"resolved": "https://npm.example.org/a/-/a-1.0.0.tgz", "bin": {"a": "./bin/a.js", "../../evil": "../../x", "shared": "a.js"}, "hasInstallScript": true`),
		member("node_modules/a/node_modules/@s/b", "1.0.0", `"bin": {"b": "b.js"}, "resolved": "https://npm.acme.example/b.tgz?x=1"`),
		member("node_modules/@s/b", "2.0.0", `"bin": {"shared": "b.js"}`),
		member("node_modules/alias", "3.0.0", `"name": "other", "bin": {"other": "index.js"}`),
		`"node_modules/a/node_modules/inside": {"version": "0.1.0", "inBundle": true, "bin": {"inside": "cli.js"}}`,
		`"node_modules/phoenix": {"resolved": "../deps/phoenix", "link": true}`,
		`"../deps/phoenix": {"version": "1.7.0", "bin": {"phx": "phx.js"}}`,
	)
	if err != nil {
		t.Fatal(err)
	}
	want := Tree{
		Packages: []Package{
			{Path: "assets/node_modules/@s/b", Name: "@s/b", Version: "2.0.0", URL: "npm:@s/b/-/b-2.0.0.tgz", Integrity: sum('a'), Executables: []string{"b.js"}},
			{
				Path: "assets/node_modules/a", Name: "a", Version: "1.0.0", URL: "https://npm.example.org/a/-/a-1.0.0.tgz", Integrity: sum('a'),
				Executables: []string{"a.js", "bin/a.js", "node_modules/inside/cli.js", "x"}, Script: true,
			},
			{Path: "assets/node_modules/a/node_modules/@s/b", Name: "@s/b", Version: "1.0.0", URL: "https://npm.acme.example/b.tgz?x=1", Integrity: sum('a'), Executables: []string{"b.js"}},
			{Path: "assets/node_modules/alias", Name: "other", Version: "3.0.0", URL: "npm:other/-/other-3.0.0.tgz", Integrity: sum('a'), Executables: []string{"index.js"}},
		},
		Links: []Link{
			{Path: "assets/node_modules/.bin/a", Target: "../a/bin/a.js"},
			{Path: "assets/node_modules/.bin/evil", Target: "../a/x"},
			{Path: "assets/node_modules/.bin/other", Target: "../alias/index.js"},
			{Path: "assets/node_modules/.bin/phx", Target: "../phoenix/phx.js"},
			{Path: "assets/node_modules/.bin/shared", Target: "../@s/b/b.js"}, // the first by path
			{Path: "assets/node_modules/a/node_modules/.bin/b", Target: "../@s/b/b.js"},
			{Path: "assets/node_modules/a/node_modules/.bin/inside", Target: "../inside/cli.js"},
			{Path: "assets/node_modules/phoenix", Target: "../../deps/phoenix"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What npm leaves out on a platform goes with all that only it needs.
func TestTreeOfPlatform(t *testing.T) {
	packages := []string{
		`"": {"dependencies": {"a": "1"}, "optionalDependencies": {"fsevents": "2", "wrapper": "1"}, "devDependencies": {"d": "1"}}`,
		member("node_modules/a", "1.0.0", `"dependencies": {"kept": "1"}, "optionalDependencies": {"a-arm": "1", "a-x64": "1", "a-musl": "1", "a-glibc": "1"}`),
		member("node_modules/a-arm", "1.0.0", `"optional": true, "os": ["linux"], "cpu": ["arm64"]`),
		member("node_modules/a-x64", "1.0.0", `"optional": true, "os": ["!win32", "!darwin"], "cpu": "x64"`),
		member("node_modules/a-musl", "1.0.0", `"optional": true, "libc": ["musl"]`),
		member("node_modules/a-glibc", "1.0.0", `"optional": true, "libc": ["glibc"], "os": ["any"]`),
		member("node_modules/fsevents", "2.0.0", `"optional": true, "os": ["darwin"], "dependencies": {"kept": "1", "nan": "1"}`),
		member("node_modules/nan", "1.0.0", `"optional": true, "dependencies": {"deep": "1"}`),
		member("node_modules/deep", "1.0.0", `"optional": true`),
		member("node_modules/kept", "1.0.0", ""),
		member("node_modules/wrapper", "1.0.0", `"optional": true, "dependencies": {"native": "1"}`),
		member("node_modules/native", "1.0.0", `"optional": true, "os": ["win32"]`),
		member("node_modules/d", "1.0.0", `"dev": true, "peerDependencies": {"fsevents": "2"}, "peerDependenciesMeta": {"fsevents": {"optional": true}}`),
	}
	for p, want := range map[env.Platform]string{
		env.LinuxAMD64: "a a-glibc a-x64 d kept",
		env.LinuxARM64: "a a-arm a-glibc d kept",
	} {
		got, err := tree(t, p, packages...)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range got.Packages {
			names = append(names, p.Name)
		}
		if strings.Join(names, " ") != want {
			t.Errorf("%s: %v, want %s", p, names, want)
		}
	}
	_, err := tree(t, env.LinuxARM64, `"": {}`, member("node_modules/a", "1.0.0", `"cpu": ["x64", "ia32"]`))
	if err == nil || !strings.Contains(err.Error(), "a 1.0.0 is not for linux/arm64 (cpu x64, ia32), and is not optional") {
		t.Error(err)
	}
}

func TestRefused(t *testing.T) {
	root := `"": {}`
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"no JSON", []byte("{"), "unexpected end of JSON"},
		{"version 1", []byte(`{"lockfileVersion": 1, "dependencies": {}}`), "lockfileVersion 1: want 2 or 3"},
		{"no version", []byte(`{}`), "lockfileVersion : want 2 or 3"},
		{"no packages", []byte(`{"lockfileVersion": 3}`), "packages: "},
		{"no project", lock(member("node_modules/a", "1.0.0", "")), "the project itself is missing"},
		{"git", lock(root, `"node_modules/a": {"version": "1.0.0", "resolved": "git+ssh://git@github.com/a/a.git#0123"}`), "node_modules/a: comes from git"},
		{"file", lock(root, `"node_modules/a": {"version": "1.0.0", "resolved": "file:a.tgz", "integrity": "sha512-"}`), `resolved "file:a.tgz": want the address of a tarball`},
		{"password", lock(root, member("node_modules/a", "1.0.0", `"resolved": "https://me:secret@npm.example/a.tgz"`)), "no URL, or one with a user"},
		{"no integrity", lock(root, `"node_modules/a": {"version": "1.0.0"}`), "node_modules/a: no integrity"},
		{"sha1", lock(root, `"node_modules/a": {"version": "1.0.0", "integrity": "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk="}`), "integrity is a sha1, which proves nothing"},
		{"short", lock(root, `"node_modules/a": {"version": "1.0.0", "integrity": "sha512-AAAA"}`), "not a sha512"},
		{"no version of a package", lock(root, fmt.Sprintf(`"node_modules/a": {"integrity": %q}`, sha512('a'))), "node_modules/a: no version"},
		{"version is a path", lock(root, member("node_modules/a", "../../x", "")), `version "../../x"`},
		{"name is a path", lock(root, member("node_modules/a", "1.0.0", `"name": "../x"`)), `name "../x"`},
		{"absolute key", lock(root, member("/node_modules/a", "1.0.0", "")), "is no place of a package"},
		{"key is not clean", lock(root, member("node_modules/../a", "1.0.0", "")), "is no place of a package"},
		{"two names in a key", lock(root, member("node_modules/a/b", "1.0.0", "")), "is no place of a package"},
		{"folder below a package", lock(root, member("node_modules/a/lib/node_modules/b", "1.0.0", "")), "is no place of a package"},
		{"dot", lock(root, member("node_modules/.bin", "1.0.0", "")), "is no place of a package"},
		{"outside", lock(root, member("../../node_modules/a", "1.0.0", "")), "lies outside the project"},
		{"link outside", lock(root, `"node_modules/a": {"resolved": "../../a", "link": true}`), `link to "../../a": lies outside the project`},
		{"link to a URL", lock(root, `"node_modules/a": {"resolved": "https://example.org", "link": true}`), "want a folder of the project"},
		{"wrong type", lock(root, member("node_modules/a", "1.0.0", `"bin": [1]`)), "bin: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := Parse("assets/package-lock.json", tt.data)
			if err == nil {
				_, err = l.Tree("assets", env.LinuxAMD64)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "assets/package-lock.json: ") || strings.Contains(err.Error(), "secret") {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

func TestRegistry(t *testing.T) {
	here := Registry{Base: "https://npm.acme.example/root"}
	for from, want := range map[string]string{
		"npm:@a/b/-/b-1.0.0.tgz":                         "https://npm.acme.example/root/@a/b/-/b-1.0.0.tgz",
		"https://npm.example.org/a/-/a-1.0.0.tgz":        "https://npm.acme.example/root/a/-/a-1.0.0.tgz https://npm.example.org/a/-/a-1.0.0.tgz",
		"http://npm.example.org/x/y/@a/b/-/b-1.0.0.tgz":  "https://npm.acme.example/root/@a/b/-/b-1.0.0.tgz http://npm.example.org/x/y/@a/b/-/b-1.0.0.tgz",
		"https://npm.acme.example/root/a/-/a-1.0.0.tgz":  "https://npm.acme.example/root/a/-/a-1.0.0.tgz",
		"https://example.org/a.tgz":                      "https://example.org/a.tgz",
		"https://example.org/download/a/-/../../evil.sh": "https://example.org/download/a/-/../../evil.sh",
	} {
		if got, err := here.Locate(from); err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s is at %q, %v, want %s", from, got, err, want)
		}
	}
	if got, err := (Registry{}).Locate("https://npm.example.org/a/-/a-1.0.0.tgz"); err != nil || len(got) != 1 {
		t.Errorf("without a registry: %q, %v", got, err)
	}
	if _, err := (Registry{}).Locate("npm:a/-/a-1.0.0.tgz"); !errors.Is(err, ErrNoRegistry) {
		t.Errorf("without a registry: %v", err)
	}
	asked := Registry{Ask: func() (string, error) { return "https://npm.acme.example/", nil }}
	if got, err := asked.Locate("npm:a/-/a-1.0.0.tgz"); err != nil || got[0] != "https://npm.acme.example/a/-/a-1.0.0.tgz" {
		t.Errorf("asked: %q, %v", got, err)
	}
	for address, want := range map[string]string{
		"npm:@esbuild/linux-x64/-/linux-x64-0.25.4.tgz": "@esbuild/linux-x64 0.25.4",
		"npm:sass/-/sass-1.0.0-rc.1.tgz":                "sass 1.0.0-rc.1",
		"npm:sass/-/other-1.0.0.tgz":                    "",
		"https://example.org/sass/-/sass-1.0.0.tgz":     "",
	} {
		name, version, ok := PackageAt(address)
		if got := strings.TrimSpace(name + " " + version); ok != (want != "") || ok && got != want {
			t.Errorf("%s is %q, %v, want %q", address, got, ok, want)
		}
	}
	for base, ok := range map[string]bool{
		"https://npm.acme.example": true, "http://127.0.0.1:4873/": true, "npm.acme.example": false,
		"ftp://npm.acme.example": false, "https://npm.acme.example?x": false, "https://me:secret@[": false,
	} {
		if err := CheckBase(base); (err == nil) != ok || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", base, err)
		}
	}
}

func TestMetadata(t *testing.T) {
	data := func(name, integrity string) []byte {
		return fmt.Appendf(nil, `{"name": %q, "version": "1.0.0", "dist": {"shasum": "x", "integrity": %q}}`, name, integrity)
	}
	if d, err := parseMetadata(data("a", "sha1-xx "+sha512('b')+"?opt"), "a", "1.0.0"); err != nil || d != sum('b') {
		t.Errorf("%s, %v", d, err)
	}
	if d, err := parseMetadata(data("a", ""), "a", "1.0.0"); err != nil || d != "" {
		t.Errorf("%s, %v", d, err)
	}
	for _, bad := range [][]byte{data("b", sha512('b')), data("a", "sha512-x"), []byte("[]"), []byte("<html>")} {
		if d, err := parseMetadata(bad, "a", "1.0.0"); err == nil {
			t.Errorf("%s gave %s", bad, d)
		}
	}
}
