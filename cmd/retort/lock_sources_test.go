package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/env/upstream"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/internal/fixture"
	"github.com/retort-build/retort/layers"
)

// A sourceSite is GitHub with releases of OTP, and beside it a Debian archive
// with others. Every answer of GitHub may be replaced.
type sourceSite struct {
	*httptest.Server
	files map[string]string // of GitHub, by path
	down  bool              // GitHub answers nothing
	cut   int               // bytes after which answers of GitHub break, once
	asked []string          // paths, and ranges
}

func (s *sourceSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, strings.TrimSpace(r.URL.Path+" "+r.Header.Get("Range")))
	body, ok := s.files[r.URL.Path]
	switch {
	case s.down:
		w.WriteHeader(http.StatusBadGateway)
	case !ok:
		http.NotFound(w, r)
	case s.cut > 0 && strings.HasSuffix(r.URL.Path, ".tar.gz"):
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		io.WriteString(w, body[:s.cut])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	default:
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
	}
}

// release puts a release of OTP at GitHub.
func (s *sourceSite) release(version, content string) {
	folder := "/erlang/otp/releases/download/OTP-" + version + "/"
	file := "otp_src_" + version + ".tar.gz"
	s.files[folder+file] = content
	s.files[folder+"SHA256.txt"] = digest.FromString(content).Encoded() + "  " + file + "\n"
}

