package upstream_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/retort-build/retort/env/upstream"
	"github.com/retort-build/retort/internal/fetch"
)

// site is a server with the paths of all upstream services below one base.
type site struct {
	files map[string]string // by path
	fail  map[string]int    // status by path

	mu    sync.Mutex
	asked []string
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.RequestURI())
	s.mu.Unlock()
	if status := s.fail[r.URL.Path]; status != 0 {
		http.Error(w, "no", status)
		return
	}
	body, ok := s.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = io.WriteString(w, body)
}

// wasAsked says whether a path that ends so was asked for.
func (s *site) wasAsked(end string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.asked, func(p string) bool { return strings.HasSuffix(p, end) })
}

// start serves the site and returns a client that knows it alone.
func start(t *testing.T, s *site) *upstream.Client {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return &upstream.Client{
		Fetch: &fetch.Client{Retries: -1, Pause: time.Millisecond},
		Bases: upstream.Bases{GitHub: server.URL + "/github", OpenSSL: server.URL + "/openssl/", HexBuilds: server.URL + "/hex"},
	}
}

// refs is what a git server answers for tags; "name^{}" is allowed.
func refs(tags ...string) string {
	line := func(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }
	out := line("# service=git-upload-pack\n") + "0000" + line(commit("HEAD")+" HEAD\x00multi_ack agent=git/github\n")
	for _, tag := range append([]string{"refs/heads/main", "refs/pull/1/head"}, tags...) {
		if !strings.HasPrefix(tag, "refs/") {
			tag = "refs/tags/" + tag
		}
		out += line(commit(tag) + " " + tag + "\n")
	}
	return out + "0000"
}

// commit is a made up commit for a name.
func commit(name string) string {
	name = strings.TrimPrefix(name, "refs/tags/")
	return fmt.Sprintf("%x", sha256.Sum256([]byte(name)))[:40]
}

func sum(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// archive is a tar.gz as GitHub makes it of a tag.
func archive(t *testing.T, root, comment string) string {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	w := tar.NewWriter(zip)
	write := func(h *tar.Header, content string) {
		t.Helper()
		h.Size = int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if comment != "" {
		write(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header", PAXRecords: map[string]string{"comment": comment}}, "")
	}
	write(&tar.Header{Typeflag: tar.TypeDir, Name: root + "/", Mode: 0o755}, "")
	write(&tar.Header{Typeflag: tar.TypeReg, Name: root + "/VERSION", Mode: 0o644}, "1")
	for _, c := range []io.Closer{w, zip} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// key makes an OpenPGP key, and its public part in armor.
func key(t *testing.T, made time.Time, lifetime time.Duration) (*openpgp.Entity, []byte) {
	t.Helper()
	entity, err := openpgp.NewEntity("OpenSSL", "", "openssl@example.org", &packet.Config{
		Time: func() time.Time { return made }, KeyLifetimeSecs: uint32(lifetime / time.Second), Algorithm: packet.PubKeyAlgoEdDSA,
	})
	if err != nil {
		t.Fatal(err)
	}
	return entity, public(t, entity)
}

func public(t *testing.T, entity *openpgp.Entity) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := armor.Encode(&out, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := entity.Serialize(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// sign makes a detached signature.
func sign(t *testing.T, by *openpgp.Entity, content string, at time.Time) string {
	t.Helper()
	var out bytes.Buffer
	err := openpgp.ArmoredDetachSign(&out, by, strings.NewReader(content), &packet.Config{Time: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// fetched finds a release, fetches it from where Locate says, and verifies it.
func fetched(t *testing.T, c *upstream.Client, tool, want string) (upstream.Release, error) {
	t.Helper()
	ctx := context.Background()
	r, err := c.Find(ctx, tool, want)
	if err != nil {
		return r, err
	}
	urls, err := c.Locate(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	var body fetch.Buffer
	if _, err := c.Fetch.Get(ctx, fetch.Request{URLs: urls, MaxSize: upstream.MaxTarball}, &body); err != nil {
		t.Fatal(err)
	}
	return r, r.Verify(&body)
}

// problem checks the text of an error: each part must be in it.
func problem(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("got %q, want it to say %q", err, p)
		}
	}
}
