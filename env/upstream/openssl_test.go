package upstream_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/env/upstream"
)

const (
	opensslGit    = "/github/openssl/openssl.git/info/refs"
	opensslFolder = "/github/openssl/openssl/releases/download/"
)

var (
	made   = time.Date(2024, 4, 8, 12, 0, 0, 0, time.UTC)
	signed = made.AddDate(1, 0, 0)
	year   = 365 * 24 * time.Hour
)

func TestOpenSSL(t *testing.T) {
	by, public := key(t, made, 3*year)
	s := &site{files: map[string]string{
		opensslGit: refs("openssl-3.5.7", "openssl-3.5.6", "openssl-3.6.0-beta1", "OpenSSL_1_1_1w", "OpenSSL_1_1_1-pre9", "OpenSSL-fips-2_0_16", "openssl-3.5.8"),
	}}
	add := func(folder, version string, alone bool) {
		file := folder + "openssl-" + version + ".tar.gz"
		s.files[file] = "openssl " + version
		s.files[file+".asc"] = sign(t, by, "openssl "+version, signed)
		s.files[file+".sha256"] = sum("openssl " + version)
		if !alone {
			s.files[file+".sha256"] += " *openssl-" + version + ".tar.gz\n"
		}
	}
	add(opensslFolder+"openssl-3.5.7/", "3.5.7", false)
	add("/openssl/source/", "3.5.6", true)
	add("/openssl/source/old/3.6/", "3.6.0-beta1", false)
	add("/openssl/source/old/1.1.1/", "1.1.1w", true)
	delete(s.files, "/openssl/source/old/1.1.1/openssl-1.1.1w.tar.gz.sha256")
	for _, tt := range []struct{ want, version string }{
		{"3.5", "3.5.7"}, {"3.5.6", "3.5.6"}, {"3.6.0-beta1", "3.6.0-beta1"}, {"1.1.1w", "1.1.1w"}, {"1", "1.1.1w"},
	} {
		c := start(t, s)
		c.OpenSSLKeys = [][]byte{public}
		r, err := fetched(t, c, "openssl", tt.want)
		if err != nil || r.Version != tt.version || r.URL != "openssl:openssl-"+tt.version+".tar.gz" || len(r.Signers) != 1 {
			t.Errorf("%s: got %+v, %v", tt.want, r, err)
		}
		if (r.Digest == "") != (tt.version == "1.1.1w") || !strings.Contains(r.Note, "signed by OpenSSL's key "+r.Signers[0]) {
			t.Errorf("%s: got %+v", tt.want, r)
		}
	}
}

// oneRelease is a site with a single signed release.
func oneRelease(t *testing.T, armored string) (*site, string) {
	file := opensslFolder + "openssl-3.5.7/openssl-3.5.7.tar.gz"
	return &site{files: map[string]string{opensslGit: refs("openssl-3.5.7"), file: "tarball", file + ".asc": armored}}, file
}