func newSourceSite(t *testing.T) (*sourceSite, *locker) {
	t.Helper()
	s := &sourceSite{files: map[string]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	now := time.Now().UTC().Truncate(time.Second)
	a, err := fixture.NewArchive(now.AddDate(-1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	a.Add(fixture.ArchiveSuite{Name: "trixie", Date: now.Add(-time.Hour), Sources: []fixture.ArchiveSource{
		{Package: "erlang", Version: "1:27.3.4.1+dfsg-1", Files: map[string][]byte{"erlang_27.3.4.1+dfsg.orig.tar.xz": []byte("Debian's")}},
	}})
	dir := t.TempDir()
	if err := a.Write(dir); err != nil {
		t.Fatal(err)
	}
	keys, err := a.Keyring()
	if err != nil {
		t.Fatal(err)
	}
	store, err := layers.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	client := &fetch.Client{Retries: -1, Pause: time.Millisecond}
	mirrors, err := debian.FromBase("file://" + dir)
	if err != nil {
		t.Fatal(err)
	}
	mirrors.Snapshot = "none"
	return s, &locker{
		t: &terminal{err: os.Stderr}, path: filepath.Join(t.TempDir(), "toolchain.lock"), store: store,
		archive:  &debian.Archive{Mirrors: mirrors, Keyring: keys, Fetch: client},
		upstream: &upstream.Client{Fetch: client, Bases: upstream.Bases{GitHub: s.URL, OpenSSL: s.URL, HexBuilds: s.URL}},
	}
}

// want makes the locker one for a version of OTP.
func (l *locker) want(t *testing.T, otp string) {
	t.Helper()
	m, err := env.ParseManifest("toolchain.toml", []byte("[toolchain]\nelixir = \"1.18\"\n[toolchain.otp]\nfrom = \"source\"\nversion = \""+otp+"\"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	l.manifest, l.suites = m, nil
	if l.builds, err = builds(m); err != nil {
		t.Fatal(err)
	}
	l.config = l.builds[0]
}

// pin is the pin of OTP that a new lock gets.
func (l *locker) pin(ctx context.Context, o lockOptions) (env.Source, error) {
	var lock env.Lock
	if err := l.sources(ctx, &lock, o); err != nil {
		return env.Source{}, err
	}
	return lock.Sources[0], nil
}

func TestSourcesFromUpstream(t *testing.T) {
	site, l := newSourceSite(t)
	site.release("27.3.4.1", "upstream's")
	l.want(t, "27.3.4.1")
	got, err := l.pin(t.Context(), lockOptions{})
	want := env.Source{
		Tool: "otp", Want: "27.3.4.1", Version: "27.3.4.1", Size: 10, Digest: digest.FromString("upstream's"),
		URL: "github:erlang/otp/releases/download/OTP-27.3.4.1/otp_src_27.3.4.1.tar.gz",
	}
	if err != nil || !slices.Equal(got.Signers, want.Signers) || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%+v, %v", got, err)
	}
	if lock := (&env.Lock{Manifest: got.Digest, Sources: []env.Source{got}}); lock.Validate() != nil || bytes.Contains(env.EncodeLock(lock), []byte(site.URL)) {
		t.Errorf("%v\n%s", lock.Validate(), env.EncodeLock(lock))
	}

	// The tarball is gone: Debian's of the same version is taken.
	l.store = emptyStore(t)
	clear(site.files)
	site.release("27.3.4.1", "upstream's")
	delete(site.files, "/erlang/otp/releases/download/OTP-27.3.4.1/otp_src_27.3.4.1.tar.gz")
	if got, err = l.pin(t.Context(), lockOptions{}); err != nil || got.Suite != "trixie" || got.Digest != digest.FromString("Debian's") {
		t.Errorf("%+v, %v", got, err)
	}
	// Upstream cannot be asked: that is no matter for an exact version.
	site.down = true
	if got, err = l.pin(t.Context(), lockOptions{}); err != nil || got.Suite != "trixie" {
		t.Errorf("%+v, %v", got, err)
	}
	l.want(t, "27")
	_, err = l.pin(t.Context(), lockOptions{})
	var told *hintError
	if !errors.As(err, &told) || !strings.Contains(err.Error(), "the newest is not known: upstream: ") || !strings.Contains(told.hint, `otp = "27.3.4.1"`) {
		t.Errorf("%v", err)
	}
	l.want(t, "26.2.5")
	if _, err = l.pin(t.Context(), lockOptions{}); err == nil || !strings.Contains(err.Error(), "nearest 27.3.4.1") || !strings.Contains(err.Error(), "\n  upstream: ") {
		t.Errorf("%v", err)
	}
}

func emptyStore(t *testing.T) *layers.Store {
	t.Helper()
	store, err := layers.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// A file that is not what upstream published ends the search, though Debian has
// the version as well.
func TestSourcesMismatch(t *testing.T) {
	site, l := newSourceSite(t)
	site.release("27.3.4.1", "upstream's")
	site.files["/erlang/otp/releases/download/OTP-27.3.4.1/otp_src_27.3.4.1.tar.gz"] = "another's!"
	l.want(t, "27.3.4.1")
	_, err := l.pin(t.Context(), lockOptions{})
	var wrong *fetch.BytesError
	if !errors.As(err, &wrong) || wrong.Want != digest.FromString("upstream's").String() || !strings.Contains(err.Error(), "pin otp 27.3.4.1: ") {
		t.Errorf("%v", err)
	}
}

// A download that breaks off goes on in the next run.
func TestSourcesResume(t *testing.T) {
	site, l := newSourceSite(t)
	content := strings.Repeat("0123456789", 10000)
	site.release("28.1", content)
	l.want(t, "28.1")
	site.cut = 40000
	if _, err := l.pin(t.Context(), lockOptions{}); err == nil || !strings.Contains(err.Error(), "otp_src_28.1.tar.gz: unexpected EOF") {
		t.Fatal(err)
	}
	site.cut, site.asked = 0, nil
	got, err := l.pin(t.Context(), lockOptions{})
	if err != nil || got.Digest != digest.FromString(content) || got.Size != int64(len(content)) {
		t.Fatalf("%+v, %v", got, err)
	}
	if last := site.asked[len(site.asked)-1]; !strings.HasSuffix(last, "otp_src_28.1.tar.gz bytes=40000-") {
		t.Errorf("asked %q", site.asked)
	}
}

// What fits stays, without a question while it is at hand.
func TestSourcesKept(t *testing.T) {
	site, l := newSourceSite(t)
	site.release("27.3.4.1", "upstream's")
	l.want(t, "27.3.4.1")
	first, err := l.pin(t.Context(), lockOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l.old = &env.Lock{Sources: []env.Source{first}}
	site.asked = nil
	if got, err := l.pin(t.Context(), lockOptions{}); err != nil || got.Digest != first.Digest || len(site.asked) > 0 || len(l.moves) > 0 {
		t.Errorf("%+v, %v, asked %q, moved %v", got, err, site.asked, l.moves)
	}
	// Upstream's tarball was made anew: the pin keeps, until told otherwise.
	site.release("27.3.4.1", "made anew")
	if got, err := l.pin(t.Context(), lockOptions{update: []string{"otp"}}); err != nil || got.Digest != digest.FromString("made anew") {
		t.Errorf("%+v, %v", got, err)
	}
	if len(l.moves) != 1 || l.moves[0].String() != "otp: 27.3.4.1 -> 27.3.4.1 from "+first.URL {
		t.Errorf("moved %v", l.moves)
	}
	// Not at hand, and nobody can be asked: that is no reason to move it.
	l.store = emptyStore(t)
	site.down = true
	if got, err := l.pin(t.Context(), lockOptions{}); err == nil {
		t.Errorf("%+v", got)
	}
	if err := l.checkSources(t.Context()); err == nil || !strings.Contains(err.Error(), "check otp 27.3.4.1: ") || !strings.Contains(err.Error(), "502") {
		t.Error(err)
	}
	l.old = &env.Lock{}
	if err := l.checkSources(t.Context()); !errors.Is(err, env.ErrLockLacks) {
		t.Error(err)
	}
}

func TestSourceMoves(t *testing.T) {
	pin := func(tool, want, version, content string) env.Source {
		return env.Source{Tool: tool, Want: want, Version: version, URL: "x:" + version, Digest: digest.FromString(content)}
	}
	before := &env.Lock{Sources: []env.Source{pin("elixir", "1.18", "1.18.3", "a"), pin("hex", "2.0.6", "2.0.6", "h"), pin("otp", "26", "26.2.5", "o"), pin("otp", "27", "27.0", "p")}}
	after := &env.Lock{Sources: []env.Source{pin("elixir", "1.18.4", "1.18.4", "b"), pin("openssl", "3.5", "3.5.7", "s"), pin("otp", "27", "27.3", "q"), pin("otp", "28", "28.1", "r")}}
	var got []string
	for _, m := range sourceMoves(before, after) {
		got = append(got, m.String())
	}
	want := []string{
		"openssl 3.5: new, 3.5.7 from x:3.5.7", "otp 27: 27.0 -> 27.3 from x:27.3", "otp 28: 26.2.5 -> 28.1 from x:28.1",
		"elixir: 1.18.3 -> 1.18.4 from x:1.18.4", "hex: gone, was 2.0.6",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
