package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/internal/fixture"
	"github.com/retort-build/retort/layers"
)

// private is the repository of an organisation, with one package, and its
// entry of mix.lock.
func private(t *testing.T) (url string, locked hex.Locked) {
	t.Helper()
	var packages []fixture.HexPackage
	for _, p := range fixture.HexPackages() {
		if p.Name == "acme_price" {
			packages = append(packages, p)
		}
	}
	repo, err := fixture.BuildHexRepo(t.Context(), fixture.Sources{}, packages)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(repo.Handler())
	t.Cleanup(server.Close)
	text, err := repo.Lock("acme_price")
	if err != nil {
		t.Fatal(err)
	}
	all, err := hex.ParseLock("mix.lock", text)
	if err != nil {
		t.Fatal(err)
	}
	return server.URL, all[0]
}

// TestPrivatePackage fetches a package with a key from every place that a key
// may come from, and without.
func TestPrivatePackage(t *testing.T) {
	url, locked := private(t)
	const key = fixture.HexOrganisationKey
	at := url + "/repos/acme"
	config := func(key string) string {
		return "{'$repos',#{<<\"hexpm:acme\">> => #{auth_key => <<\"" + key + "\">>,url => <<\"" + at + "\">>}}}.\n"
	}
	for _, tt := range []struct {
		name  string
		env   map[string]string
		files map[string]string // below HOME
		repo  *env.HexRepo
		fails []string // words of the error; none if it succeeds
		warns string
	}{
		{name: "variable by default", env: map[string]string{"RETORT_HEX_HEXPM_ACME_KEY": key}, repo: &env.HexRepo{URL: at}},
		{name: "variable by name", env: map[string]string{"ACME": key}, repo: &env.HexRepo{URL: at, AuthEnv: "ACME"}},
		{name: "file", files: map[string]string{"acme.key": key + "\n"}, repo: &env.HexRepo{URL: at, AuthFile: "~/acme.key"}},
		{name: "file for all to read", files: map[string]string{"open.key": key}, repo: &env.HexRepo{URL: at, AuthFile: "~/open.key"}, warns: "chmod 600 ~/open.key"},
		{name: "variable before file", env: map[string]string{"RETORT_HEX_HEXPM_ACME_KEY": key}, files: map[string]string{"acme.key": "other"}, repo: &env.HexRepo{URL: at, AuthFile: "~/acme.key"}},
		{name: "HEX_REPOS_KEY", env: map[string]string{"HEX_REPOS_KEY": key}, repo: &env.HexRepo{URL: at}},
		{name: "HEX_API_KEY", env: map[string]string{"HEX_API_KEY": key}, repo: &env.HexRepo{URL: at}},
		{name: "hex.config", files: map[string]string{".hex/hex.config": config(key)}, repo: &env.HexRepo{URL: at}},
		{name: "hex.config alone", files: map[string]string{".hex/hex.config": config(key)}},
		{name: "trusted mirror", env: map[string]string{"HEX_TRUSTED_MIRROR": url, "HEX_REPOS_KEY": key}},
		{name: "none", repo: &env.HexRepo{URL: at},
			fails: []string{"401", "hexpm:acme wants a key", "set RETORT_HEX_HEXPM_ACME_KEY or HEX_REPOS_KEY", `[hex.repos."hexpm:acme"] auth_file`}},
		{name: "a wrong one", env: map[string]string{"ACME": "wr0ng"}, repo: &env.HexRepo{URL: at, AuthEnv: "ACME"}, fails: []string{"401", "for the key in variable ACME", "set ACME"}},
		{name: "a named variable is not replaced", env: map[string]string{"HEX_REPOS_KEY": key}, repo: &env.HexRepo{URL: at, AuthEnv: "ACME"}, fails: []string{"set ACME"}},
		{name: "no such file", repo: &env.HexRepo{URL: at, AuthFile: "~/none"}, fails: []string{"read key of Hex repository hexpm:acme", "no such file"}},
		{name: "a file of more", files: map[string]string{"acme.key": "wr0ng\nkeys"}, repo: &env.HexRepo{URL: at, AuthFile: "~/acme.key"}, fails: []string{"a key and nothing else"}},
		{name: "no hex.config", files: map[string]string{".hex/hex.config": "%{wr0ng"}, repo: &env.HexRepo{URL: at}, fails: []string{"wants a key"}},
		{name: "a damaged hex.config", files: map[string]string{".hex/hex.config": "{wr0ng"}, repo: &env.HexRepo{URL: at}, fails: []string{"read hex.config", "mix hex.organization"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := t.TempDir()
			t.Setenv("HOME", home)
			for _, name := range []string{"RETORT_HEX_HEXPM_ACME_KEY", "HEX_REPOS_KEY", "HEX_API_KEY", "HEX_HOME", "MIX_XDG", "HEX_MIRROR", "HEX_TRUSTED_MIRROR", "ACME"} {
				t.Setenv(name, tt.env[name])
			}
			for name, text := range tt.files {
				mode := os.FileMode(0o600)
				if strings.HasPrefix(name, "open") {
					mode = 0o644
				}
				file := filepath.Join(home, name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte(text), mode); err != nil {
					t.Fatal(err)
				}
			}
			var c env.Config
			if r := tt.repo; r != nil {
				r.Name = "hexpm:acme"
				if r.AuthEnv == "" {
					r.AuthEnv = env.DefaultAuthEnv(r.Name)
				}
				c.Hex.Repos = []env.HexRepo{*r}
			}
			var warnings strings.Builder
			warn := func(format string, args ...any) { fmt.Fprintf(&warnings, format+"\n", args...) }
			err := fetchPrivate(t, c, locked, warn)
			if tt.warns == "" && warnings.Len() > 0 || !strings.Contains(warnings.String(), tt.warns) {
				t.Errorf("warned %q", warnings.String())
			}
			if (err == nil) != (tt.fails == nil) {
				t.Fatalf("got %v, want %q", err, tt.fails)
			}
			for _, words := range tt.fails {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("got %v, want %q in it", err, words)
				}
			}
			if err != nil && (strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "wr0ng")) {
				t.Errorf("the key stands in %v", err)
			}
		})
	}
}

