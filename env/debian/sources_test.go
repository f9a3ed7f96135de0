package debian_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/internal/fixture"
)

// sourceArchive is an archive of two suites with source packages, and what asks
// it.
func sourceArchive(t *testing.T, sources map[string][]fixture.ArchiveSource) (string, debian.Archive, debian.Request) {
	t.Helper()
	now := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	a, err := fixture.NewArchive(now.AddDate(-1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range sources {
		s := fixture.ArchiveSuite{Name: name, Date: now.Add(-time.Hour), Sources: list}
		if strings.HasSuffix(name, "-security") {
			s.Archive = "debian-security"
		}
		a.Add(s)
	}
	dir := t.TempDir()
	if err := a.Write(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := a.Keyring()
	if err != nil {
		t.Fatal(err)
	}
	mirrors, err := debian.FromBase("file://" + dir)
	if err != nil {
		t.Fatal(err)
	}
	mirrors.Snapshot = "none"
	return dir, debian.Archive{Mirrors: mirrors, Keyring: keys, Fetch: &fetch.Client{Retries: -1}}, debian.Request{Suite: "trixie", Now: now}
}

func tarball(pkg, version, upstream, ext string) fixture.ArchiveSource {
	return fixture.ArchiveSource{Package: pkg, Version: version, Files: map[string][]byte{
		pkg + "_" + upstream + ".orig.tar." + ext:          []byte(pkg + upstream),
		pkg + "_" + upstream + ".orig.tar." + ext + ".asc": []byte("signature"),
		pkg + "_" + upstream + ".orig-doc.tar." + ext:      []byte("another part"),
		pkg + "_" + version + ".debian.tar.xz":             []byte("Debian's own"),
	}}
}

func TestTarballs(t *testing.T) {
	_, archive, req := sourceArchive(t, map[string][]fixture.ArchiveSource{
		"trixie": {
			tarball("openssl", "3.5.6-1~deb13u2", "3.5.6", "gz"), tarball("openssl", "3.5.7-1", "3.5.7", "gz"),
			tarball("erlang", "1:27.3.4.1+dfsg-1", "27.3.4.1+dfsg", "xz"), tarball("elixir-lang", "1.18.3.dfsg-1", "1.18.3.dfsg", "xz"),
			tarball("erlang-hex", "2.0.6-1", "2.0.6", "gz"), tarball("bash", "5.2-1", "5.2", "gz"),
			{Package: "rebar3", Version: "3.24.0", Files: map[string][]byte{"rebar3_3.24.0.tar.xz": []byte("Debian's own package")}},
		},
		"trixie-security": {tarball("openssl", "3.5.7-1~deb13u3", "3.5.7", "gz")},
		"forky":           {tarball("erlang", "1:29.1.1+dfsg-1", "29.1.1+dfsg", "xz")},
	})
	list, err := archive.Tarballs(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range list {
		got = append(got, strings.Join([]string{s.Tool, s.Version, s.Suite, s.URL}, " "))
	}
	want := []string{
		"elixir 1.18.3 trixie debian:debian/pool/main/e/elixir-lang/elixir-lang_1.18.3.dfsg.orig.tar.xz",
		"hex 2.0.6 trixie debian:debian/pool/main/e/erlang-hex/erlang-hex_2.0.6.orig.tar.gz",
		"openssl 3.5.7 trixie debian:debian/pool/main/o/openssl/openssl_3.5.7.orig.tar.gz",
		"openssl 3.5.7 trixie-security debian:debian-security/pool/updates/main/o/openssl/openssl_3.5.7.orig.tar.gz",
		"openssl 3.5.6 trixie debian:debian/pool/main/o/openssl/openssl_3.5.6.orig.tar.gz",
		"otp 27.3.4.1 trixie debian:debian/pool/main/e/erlang/erlang_27.3.4.1+dfsg.orig.tar.xz",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	hex := list[1]
	if hex.Digest != digest.FromString("erlang-hex2.0.6") || hex.Size != 15 || hex.Date != "2026-11-20T07:00:00Z" || len(hex.Signers) != 1 {
		t.Errorf("%+v", hex)
	}
	req.Suite = "forky"
	if list, err := archive.Tarballs(t.Context(), req); err != nil || len(list) != 1 || list[0].Version != "29.1.1" {
		t.Errorf("forky: %+v, %v", list, err)
	}
	req.Suite = "sid"
	var gone *fetch.NotFoundError
	if _, err := archive.Tarballs(t.Context(), req); !errors.As(err, &gone) {
		t.Errorf("a suite that is not there: %v", err)
	}
}

// The index is believed by its digest in the signed release only.
func TestTarballsSigned(t *testing.T) {
	dir, archive, req := sourceArchive(t, map[string][]fixture.ArchiveSource{"trixie": {tarball("erlang", "1:27.0-1", "27.0", "gz")}})
	files, err := filepath.Glob(filepath.Join(dir, "debian/dists/trixie/main/source/*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	by, err := filepath.Glob(filepath.Join(dir, "debian/dists/trixie/main/source/by-hash/SHA256/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(by, filepath.Join(dir, "debian/dists/trixie/main/source/Sources.gz")) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)-1] ^= 1
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var wrong *fetch.BytesError
	if _, err := archive.Tarballs(t.Context(), req); !errors.As(err, &wrong) {
		t.Errorf("another index than was signed: %v", err)
	}
}

func TestSourceCandidates(t *testing.T) {
	m := debian.Mirrors{Archive: map[string][]string{"debian": {"http://a.example/debian/", "http://b.example/debian"}}, Snapshot: "http://s.example/archive"}
	s := env.Source{URL: "debian:debian-security/pool/updates/x_1+dfsg.orig.tar.xz", Date: "2026-11-20T07:00:00Z"}
	mirrors, snapshots := m.SourceCandidates(s)
	if want := []string{"http://a.example/debian-security/pool/updates/x_1+dfsg.orig.tar.xz", "http://b.example/debian-security/pool/updates/x_1+dfsg.orig.tar.xz"}; !slices.Equal(mirrors, want) {
		t.Errorf("mirrors %q", mirrors)
	}
	if want := []string{
		"http://s.example/archive/debian-security/20261120T190000Z/pool/updates/x_1+dfsg.orig.tar.xz",
		"http://s.example/archive/debian-security/20261120T070000Z/pool/updates/x_1+dfsg.orig.tar.xz",
	}; !slices.Equal(snapshots, want) {
		t.Errorf("snapshots %q", snapshots)
	}
	if mirrors, snapshots := m.SourceCandidates(env.Source{URL: "github:erlang/otp/x"}); mirrors != nil || snapshots != nil {
		t.Error(mirrors, snapshots)
	}
}

func TestFits(t *testing.T) {
	for _, tt := range []struct {
		upstream, want string
		fits           bool
	}{
		{"27.3.4.1", "27", true}, {"27.3.4.1", "27.3.4.1", true}, {"27.3.4.1", "27.3.4", true}, {"27.3.4.1", "2", false},
		{"27.0~rc1", "27", false}, {"27.0~rc1", "27.0-rc1", true}, {"3.5.10", "3.5.1", false},
	} {
		if debian.Fits(tt.upstream, tt.want) != tt.fits {
			t.Error(fmt.Sprint(tt))
		}
	}
}
