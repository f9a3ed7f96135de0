package debian_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/internal/fixture"
)

var day = time.Date(2026, 11, 20, 8, 15, 0, 0, time.UTC)

func newArchive(t testing.TB) (*fixture.Archive, []byte) {
	t.Helper()
	a, err := fixture.NewArchive(day.AddDate(-1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := a.Keyring()
	if err != nil {
		t.Fatal(err)
	}
	return a, keys
}

const release = `Origin: Debian
Suite: stable
Codename: trixie
Date: Fri, 20 Nov 2026 08:15:00 UTC
Valid-Until: Fri, 27 Nov 2026 08:15:00 UTC
Acquire-By-Hash: yes
Architectures: all amd64
No-Support-for-Architecture-all: Packages
SHA256:
 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855        0 main/binary-amd64/Packages
 0040f94d11d0039505328a90b2ff48968db873e9e7967307631bf40ef5679275       32 main/binary-amd64/Packages.xz
`

func sign1(t testing.TB, a *fixture.Archive, text string, at time.Time) []byte {
	t.Helper()
	data, err := a.Sign(text, at)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParseInRelease(t *testing.T) {
	a, keys := newArchive(t)
	data := sign1(t, a, release, day)
	r, err := debian.ParseInRelease("trixie", data, keys, day)
	if err != nil {
		t.Fatal(err)
	}
	f := r.Files["main/binary-amd64/Packages.xz"]
	if r.Codename != "trixie" || r.Suite != "stable" || !r.Date.Equal(day) || !r.ValidUntil.Equal(day.AddDate(0, 0, 7)) ||
		!r.ByHash || r.AllApart || len(r.Files) != 2 || f.Size != 32 || len(r.Signers) != 1 || len(r.Signers[0]) != 40 {
		t.Errorf("%+v", r)
	}
	other, _ := newArchive(t)
	for _, tt := range []struct {
		name string
		data []byte
		err  string
	}{
		{"another key", sign1(t, other, release, day), "no good signature"},
		{"changed text", bytes.Replace(data, []byte("trixie"), []byte("tryxie"), 1), "no good signature"},
		{"changed size", bytes.Replace(data, []byte(" 32 main"), []byte(" 33 main"), 1), "no good signature"},
		{"text before", append([]byte("Codename: sid\n"), data...), "from its first byte"},
		{"text after", append(bytes.Clone(data), "Codename: sid\n"...), "text follows"},
		{"two messages", append(bytes.Clone(data), data...), "not one signed message"},
		{"second signature block", append(bytes.Clone(data), data[bytes.Index(data, []byte("-----BEGIN PGP SIGNATURE")):]...), "not one signed message"},
		{"unsigned", []byte(release), "from its first byte"},
		{"cut", data[:len(data)/2], "signed message"},
		{"empty", nil, "from its first byte"},
		{"signed in the future", sign1(t, a, release, day.AddDate(0, 1, 0)), "in the future"},
		{"no files", sign1(t, a, strings.Split(release, "SHA256:")[0], day), "no files"},
		{"path outside", sign1(t, a, strings.Replace(release, "main/binary-amd64/Packages.xz", "../../x", 1), day), "malformed"},
		{"file twice", sign1(t, a, strings.Replace(release, "Packages.xz", "Packages", 1), day), "stands twice"},
		{"local time", sign1(t, a, strings.Replace(release, "08:15:00 UTC", "08:15:00 CET", 1), day), "no date in UTC"},
		{"two paragraphs", sign1(t, a, release+"\nCodename: sid\n", day), "more than one paragraph"},
		{"bad digest", sign1(t, a, strings.Replace(release, "0040f94d", "zz40f94d", 1), day), "digest"},
	} {
		_, err := debian.ParseInRelease("trixie", tt.data, keys, day)
		if err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
		}
	}
	var bad *debian.SignatureError
	if _, err := debian.ParseInRelease("trixie", data, nil, day); !errors.As(err, &bad) {
		t.Errorf("Debian's own keys accept it: %v", err)
	}
	for name, ring := range map[string][]byte{"empty": {}, "garbage": []byte("x"), "armored garbage": []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!")} {
		if _, err := debian.ParseInRelease("trixie", data, ring, day); err == nil {
			t.Errorf("keyring %s: accepted", name)
		}
	}
}

// TestParseInReleaseOfDebian verifies a real file, with three signatures.
func TestParseInReleaseOfDebian(t *testing.T) {
	data, err := os.ReadFile("testdata/trixie-updates.InRelease")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	r, err := debian.ParseInRelease("trixie-updates", data, nil, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check(debian.Wanted{Name: "trixie-updates", Now: now}); err != nil {
		t.Error(err)
	}
	if len(r.Signers) < 2 || r.Signers[0] != "04B54C3CDCA79751B16BC6B5225629DF75B188BD" && r.Signers[1] != "04B54C3CDCA79751B16BC6B5225629DF75B188BD" {
		t.Errorf("signers %v", r.Signers)
	}
	for i := 0; i < len(data); i += 997 {
		changed := bytes.Clone(data)
		changed[i] ^= 4
		got, err := debian.ParseInRelease("trixie-updates", changed, nil, now)
		if err == nil && (got.Codename != r.Codename || !got.Date.Equal(r.Date) || len(got.Files) != len(r.Files)) {
			t.Errorf("a changed byte %d changes what is read", i)
		}
	}
}

func TestReleaseCheck(t *testing.T) {
	r := &debian.Release{Suite: "stable", Codename: "trixie", Date: day, ValidUntil: day.AddDate(0, 0, 7)}
	late := day.AddDate(0, 0, 8)
	var expired *debian.ExpiredError
	var back *debian.RollbackError
	for _, tt := range []struct {
		name string
		w    debian.Wanted
		ok   func(error) bool
	}{
		{"by code name", debian.Wanted{Name: "trixie", Now: day}, nil},
		{"by suite", debian.Wanted{Name: "stable", Now: day}, nil},
		{"another", debian.Wanted{Name: "sid", Now: day}, func(err error) bool { return strings.Contains(err.Error(), "it is of trixie") }},
		{"expired", debian.Wanted{Name: "trixie", Now: late}, func(err error) bool { return errors.As(err, &expired) }},
		{"expired, allowed", debian.Wanted{Name: "trixie", Now: late, AllowExpired: true}, nil},
		{"same date as before", debian.Wanted{Name: "trixie", Now: day, NotBefore: day}, nil},
		{"older than before", debian.Wanted{Name: "trixie", Now: day, NotBefore: day.Add(time.Second)}, func(err error) bool { return errors.As(err, &back) }},
		{"future", debian.Wanted{Name: "trixie", Now: day.AddDate(0, 0, -2)}, func(err error) bool { return strings.Contains(err.Error(), "future") }},
	} {
		if err := r.Check(tt.w); (err == nil) != (tt.ok == nil) || err != nil && !tt.ok(err) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func FuzzParseInRelease(f *testing.F) {
	a, keys := newArchive(f)
	f.Add(sign1(f, a, release, day))
	f.Add([]byte("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n- -\n-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := debian.ParseInRelease("trixie", data, keys, day)
		if err == nil && (r.Codename != "trixie" || len(r.Signers) == 0) {
			t.Errorf("accepted %+v", r)
		}
	})
}