func TestOpenSSLSignatures(t *testing.T) {
	by, public := key(t, made, 3*year)
	other, _ := key(t, made, 3*year)
	cleartext := "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + strings.SplitN(string(public), "\n\n", 2)[1]
	for _, tt := range []struct {
		name, signature string
		found           bool // by Find, before anything large is fetched
		parts           []string
	}{
		{"of other bytes", sign(t, by, "other", signed), false, []string{"source of openssl 3.5.7: no good signature: key ", "take another version"}},
		{"by a stranger", sign(t, other, "tarball", signed), true, []string{"none by a key of OpenSSL that this retort knows, but one by key "}},
		{"not armored", "hello\n", true, []string{"not an armored signature"}},
		{"a key", cleartext, true, []string{`not a signature but a "PGP PUBLIC KEY BLOCK"`}},
		{"cut short", sign(t, by, "tarball", signed)[:150], true, []string{"no good signature"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, file := oneRelease(t, tt.signature)
			c := start(t, s)
			c.OpenSSLKeys = [][]byte{public}
			_, err := fetched(t, c, "openssl", "3.5.7")
			var bad *upstream.SignatureError
			if !errors.As(err, &bad) {
				t.Fatalf("got %T", err)
			}
			problem(t, err, tt.parts...)
			if s.wasAsked(file) == tt.found {
				t.Errorf("tarball was fetched: %t", s.wasAsked(file))
			}
		})
	}
	s, file := oneRelease(t, "")
	delete(s.files, file+".asc")
	_, err := start(t, s).Find(context.Background(), "openssl", "3.5.7")
	problem(t, err, "no place that has the tarball has a signature of it")
	s.fail = map[string]int{file + ".asc": http.StatusBadGateway}
	_, err = start(t, s).Find(context.Background(), "openssl", "3.5.7")
	problem(t, err, "openssl-3.5.7.tar.gz.asc: status 502", "/openssl/source/openssl-3.5.7.tar.gz.asc: status 404", "name a mirror")
	s.fail[file], s.fail[file+".asc"] = http.StatusNotFound, http.StatusNotFound
	_, err = start(t, s).Find(context.Background(), "openssl", "3.5")
	problem(t, err, "openssl 3.5.7 has no tarball: ", "/openssl/source/old/3.5/openssl-3.5.7.tar.gz: status 404")
	_, err = start(t, s).Find(context.Background(), "openssl", "3.5.9")
	problem(t, err, "openssl has no release 3.5.9; nearest are 3.5.7")
}

// TestExpiredKeys: a key vouches for what it signed before it expired, also when
// it was prolonged after that, and for nothing later.
func TestExpiredKeys(t *testing.T) {
	try := func(public []byte, signature string) error {
		s, _ := oneRelease(t, signature)
		c := start(t, s)
		c.OpenSSLKeys = [][]byte{public}
		_, err := fetched(t, c, "openssl", "3.5.7")
		return err
	}
	by, public1 := key(t, made, 2*year)
	early, late := sign(t, by, "tarball", signed), ""
	if err := try(public1, early); err != nil {
		t.Error("expired since:", err)
	}
	// The key is prolonged by a new statement.
	lifetime := uint32(4 * year / time.Second)
	for _, identity := range by.Identities {
		identity.SelfSignature.KeyLifetimeSecs = &lifetime
		identity.SelfSignature.CreationTime = made.Add(2*year - time.Hour)
		if err := identity.SelfSignature.SignUserId(identity.UserId.Id, by.PrimaryKey, by.PrivateKey, &packet.Config{}); err != nil {
			t.Fatal(err)
		}
	}
	public2 := public(t, by)
	if err := try(public2, early); err != nil {
		t.Error("prolonged since:", err)
	}
	late = sign(t, by, "tarball", made.Add(3*year))
	if err := try(public2, late); err != nil {
		t.Error("signed after it was prolonged:", err)
	}
	problem(t, try(public1, late), "key expired")
}

func TestVerifyReads(t *testing.T) {
	by, public := key(t, made, 3*year)
	s, _ := oneRelease(t, sign(t, by, "tarball", signed))
	c := start(t, s)
	c.OpenSSLKeys = [][]byte{public}
	r, err := c.Find(context.Background(), "openssl", "3.5.7")
	if err != nil {
		t.Fatal(err)
	}
	gone := errors.New("disk gone")
	if err := r.Verify(io.MultiReader(strings.NewReader("tar"), iotest.ErrReader(gone))); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	if err := r.Verify(iotest.OneByteReader(strings.NewReader("tarball"))); err != nil {
		t.Error(err)
	}
	whole := archive(t, "x-1", commit("x"))
	for n := range len(whole) {
		err := upstream.CheckArchive(strings.NewReader(whole[:n]), commit("x"))
		if err == nil {
			t.Errorf("%d of %d bytes pass", n, len(whole))
		}
	}
	broken := bytes.Clone([]byte(whole))
	broken[len(broken)-8] ^= 1
	problem(t, upstream.CheckArchive(bytes.NewReader(broken), commit("x")), "archive is broken: gzip: invalid checksum")
}

