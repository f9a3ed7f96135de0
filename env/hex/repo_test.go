package hex

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCandidates(t *testing.T) {
	const key = "s3cr3t"
	auth := http.Header{"Authorization": {key}}
	for _, tt := range []struct {
		name   string
		repo   string
		repos  []Repo
		urls   []string
		header http.Header
	}{
		{"the public repository", "hexpm", nil, []string{"https://repo.hex.pm/tarballs/a-1.0.0.tar"}, http.Header{}},
		{"a mirror", "hexpm", []Repo{{Name: "hexpm", Mirrors: []string{"https://m.example/hex/"}}},
			[]string{"https://m.example/hex/tarballs/a-1.0.0.tar", "https://repo.hex.pm/tarballs/a-1.0.0.tar"}, http.Header{}},
		{"another place", "hexpm", []Repo{{Name: "hexpm", URL: "http://127.0.0.1:1/"}}, []string{"http://127.0.0.1:1/tarballs/a-1.0.0.tar"}, http.Header{}},
		{"an organisation without key", "hexpm:acme", nil, []string{"https://repo.hex.pm/repos/acme/tarballs/a-1.0.0.tar"}, http.Header{}},
		{"an organisation", "hexpm:acme", []Repo{{Name: "hexpm:acme", Key: key}}, []string{"https://repo.hex.pm/repos/acme/tarballs/a-1.0.0.tar"}, auth},
		{"an organisation asks no mirror", "hexpm:acme", []Repo{{Name: "hexpm", Mirrors: []string{"https://m.example"}}, {Name: "hexpm:acme", Key: key}},
			[]string{"https://repo.hex.pm/repos/acme/tarballs/a-1.0.0.tar"}, auth},
		{"an organisation asks a trusted mirror", "hexpm:acme", []Repo{{Name: "hexpm", Mirrors: []string{"https://m.example"}, TrustMirrors: true, Key: key}},
			[]string{"https://m.example/repos/acme/tarballs/a-1.0.0.tar", "https://repo.hex.pm/repos/acme/tarballs/a-1.0.0.tar"}, auth},
		{"a key is for no mirror", "own", []Repo{{Name: "own", URL: "https://own.example", Mirrors: []string{"https://m.example"}, Key: key}},
			[]string{"https://own.example/tarballs/a-1.0.0.tar"}, auth},
		{"a private repository on loopback", "own", []Repo{{Name: "own", URL: "http://localhost:1", Key: key}}, []string{"http://localhost:1/tarballs/a-1.0.0.tar"}, auth},
	} {
		t.Run(tt.name, func(t *testing.T) {
			urls, header, err := Candidates(Locked{Kind: Package, Name: "a", Version: "1.0.0", Repo: tt.repo}, tt.repos)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.urls, urls) + cmp.Diff(tt.header, header); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCandidatesRefuses(t *testing.T) {
	const key = "s3cr3t"
	for _, tt := range []struct {
		name, repo string
		repos      []Repo
		want       string
	}{
		{"unknown", "own", nil, `"own" is not configured`},
		{"no URL", "own", []Repo{{Name: "own"}}, "has no URL"},
		{"a key in clear text", "own", []Repo{{Name: "own", URL: "http://own.example", Key: key}}, "use https"},
		{"a password in the URL", "own", []Repo{{Name: "own", URL: "https://me:" + key + "@own.example"}}, "credentials"},
		{"a malformed URL", "own", []Repo{{Name: "own", URL: "https://me:" + key + "@[own"}}, "malformed"},
		{"another scheme", "own", []Repo{{Name: "own", URL: "file:///etc"}}, "neither https nor http"},
		{"a query", "own", []Repo{{Name: "own", URL: "https://own.example/?a=" + key}}, "query"},
		{"a line break in the key", "own", []Repo{{Name: "own", URL: "https://own.example", Key: key + "\r\nX: y"}}, "line break"},
		{"a name that is a path", "../own", nil, "no such name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Candidates(Locked{Kind: Package, Name: "a", Version: "1.0.0", Repo: tt.repo}, tt.repos)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), key) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, _, err := Candidates(Locked{Kind: Git, App: "a"}, nil); err == nil {
		t.Error("a git dependency has no tarball")
	}
}

func TestSecretDoesNotPrint(t *testing.T) {
	repo := Repo{Name: "own", Key: "s3cr3t"}
	text, err := json.Marshal(repo)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{string(text), fmt.Sprint(repo), fmt.Sprintf("%+v %#v %s %q %x", repo, repo, repo.Key, repo.Key, repo.Key)} {
		if strings.Contains(s, "s3cr3t") || strings.Contains(s, fmt.Sprintf("%x", "s3cr3t")) {
			t.Errorf("the key stands in %s", s)
		}
	}
}

func TestHexpmKeyIsRead(t *testing.T) {
	key, err := Repo{Name: "hexpm:acme"}.publicKey()
	if err != nil || key.N.BitLen() != 2048 {
		t.Errorf("%v, %v", key, err)
	}
	if _, err := (Repo{Name: "own"}).publicKey(); err == nil {
		t.Error("a repository of the user's was given the key of hexpm")
	}
	if _, err := (Repo{Name: "own", PublicKey: []byte("x")}).publicKey(); err == nil {
		t.Error("a key that is none was read")
	}
}
