package debian_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
)

func TestFromBase(t *testing.T) {
	for base, want := range map[string]map[string][]string{
		"http://mirror.example":             {"debian": {"http://mirror.example/debian"}, "debian-security": {"http://mirror.example/debian-security"}},
		"https://mirror.example:8443/pub//": {"debian": {"https://mirror.example:8443/pub/debian"}, "debian-security": {"https://mirror.example:8443/pub/debian-security"}},
		"http://mirror.example/x/debian/":   {"debian": {"http://mirror.example/x/debian"}},
		"file:///srv/mirror":                {"debian": {"file:///srv/mirror/debian"}, "debian-security": {"file:///srv/mirror/debian-security"}},
	} {
		got, err := debian.FromBase(base)
		if diff := cmp.Diff(want, got.Archive); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", base, err, diff)
		}
	}
	for _, base := range []string{"", "mirror.example", "ftp://mirror.example", "http://", "file://host/x", "http://x/?y", "http://user:secret@x\n/"} {
		if _, err := debian.FromBase(base); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", base, err)
		}
	}
}

func TestCandidates(t *testing.T) {
	suites := []env.Suite{
		{Archive: "debian", Name: "trixie", Date: "2026-09-12T07:55:41Z"},
		{Archive: "debian-security", Name: "trixie-security", Date: "2026-11-21T00:53:03Z"},
	}
	pkg := env.Package{Archive: "debian", Suite: "trixie", Path: "pool/main/g/g++/g++_1%2~3.deb"}
	sec := env.Package{Archive: "debian-security", Suite: "trixie-security", Path: "pool/x.deb"}
	for _, tt := range []struct {
		name string
		m    debian.Mirrors
		p    env.Package
		want []string
	}{
		{"nothing configured", debian.Mirrors{}, pkg, []string{
			"https://snapshot.debian.org/archive/debian/20260912T195541Z/pool/main/g/g++/g++_1%252~3.deb",
			"https://snapshot.debian.org/archive/debian/20260912T075541Z/pool/main/g/g++/g++_1%252~3.deb"}},
		{"no snapshot", debian.Mirrors{Snapshot: "none"}, pkg, nil},
		{"two mirrors", debian.Mirrors{Archive: map[string][]string{"debian": {"http://a/debian", "http://b/debian/"}}, Snapshot: "none"}, pkg, []string{
			"http://a/debian/pool/main/g/g++/g++_1%252~3.deb", "http://b/debian/pool/main/g/g++/g++_1%252~3.deb"}},
		{"sibling", debian.Mirrors{Archive: map[string][]string{"debian": {"http://a/x/debian"}}, Snapshot: "https://old.example/archive/"}, sec, []string{
			"http://a/x/debian-security/pool/x.deb",
			"https://old.example/archive/debian-security/20261121T125303Z/pool/x.deb",
			"https://old.example/archive/debian-security/20261121T005303Z/pool/x.deb"}},
		{"own security archive", debian.Mirrors{Archive: map[string][]string{"debian": {"http://a/debian"}, "debian-security": {"http://s/sec"}}, Snapshot: "none"}, sec,
			[]string{"http://s/sec/pool/x.deb"}},
		{"then", debian.Mirrors{Archive: map[string][]string{"debian": {"http://a/debian"}}}.Then(
			debian.Mirrors{Archive: map[string][]string{"debian": {"http://a/debian", "http://b/debian"}, "debian-security": {"http://s/sec"}}, Snapshot: "none"}), sec,
			[]string{"http://a/debian-security/pool/x.deb", "http://s/sec/pool/x.deb"}},
	} {
		if diff := cmp.Diff(tt.want, tt.m.Candidates(tt.p, suites)); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
	}
}