func TestLocate(t *testing.T) {
	for _, tt := range []struct {
		bases   upstream.Bases
		address string
		want    []string
	}{
		{upstream.Bases{}, "github:erlang/otp/releases/download/OTP-27.0/otp_src_27.0.tar.gz", []string{"https://github.com/erlang/otp/releases/download/OTP-27.0/otp_src_27.0.tar.gz"}},
		{upstream.Bases{GitHub: "http://me:pw@gh.example/mirror/"}, "github:a/b", []string{"http://me:pw@gh.example/mirror/a/b"}},
		{upstream.Bases{HexBuilds: "file:///srv"}, "hexbuilds:builds/x.txt", []string{"file:///srv/builds/x.txt"}},
		{upstream.Bases{}, "hexbuilds:a", []string{"https://builds.hex.pm/a"}},
		{upstream.Bases{}, "openssl:openssl-3.5.7.tar.gz", []string{
			"https://github.com/openssl/openssl/releases/download/openssl-3.5.7/openssl-3.5.7.tar.gz",
			"https://www.openssl.org/source/openssl-3.5.7.tar.gz", "https://www.openssl.org/source/old/3.5/openssl-3.5.7.tar.gz",
		}},
		{upstream.Bases{OpenSSL: "https://ssl.example/"}, "openssl:openssl-1.1.1w.tar.gz.asc", []string{
			"https://ssl.example/source/openssl-1.1.1w.tar.gz.asc", "https://ssl.example/source/old/1.1.1/openssl-1.1.1w.tar.gz.asc",
			"https://github.com/openssl/openssl/releases/download/OpenSSL_1_1_1w/openssl-1.1.1w.tar.gz.asc",
		}},
		{upstream.Bases{GitHub: "https://gh.example", OpenSSL: "https://ssl.example/"}, "openssl:openssl-0.9.8zh.tar.gz", []string{
			"https://gh.example/openssl/openssl/releases/download/OpenSSL_0_9_8zh/openssl-0.9.8zh.tar.gz",
			"https://ssl.example/source/openssl-0.9.8zh.tar.gz", "https://ssl.example/source/old/0.9.x/openssl-0.9.8zh.tar.gz",
		}},
		{address: "github:a/../../b"}, {address: "github:a//b"}, {address: "github:/a"}, {address: "github:a?b"}, {address: "github:a#b"},
		{address: "github:"}, {address: "github:a/./b"}, {address: "github:a b"}, {address: "https://github.com/a"}, {address: "pool/main/x"},
		{address: "openssl:other-3.5.7.tar.gz"}, {address: "openssl:openssl-3.5.7.zip"}, {address: "openssl:openssl-3.5/x.tar.gz"}, {address: "openssl:openssl-3.5.tar.gz"},
	} {
		got, err := (&upstream.Client{Bases: tt.bases}).Locate(tt.address)
		if diff := cmp.Diff(tt.want, got); diff != "" || (err == nil) != (tt.want != nil) {
			t.Errorf("%s: %v (-want +got):\n%s", tt.address, err, diff)
		}
	}
}

func TestBases(t *testing.T) {
	for _, good := range []string{"", "https://gh.example", "http://127.0.0.1:80/x/", "file:///srv/mirror"} {
		if err := (upstream.Bases{GitHub: good, OpenSSL: good, HexBuilds: good}).Check(); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"gh.example", "ftp://gh.example", "https://", "https://gh.example?x", "https://gh.example#x", "file://srv/x", "file:x", "https://a b"} {
		problem(t, upstream.Bases{HexBuilds: bad}.Check(), "upstream.hex_builds is ")
	}
	err := upstream.Bases{OpenSSL: "https://me:secret@ssl.example/?x"}.Check()
	if problem(t, err, "upstream.openssl"); strings.Contains(err.Error(), "secret") {
		t.Errorf("tells the password: %v", err)
	}
}
