package debian_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/internal/fixture"
)

// mini is a mirror in a directory with what the tests need of Debian.
type mini struct {
	t       testing.TB
	archive *fixture.Archive
	keys    []byte
	dir     string
}

func newMini(t testing.TB) *mini {
	a, keys := newArchive(t)
	return &mini{t, a, keys, t.TempDir()}
}

// pkg writes a control paragraph: name, version, architecture, other fields.
func pkg(name, version, arch string, fields ...string) fixture.ArchivePackage {
	return fixture.ArchivePackage{Control: strings.Join(append([]string{
		"Package: " + name, "Version: " + version, "Architecture: " + arch, "Description: x\n y"}, fields...), "\n")}
}

// both makes a package for each architecture.
func both(name, version string, fields ...string) []fixture.ArchivePackage {
	return []fixture.ArchivePackage{pkg(name, version, "amd64", fields...), pkg(name, version, "arm64", fields...)}
}

func openssl(version string) []fixture.ArchivePackage {
	return slices.Concat(both("libssl3t64", version, "Source: openssl", "Depends: libc6 (>= 2.38)"),
		both("openssl", version, "Depends: libssl3t64 (>= 3.5)"))
}

func erlang(version string) []fixture.ArchivePackage {
	return slices.Concat(
		both("erlang-base", version, "Source: erlang", "Depends: libc6, awk", "Provides: erlang-abi (= 17)"),
		both("erlang-crypto", version, "Source: erlang", "Depends: erlang-base (= "+version+"), libssl3t64 (>= 3.5)"))
}

func base() []fixture.ArchivePackage {
	return slices.Concat(
		[]fixture.ArchivePackage{
			pkg("base-files", "13", "all", "Essential: yes", "Pre-Depends: awk"),
			pkg("elixir", "1.18.3.dfsg-1", "all", "Source: elixir-lang", "Depends: erlang-base (>= 1:27), erlang-crypto, erlang-abi (>= 17)"),
			pkg("only-amd64", "1", "amd64"),
		},
		both("mawk", "1.3", "Provides: awk", "Priority: required"), both("gawk", "5", "Provides: awk"), both("libc6", "2.41-12", "Source: glibc"),
		openssl("3.5.6-1"), erlang("1:27.3.4.1+dfsg-1"))
}

func (m *mini) publish(archive, name string, date time.Time, packages ...[]fixture.ArchivePackage) {
	m.t.Helper()
	m.archive.Add(fixture.ArchiveSuite{Archive: archive, Name: name, Date: date, ValidUntil: date.AddDate(0, 0, 7), Packages: slices.Concat(packages...)})
	if err := m.archive.Write(m.dir); err != nil {
		m.t.Fatal(err)
	}
}

func (m *mini) at(base string) *debian.Archive {
	m.t.Helper()
	mirrors, err := debian.FromBase(base)
	if err != nil {
		m.t.Fatal(err)
	}
	mirrors.Snapshot = "none"
	return &debian.Archive{Mirrors: mirrors, Keyring: m.keys, Fetch: &fetch.Client{Retries: -1}}
}

func (m *mini) local() *debian.Archive { return m.at("file://" + m.dir) }

func request() debian.Request {
	sets := map[string][]string{"toolchain": {"elixir", "erlang-crypto"}, "image": {"libssl3t64 (>= 3)", "awk"}}
	return debian.Request{
		Manifest: digest.FromString("manifest"), Suite: "trixie", Now: day.Add(time.Hour), Essential: true,
		Sets: map[env.Platform]map[string][]string{env.LinuxAMD64: sets, env.LinuxARM64: sets},
	}
}

func standard(t testing.TB) *mini {
	m := newMini(t)
	m.publish("debian", "trixie", day.AddDate(0, -2, 0).AddDate(0, 0, 60), base())
	m.publish("debian-security", "trixie-security", day, openssl("3.5.7-1~deb13u1"))
	return m
}

