package hex_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/internal/fixture"
)

// served is a repository of the kit's own packages, and of one that needs pc.
func served(t *testing.T) string {
	t.Helper()
	var packages []fixture.HexPackage
	for _, p := range fixture.HexPackages() {
		if p.Embedded != "" {
			packages = append(packages, p)
		}
	}
	uses := packages[0]
	uses.Name, uses.Version, uses.Requires, uses.Organisation = "uses_pc", "1.15.0", []fixture.HexRequirement{{Name: "pc", Version: "~> 1.15"}}, ""
	picky := uses
	picky.Name, picky.Requires = "wants_other_pc", []fixture.HexRequirement{{Name: "pc", Version: "~> 2.0"}}
	repo, err := fixture.BuildHexRepo(context.Background(), fixture.Sources{}, append(packages, uses, picky))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(repo.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

func fetched(t *testing.T, url string) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", fixture.HexOrganisationKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, resp.Status, err)
	}
	return b.Bytes()
}

func TestReadReleases(t *testing.T) {
	url := served(t)
	kit := func(name string) hex.Repo { return hex.Repo{Name: name, PublicKey: fixture.HexPublicKey} }
	pc, private := fetched(t, url+"/packages/pc"), fetched(t, url+"/repos/acme/packages/acme_price")
	tampered := bytes.Replace(pc, []byte("1.15.0"), []byte("1.16.0"), 1)
	var unsigned bytes.Buffer
	w := gzip.NewWriter(&unsigned)
	_, _ = w.Write([]byte("\x0a\x02hi"))
	_ = w.Close()
	for _, tt := range []struct {
		name    string
		repo    hex.Repo
		pkg     string
		body    []byte
		want    string // of the release
		wantErr string
	}{
		{"public", kit("hexpm"), "pc", pc, "1.15.0", ""},
		{"organisation", kit("hexpm:acme"), "acme_price", private, "0.3.0", ""},
		{"signed by another", hex.Repo{Name: "hexpm"}, "pc", pc, "", "its signature is not the repository's"},
		{"another package's file", kit("hexpm"), "jason", pc, "", `about package "pc"`},
		{"another repository's file", kit("own"), "pc", pc, "", `of "hexpm"`},
		{"an organisation's file as public", kit("hexpm"), "acme_price", private, "", `of "acme"`},
		{"tampered", kit("hexpm"), "pc", tampered, "", "checksum"},
		{"unsigned", kit("hexpm"), "pc", unsigned.Bytes(), "", "not signed"},
		{"no gzip", kit("hexpm"), "pc", []byte("<html><body>not found</body></html>"), "", "gzip"},
		{"a repository without key", hex.Repo{Name: "own"}, "pc", pc, "", "has no public key"},
		{"a key that is too small", hex.Repo{Name: "own", PublicKey: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})}, "pc", pc, "", "its public key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := hex.ReadReleases(tt.repo, tt.pkg, tt.body)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("got %v, want %q", err, tt.wantErr)
				}
				return
			}
			if err != nil || len(got) != 1 || got[0].Version != tt.want || got[0].Outer == "" || got[0].Inner == "" {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	url := served(t)
	repos := []hex.Repo{
		{Name: "hexpm", URL: url, PublicKey: fixture.HexPublicKey},
		{Name: "hexpm:acme", Key: fixture.HexOrganisationKey},
	}
	want := func(name, version string) hex.Requirement { return hex.Requirement{Name: name, Version: version} }
	for _, tt := range []struct {
		name    string
		repos   []hex.Repo
		want    []hex.Requirement
		pins    []string
		wantErr string
	}{
		{"exact", repos, []hex.Requirement{want("pc", "1.15.0")}, []string{"pc 1.15.0 hexpm"}, ""},
		{"requirements are followed", repos, []hex.Requirement{want("uses_pc", "")}, []string{"pc 1.15.0 hexpm", "uses_pc 1.15.0 hexpm"}, ""},
		{"organisation", repos, []hex.Requirement{{Name: "acme_price", Version: "~> 0.3", Repo: "hexpm:acme"}}, []string{"acme_price 0.3.0 hexpm:acme"}, ""},
		{"none", repos, nil, nil, ""},
		{"no such version", repos, []hex.Requirement{want("pc", "1.16.0")}, nil, "none of its 1 releases"},
		{"no such package", repos, []hex.Requirement{want("nope", "1.0.0")}, nil, "404"},
		{"conflict", repos, []hex.Requirement{want("pc", "~> 1.15"), want("wants_other_pc", "")}, nil, "1.15.0 is chosen already"},
		{"bad requirement", repos, []hex.Requirement{want("pc", "latest")}, nil, "no version"},
		{"bad name", repos, []hex.Requirement{want("../pc", "1.0.0")}, nil, "no package name"},
		{"a mirror with other files is passed over", []hex.Repo{{Name: "hexpm", URL: url, Mirrors: []string{url + "/absent", url + "/repos"}, PublicKey: fixture.HexPublicKey}},
			[]hex.Requirement{want("pc", "1.15.0")}, []string{"pc 1.15.0 hexpm"}, ""},
		{"a registry of another's", []hex.Repo{{Name: "hexpm", URL: url}}, []hex.Requirement{want("pc", "1.15.0")}, nil, "signature"},
		{"without the organisation's key", repos[:1], []hex.Requirement{{Name: "acme_price", Repo: "hexpm:acme"}}, nil, "401"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pins, err := hex.Resolver{Repos: tt.repos, Fetch: &fetch.Client{Retries: -1}}.Resolve(context.Background(), tt.want)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) || strings.Contains(err.Error(), fixture.HexOrganisationKey) {
					t.Errorf("got %v, want %q", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range pins {
				got = append(got, p.Name+" "+p.Version+" "+p.Repo)
			}
			if diff := cmp.Diff(tt.pins, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is pinned can be located, verified and unpacked.
func TestPinUnpacks(t *testing.T) {
	repos := []hex.Repo{{Name: "hexpm", URL: served(t), PublicKey: fixture.HexPublicKey}}
	pins, err := hex.Resolver{Repos: repos}.Resolve(context.Background(), []hex.Requirement{{Name: "pc", Version: "1.15.0"}})
	if err != nil {
		t.Fatal(err)
	}
	l := hex.FromPin(pins[0])
	urls, _, err := hex.Candidates(l, repos)
	if err != nil {
		t.Fatal(err)
	}
	data := fetched(t, urls[0])
	var sink collected
	m, err := unpack(data, l.Want(), &sink)
	if err != nil {
		t.Fatal(err)
	}
	if m.App != "pc" || !strings.Contains(sink.content["src/pc.app.src"], "application, pc") {
		t.Errorf("%+v", m)
	}
}
