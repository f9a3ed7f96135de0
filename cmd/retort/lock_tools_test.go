package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/layers"
)

// npmServer is a registry that has esbuild for two platforms, and a file of
// another host.
type npmServer struct {
	*httptest.Server
	integrity string // that metadata names in place of the right one
	asked     []string
}

func newNPMServer(t *testing.T) *npmServer {
	s := &npmServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *npmServer) serve(w http.ResponseWriter, r *http.Request) {
	s.asked = append(s.asked, r.Method+" "+r.URL.Path)
	var cpu, version string
	if n, _ := fmt.Sscanf(strings.ReplaceAll(r.URL.Path, "/", " "), " @esbuild linux-%s %s", &cpu, &version); n == 2 && version != "-" {
		sum := digest.SHA512.FromString(cpu + version)
		raw := make([]byte, 0, 64)
		_, _ = fmt.Sscanf(sum.Encoded(), "%x", &raw)
		integrity := "sha512-" + base64.StdEncoding.EncodeToString(raw)
		if s.integrity != "" {
			integrity = s.integrity
		}
		fmt.Fprintf(w, `{"name": "@esbuild/linux-%s", "version": %q, "dist": {"integrity": %q}}`, cpu, version, integrity)
		return
	}
	switch base := filepath.Base(r.URL.Path); {
	case strings.HasSuffix(base, ".tgz"):
		cpu, version, _ = strings.Cut(strings.TrimSuffix(strings.TrimPrefix(base, "linux-"), ".tgz"), "-")
		_, _ = io.WriteString(w, cpu+version)
	case base == "sass-x64" || base == "sass-arm64":
		_, _ = io.WriteString(w, r.URL.Path)
	default:
		http.NotFound(w, r)
	}
}