func resolve(t testing.TB, a *debian.Archive, req debian.Request) debian.Result {
	t.Helper()
	res, err := a.Resolve(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Lock.Validate(); err != nil {
		t.Fatal(err)
	}
	return res
}

func versions(l env.Lock, p env.Platform) map[string]string {
	out := make(map[string]string)
	for _, pkg := range l.Packages {
		if pkg.Platform == p {
			out[pkg.Name] = pkg.Version
		}
	}
	return out
}

func TestResolve(t *testing.T) {
	m := standard(t)
	res := resolve(t, m.local(), request())
	want := map[string]string{"base-files": "13", "elixir": "1.18.3.dfsg-1", "erlang-base": "1:27.3.4.1+dfsg-1",
		"erlang-crypto": "1:27.3.4.1+dfsg-1", "libc6": "2.41-12", "libssl3t64": "3.5.7-1~deb13u1", "mawk": "1.3"}
	for _, p := range env.Platforms() {
		if diff := cmp.Diff(want, versions(res.Lock, p)); diff != "" {
			t.Errorf("%s:\n%s", p, diff)
		}
		if diff := cmp.Diff(map[string][]string{"toolchain": {"elixir", "erlang-crypto"}, "image": {"libssl3t64", "mawk"}, "essential": {"base-files"}}, res.Lock.Sets[p]); diff != "" {
			t.Error(diff)
		}
		all, err := res.Lock.Closure(p, res.Lock.Sets[p]["image"]...)
		if err != nil || len(all) != 3 {
			t.Errorf("image on %s: %d packages, %v", p, len(all), err)
		}
	}
	i := slices.IndexFunc(res.Lock.Packages, func(p env.Package) bool { return p.Name == "libssl3t64" })
	got := res.Lock.Packages[i]
	if got.Source != "openssl" || got.Suite != "trixie-security" || got.Archive != "debian-security" || got.Architecture != "amd64" ||
		got.Path != "pool/main/l/libssl3t64/libssl3t64_3.5.7-1~deb13u1_amd64.deb" || !slices.Equal(got.Depends, []string{"libc6"}) {
		t.Errorf("%+v", got)
	}
	data, err := os.ReadFile(filepath.Join(m.dir, got.Archive, got.Path))
	if err != nil || digest.FromBytes(data) != got.Digest || int64(len(data)) != got.Size {
		t.Errorf("pin does not fit the file: %v", err)
	}
	if !slices.Equal(res.Missing, []string{"trixie-updates"}) || len(res.Lock.Suites) != 2 || res.Skew != nil || res.Moved != nil {
		t.Errorf("missing %q, %d suites, skew %v, moved %v", res.Missing, len(res.Lock.Suites), res.Skew, res.Moved)
	}
	// The order of what is asked for does not matter.
	req := request()
	for p := range req.Sets {
		req.Sets[p] = map[string][]string{"image": {"awk", "libssl3t64 (>= 3)"}, "toolchain": {"erlang-crypto", "elixir"}}
	}
	req.Platforms = []env.Platform{env.LinuxARM64, env.LinuxAMD64}
	if diff := cmp.Diff(res.Lock, resolve(t, m.local(), req).Lock); diff != "" {
		t.Error(diff)
	}
}

func TestResolveFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(m *mini, req *debian.Request)
		want any // a pointer to a typed error, or a part of the text
	}{
		{"expired", func(m *mini, req *debian.Request) { req.Now = day.AddDate(0, 0, 8) }, new(*debian.ExpiredError)},
		{"one of two expired allowed", func(m *mini, req *debian.Request) {
			req.Now, req.AllowExpired = day.AddDate(0, 0, 8), []string{"trixie"}
		}, new(*debian.ExpiredError)},
		{"back in time", func(m *mini, req *debian.Request) {
			req.Previous = &env.Lock{Suites: []env.Suite{{Archive: "debian", Name: "trixie", Date: "2026-11-21T00:00:00Z"}}}
		}, new(*debian.RollbackError)},
		{"security gone", func(m *mini, req *debian.Request) {
			req.Previous = &env.Lock{Suites: []env.Suite{{Archive: "debian-security", Name: "trixie-security", Date: "2026-01-01T00:00:00Z"}}}
			os.RemoveAll(filepath.Join(m.dir, "debian-security"))
		}, "trixie-security is gone from every mirror"},
		{"other key", func(m *mini, _ *debian.Request) { _, m.keys = newArchive(m.t) }, new(*debian.SignatureError)},
		{"other suite under the name", func(m *mini, req *debian.Request) {
			m.rename("debian/dists/trixie", "debian/dists/forky")
			req.Suite = "forky"
		}, "it is of trixie"},
		{"no such suite", func(_ *mini, req *debian.Request) { req.Suite = "nope" }, new(*fetch.NotFoundError)},
		{"suite is a path", func(_ *mini, req *debian.Request) { req.Suite = "../x" }, "not a name"},
		{"index changed", func(m *mini, _ *debian.Request) { m.spoil("Packages.gz", "by-hash") }, new(*fetch.Error)},
		{"index gone", func(m *mini, _ *debian.Request) { m.remove("Packages.gz", "by-hash") }, new(*fetch.NotFoundError)},
		{"only on the other platform", func(_ *mini, req *debian.Request) {
			req.Sets[env.LinuxARM64] = map[string][]string{"image": {"only-amd64"}}
		}, "no choice of packages for linux/arm64: only-amd64, needed by image: no such package for arm64 in trixie, trixie-security, though there is for amd64"},
		{"version", func(_ *mini, req *debian.Request) { req.Tools = map[string]string{"otp": "28.0"} }, new(*debian.VersionError)},
		{"tool", func(_ *mini, req *debian.Request) { req.Tools = map[string]string{"perl": "5"} }, "no tool"},
		{"malformed", func(_ *mini, req *debian.Request) { req.Sets[env.LinuxARM64]["image"] = []string{"a (>="} }, "set image: parse relation"},
		{"no time", func(_ *mini, req *debian.Request) { req.Now = time.Time{} }, "no time"},
		{"no platform", func(_ *mini, req *debian.Request) { req.Sets = nil }, "no platform"},
		{"platform any", func(_ *mini, req *debian.Request) { req.Platforms = []env.Platform{env.Any} }, "no Debian architecture"},
		{"unknown update", func(m *mini, req *debian.Request) {
			old := resolve(m.t, m.local(), request()).Lock
			req.Previous, req.Update = &old, []string{"nope"}
		}, "update nope: not in the lock"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, req := standard(t), request()
			tt.do(m, &req)
			_, err := m.local().Resolve(t.Context(), req)
			if text, ok := tt.want.(string); ok {
				if err == nil || !strings.Contains(err.Error(), text) {
					t.Errorf("error %v, want %q", err, text)
				}
			} else if err == nil || !errors.As(err, tt.want) {
				t.Errorf("error %v, want a %T", err, tt.want)
			}
		})
	}
}