func fetchPrivate(t *testing.T, c env.Config, locked hex.Locked, warn func(string, ...any)) error {
	t.Helper()
	repos, err := findHexRepos(c, settings{}, []hex.Locked{locked}, warn)
	if err != nil {
		return err
	}
	f := fetcher{client: &fetch.Client{Retries: -1}, hex: repos}
	recipe := &layers.Recipe{Kind: layers.UnpackHex, Archive: layers.Archive{
		Digest: locked.Outer, Lock: fmt.Sprintf("%%{%q: %s}", locked.App, locked.Text),
	}}
	var body fetch.Buffer
	return f.Fetch(t.Context(), recipe, &body, func(int64) {})
}

// TestPrivateMirror shows that no mirror is sent a key that is not for it.
func TestPrivateMirror(t *testing.T) {
	_, locked := private(t)
	var asked []string
	mirror := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Header.Get("Authorization"))
		http.NotFound(w, r)
	}))
	defer mirror.Close()
	t.Setenv("HOME", t.TempDir())
	t.Setenv("HEX_MIRROR", mirror.URL)
	t.Setenv("RETORT_HEX_HEXPM_ACME_KEY", "s3cr3t")
	// Nothing answers where the organisation's own repository is said to be.
	c := env.Config{Hex: env.Hex{Repos: []env.HexRepo{{Name: "hexpm:acme", URL: "http://127.0.0.1:1/repos/acme", AuthEnv: "RETORT_HEX_HEXPM_ACME_KEY"}}}}
	if err := fetchPrivate(t, c, locked, t.Logf); err == nil {
		t.Error("fetched from nowhere")
	}
	if len(asked) > 0 {
		t.Errorf("a mirror was asked with the keys %q", asked)
	}
}

func TestKeyInSource(t *testing.T) {
	dir := t.TempDir()
	c := env.Config{Hex: env.Hex{Repos: []env.HexRepo{{Name: "own", AuthFile: filepath.Join(dir, "own.key")}}}}
	if err := checkAuthFiles(c, dir, []layers.SourceFile{{Path: "mix.exs"}}); err != nil {
		t.Errorf("an ignored file: %v", err)
	}
	if err := checkAuthFiles(c, dir, []layers.SourceFile{{Path: "own.key"}}); err == nil || !strings.Contains(err.Error(), "becomes a layer") {
		t.Errorf("a file of the source: %v", err)
	}
}

func TestGitPasswordIsRefused(t *testing.T) {
	locked, err := hex.ParseLock("mix.lock", []byte(`%{"x": {:git, "https://me:hunter2@git.example/x", "0123456789012345678901234567890123456789", []}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := checkGit(locked); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "insteadOf") {
		t.Errorf("got %v", err)
	}
}