func TestLockTools(t *testing.T) {
	server := newNPMServer(t)
	store, err := layers.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	t.Setenv("RETORT_NPM_REGISTRY", server.URL)
	manifest := func(esbuild, sass string) *env.Manifest {
		text := "[toolchain]\notp = \"27.0\"\nelixir = \"1.18.3\"\n[assets.tools.esbuild]\nversion = \"" + esbuild +
			"\"\n[target.edge.assets.tools.sass]\nversion = \"1.0\"\npath = \"_build/sass\"\nurl = \"" + server.URL + sass + "\"\n"
		m, err := env.ParseManifest("toolchain.toml", []byte(text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	l := &locker{t: &terminal{err: os.Stderr}, store: store, archive: &debian.Archive{Fetch: &fetch.Client{Retries: -1}}, manifest: manifest("0.25.4", "/{version}/sass-{cpu}")}
	lock := func(o lockOptions) (env.Lock, []string) {
		t.Helper()
		server.asked = nil
		var r debian.Result
		if err := l.tools(t.Context(), &r, o); err != nil {
			t.Fatal(err)
		}
		var moved []string
		for _, m := range r.Moved {
			moved = append(moved, movedText(m))
		}
		return r.Lock, moved
	}
	first, moved := lock(lockOptions{})
	var names []string
	for _, tool := range first.Tools {
		names = append(names, tool.Platform.Arch()+" "+tool.Name)
	}
	if want := []string{"amd64 esbuild", "amd64 sass", "arm64 esbuild", "arm64 sass"}; !slices.Equal(names, want) {
		t.Fatalf("pinned %v, want %v", names, want)
	}
	if got, want := first.Tools[2], digest.FromString("arm640.25.4"); got.Digest != want || got.Size != 11 || strings.Contains(got.URL, server.URL) {
		t.Errorf("esbuild for arm64: %+v", got)
	}
	if len(moved) != 4 || moved[0] != "linux/amd64 esbuild: new, 0.25.4" {
		t.Errorf("moved %q", moved)
	}
	if has, err := store.HasBlob(t.Context(), first.Tools[1].Digest); !has {
		t.Errorf("what was fetched is not in the store: %v", err)
	}
	// What fits stays, and nobody is asked.
	l.old = &first
	again, moved := lock(lockOptions{})
	if !slices.Equal(again.Tools, first.Tools) || len(moved) > 0 || len(server.asked) > 0 {
		t.Errorf("a second lock: %+v, moved %q, asked %q", again.Tools, moved, server.asked)
	}
	if _, _ = lock(lockOptions{update: []string{"sass"}}); !slices.Equal(server.asked, []string{"GET /1.0/sass-x64", "GET /1.0/sass-arm64"}) {
		t.Errorf("lock --update sass asked %q", server.asked)
	}
	// Another version, or another address of the same.
	l.manifest = manifest("0.25.5", "/other/{version}/sass-{cpu}")
	other, moved := lock(lockOptions{})
	if len(moved) != 2 || moved[1] != "linux/arm64 esbuild: 0.25.4 -> 0.25.5" || other.Tools[1].Digest == first.Tools[1].Digest {
		t.Errorf("moved %q: %+v", moved, other.Tools)
	}
	// The registry's own word is kept.
	server.integrity = "sha512-" + base64.StdEncoding.EncodeToString(make([]byte, 64))
	err = l.tools(t.Context(), &debian.Result{}, lockOptions{update: []string{"all"}})
	if err == nil || !strings.Contains(err.Error(), "pin esbuild 0.25.5 for linux/amd64") || !strings.Contains(err.Error(), "wrong digest: want sha512:0000") {
		t.Error(err)
	}
	l.manifest = manifest("0.25.5", "/gone")
	server.integrity = ""
	if err = l.tools(t.Context(), &debian.Result{}, lockOptions{}); err == nil || !strings.Contains(err.Error(), "pin sass 1.0") || !strings.Contains(err.Error(), "404") {
		t.Error(err)
	}
	first.Tools[0].Digest = digest.FromString("nowhere")
	if err := l.checkTools(t.Context()); err != nil {
		t.Errorf("a tool that is served: %v", err)
	}
	first.Tools[0].URL = server.URL + "/gone"
	if err := l.checkTools(t.Context()); err == nil || !strings.Contains(err.Error(), "check esbuild 0.25.4 for linux/amd64") {
		t.Error(err)
	}
}

func TestNPMRegistry(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, name := range []string{"RETORT_NPM_REGISTRY", "NPM_CONFIG_REGISTRY", "npm_config_registry"} {
		t.Setenv(name, "")
	}
	var s settings
	want := func(registry string) {
		t.Helper()
		if got, err := s.npmRegistry(); got.Base != registry || err != nil {
			t.Errorf("registry %q, %v, want %q", got.Base, err, registry)
		}
	}
	want("")
	write(t, filepath.Join(home, ".npmrc"), "; comment\nregistry = \"https://one.example/\"\n@acme:registry=https://acme.example\nregistry=${OTHER}\n//one.example/:_authToken=secret\n")
	want("https://one.example/")
	s.file.NPM.Registry = "https://two.example"
	want("https://two.example")
	for _, name := range []string{"npm_config_registry", "NPM_CONFIG_REGISTRY", "RETORT_NPM_REGISTRY"} {
		t.Setenv(name, "https://"+strings.ToLower(name)+".example")
		want("https://" + strings.ToLower(name) + ".example")
	}
	t.Setenv("RETORT_NPM_REGISTRY", "https://me:secret@npm.example/?x")
	if _, err := s.npmRegistry(); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	if err := os.Mkdir(filepath.Join(home, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := npmrcRegistry(filepath.Join(home, "folder")); err == nil {
		t.Error("a folder was read")
	}
}

func FuzzNPMRC(f *testing.F) {
	f.Add("registry=https://npm.example\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), ".npmrc")
		write(t, path, text)
		if got, err := npmrcRegistry(path); err != nil || strings.ContainsAny(got, "\n$") && strings.Contains(got, "${") {
			t.Fatalf("%q, %v", got, err)
		}
	})
}