func (m *mini) rename(from, to string) {
	if err := os.Rename(filepath.Join(m.dir, from), filepath.Join(m.dir, to)); err != nil {
		m.t.Fatal(err)
	}
}

// each visits the files whose path has one of the parts.
func (m *mini) each(do func(path string) error, parts ...string) {
	err := filepath.WalkDir(m.dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(path, p) }) {
			return do(path)
		}
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *mini) remove(parts ...string) { m.each(os.Remove, parts...) }

func (m *mini) spoil(parts ...string) {
	m.each(func(path string) error {
		data, err := os.ReadFile(path)
		if err == nil {
			data[len(data)/2] ^= 1
			err = os.WriteFile(path, data, 0o644)
		}
		return err
	}, parts...)
}

func TestResolveFromTheSecondMirror(t *testing.T) {
	bad, good := standard(t), standard(t)
	want := resolve(t, good.local(), request()).Lock
	a := good.local()
	a.Mirrors = bad.local().Mirrors.Then(a.Mirrors) // bad signs with a key of its own
	if diff := cmp.Diff(want, resolve(t, a, request()).Lock); diff != "" {
		t.Error(diff)
	}
}

func TestCacheSparesTheIndex(t *testing.T) {
	m := standard(t)
	var indices atomic.Int32
	files := http.FileServer(http.Dir(m.dir))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/binary-") {
			indices.Add(1)
		}
		files.ServeHTTP(w, r)
	}))
	defer srv.Close()
	a := m.at(srv.URL)
	cache := dirCache(t.TempDir())
	a.Cache = cache
	first := resolve(t, a, request())
	n := indices.Load()
	if diff := cmp.Diff(first.Lock, resolve(t, a, request()).Lock); diff != "" || n == 0 || indices.Load() != n {
		t.Errorf("%d, then %d indices fetched\n%s", n, indices.Load(), diff)
	}
	// A spoilt cache entry is not believed.
	entries, err := os.ReadDir(string(cache))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if err := os.WriteFile(filepath.Join(string(cache), e.Name()), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(first.Lock, resolve(t, a, request()).Lock); diff != "" || indices.Load() != 2*n {
		t.Errorf("%d, then %d indices fetched\n%s", n, indices.Load(), diff)
	}
}

