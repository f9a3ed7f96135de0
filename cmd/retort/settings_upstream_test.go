package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-build/retort/env/upstream"
)

func TestUpstreamSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	write(t, path, "[upstream]\ngithub = \"https://gh.example/x\"\nopenssl = \"file:///srv/openssl\"\nhex_builds = \"https://hex.example\"\n")
	t.Setenv("RETORT_CONFIG", path)
	t.Setenv("RETORT_HOME", t.TempDir())
	names := []string{"RETORT_UPSTREAM_GITHUB", "RETORT_UPSTREAM_OPENSSL", "RETORT_UPSTREAM_HEX_BUILDS"}
	for _, name := range names {
		t.Setenv(name, "")
	}
	s, err := loadSettings()
	if err != nil {
		t.Fatal(err)
	}
	want := upstream.Bases{GitHub: "https://gh.example/x", OpenSSL: "file:///srv/openssl", HexBuilds: "https://hex.example"}
	if got, err := s.upstream(); got != want || err != nil {
		t.Errorf("file: got %+v, %v", got, err)
	}
	for _, name := range names {
		t.Setenv(name, "https://"+strings.ToLower(name)+".example")
	}
	want = upstream.Bases{
		GitHub:  "https://retort_upstream_github.example",
		OpenSSL: "https://retort_upstream_openssl.example", HexBuilds: "https://retort_upstream_hex_builds.example",
	}
	if got, err := s.upstream(); got != want || err != nil {
		t.Errorf("environment: got %+v, %v", got, err)
	}
	for _, bad := range []string{"me:secret@gh.example", "https://me:secret@gh.example/?x", "ssh://me:secret@gh.example"} {
		t.Setenv("RETORT_UPSTREAM_GITHUB", bad)
		if _, err := s.upstream(); err == nil || !strings.Contains(err.Error(), "upstream.github") || strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
	}
}