func TestFromAPT(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  map[string][]string
		err   string
	}{
		{name: "no apt", want: map[string][]string{}},
		{name: "one-line", files: map[string]string{"sources.list": `
# deb http://off.example/debian trixie main
deb http://one.example/debian trixie main contrib # comment
deb-src http://one.example/debian trixie main
deb [ arch=amd64,arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg ] http://one.example/debian/ trixie-updates main
deb	http://sec.example/debian-security	trixie-security	main
deb http://old.example/sec bullseye/updates main
deb cdrom:[Debian GNU/Linux 13]/ trixie main
deb mirror+file:/etc/apt/mirrors trixie main
deb file:/srv/debian trixie-backports main
deb http://third.example/apt trixie-thing main
deb http://third.example/apt trixie stable
deb [signed-by=/usr/share/keyrings/third.gpg] http://third.example/apt trixie main
deb http://$(ARCH).example/debian trixie main
`}, want: map[string][]string{"debian": {"http://one.example/debian", "file:///srv/debian"}, "debian-security": {"http://sec.example/debian-security", "http://old.example/sec"}}},
		{name: "deb822", files: map[string]string{
			"sources.list.d/debian.sources": "Types: deb deb-src\nURIs: http://one.example/debian\n http://two.example/debian\nSuites: trixie trixie-updates\nComponents: main\n" +
				"Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n# off\nTypes: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\n\n" +
				"Types: deb\nURIs: http://one.example/debian-security\nSuites: trixie-security\nComponents: main\n",
			"sources.list.d/third.sources": "Types: deb\nURIs: http://third.example/apt\nSuites: trixie\nComponents: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n x\n",
			"sources.list.d/src.sources":   "Types: deb-src\nURIs: http://src.example/debian\nSuites: trixie\nComponents: main\n",
			"sources.list.d/old.list.save": "deb http://save.example/debian trixie main\n",
			"sources.list.d/bad name.list": "deb http://space.example/debian trixie main\n",
		}, want: map[string][]string{"debian": {"http://one.example/debian", "http://two.example/debian"}, "debian-security": {"http://one.example/debian-security"}}},
		{name: "unknown type", files: map[string]string{"sources.list": "dab http://x y main"}, err: "line 1: unknown type"},
		{name: "open options", files: map[string]string{"sources.list": "\ndeb [arch=amd64 http://x y main"}, err: "line 2: options"},
		{name: "no suite", files: map[string]string{"sources.list": "deb http://x"}, err: "want a URI"},
		{name: "no field", files: map[string]string{"sources.list.d/x.sources": "Types: deb\nnonsense\n"}, err: "x.sources: line 2"},
		{name: "too large", files: map[string]string{"sources.list": strings.Repeat("# \n", 1<<19)}, err: "too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			for name, data := range tt.files {
				path := filepath.Join(root, "etc/apt", name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := debian.FromAPT(root)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got.Archive); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
		})
	}
}

func FuzzFromAPT(f *testing.F) {
	f.Add("deb [a=b] http://x y main", "Types: deb\nURIs: http://x\nSuites: trixie\nComponents: main\n")
	f.Fuzz(func(t *testing.T, list, sources string) {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "etc/apt/sources.list.d"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, data := range map[string]string{"sources.list": list, "sources.list.d/x.sources": sources} {
			if err := os.WriteFile(filepath.Join(root, "etc/apt", name), []byte(data), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		m, err := debian.FromAPT(root)
		for archive, bases := range m.Archive {
			for _, base := range bases {
				if err == nil && !strings.HasPrefix(base, "http://") && !strings.HasPrefix(base, "https://") && !strings.HasPrefix(base, "file:///") &&
					!strings.HasPrefix(strings.ToLower(base), "http") {
					t.Errorf("%s: base %q", archive, base)
				}
			}
		}
	})
}

func TestCandidatesAreAskedOnce(t *testing.T) {
	m := debian.Mirrors{Archive: map[string][]string{debian.MainArchive: {"http://a.example/debian/", "http://b.example/debian", "http://a.example/debian"}}, Snapshot: "none"}
	got := m.Candidates(env.Package{Archive: debian.MainArchive, Suite: "trixie", Path: "pool/x.deb"}, []env.Suite{{Archive: debian.MainArchive, Name: "trixie", Date: "2026-09-12T07:55:41Z"}})
	want := []string{"http://a.example/debian/pool/x.deb", "http://b.example/debian/pool/x.deb"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