func TestTools(t *testing.T) {
	m := standard(t)
	m.publish("debian", "forky", day, erlang("1:29.1.1+dfsg-2"))
	req := request()
	req.Tools = map[string]string{"otp": "27.3.4.1", "elixir": "1.18.3", "openssl": "3.5.6"}
	res := resolve(t, m.local(), req)
	if got := versions(res.Lock, env.LinuxARM64)["libssl3t64"]; got != "3.5.6-1" {
		t.Errorf("libssl3t64 %s, want that of openssl 3.5.6", got)
	}
	req.Tools = map[string]string{"otp": "29.1.1"}
	_, err := m.local().Resolve(t.Context(), req)
	var e *debian.VersionError
	if !errors.As(err, &e) || !slices.Equal(e.Elsewhere, []string{"forky"}) || e.Package != "erlang-base" ||
		!slices.Equal(e.Have, []string{"27.3.4.1 (trixie, 1:27.3.4.1+dfsg-1)"}) {
		t.Errorf("%v", err)
	}
	req.Tools = map[string]string{"rebar3": "3.24.0"}
	if _, err = m.local().Resolve(t.Context(), req); !errors.As(err, &e) || !strings.Contains(err.Error(), "package rebar3 is not there") {
		t.Errorf("%v", err)
	}
}

func TestSkew(t *testing.T) {
	m := standard(t)
	m.publish("debian-security", "trixie-security", day, []fixture.ArchivePackage{
		pkg("libssl3t64", "3.5.7-1", "amd64", "Source: openssl", "Depends: libc6"),
		pkg("mawk", "1.3+b1", "arm64", "Source: mawk (1.3)", "Provides: awk", "Priority: required"),
	})
	res := resolve(t, m.local(), request())
	want := []debian.Skew{{Source: "openssl", Versions: map[env.Platform]string{env.LinuxAMD64: "3.5.7-1", env.LinuxARM64: "3.5.6-1"}}}
	if diff := cmp.Diff(want, res.Skew); diff != "" {
		t.Error(diff)
	}
}

func TestSnapshot(t *testing.T) {
	m, now := standard(t), newMini(t)
	now.archive = m.archive
	old := t.TempDir()
	for _, a := range []string{"debian", "debian-security"} {
		if err := os.MkdirAll(filepath.Join(old, a), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(m.dir, a), filepath.Join(old, a, "20261120T235959Z")); err != nil {
			t.Fatal(err)
		}
	}
	// The mirror has moved on; the snapshot is long past its Valid-Until.
	later := day.AddDate(0, 2, 0)
	m.publish("debian", "trixie", later, base(), erlang("1:27.3.4.9+dfsg-1"))
	m.publish("debian-security", "trixie-security", later)
	req := request()
	req.Now = later
	req.Snapshot = time.Date(2026, 11, 20, 23, 59, 59, 0, time.UTC)
	a := m.local()
	a.Mirrors.Snapshot = "file://" + old
	res := resolve(t, a, req)
	if got := versions(res.Lock, env.LinuxAMD64)["erlang-base"]; got != "1:27.3.4.1+dfsg-1" {
		t.Errorf("erlang-base %s", got)
	}
	a.Mirrors.Snapshot = "none"
	if _, err := a.Resolve(t.Context(), req); err == nil || !strings.Contains(err.Error(), "after the wanted") {
		t.Errorf("%v", err)
	}
}

func movedNames(list []debian.Moved) []string {
	var out []string
	for _, m := range list {
		if m.Platform == env.LinuxAMD64 {
			out = append(out, fmt.Sprintf("%s %s>%s", m.Name, m.From, m.To))
		}
	}
	return out
}
