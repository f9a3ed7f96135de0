package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/layers"
)

// maxHexTarball bounds a Hex package, whose size no lock names.
const maxHexTarball = 256 << 20

// A fetcher brings archives from the Debian mirrors and Hex repositories that
// the user configured.
type fetcher struct {
	client   *fetch.Client
	mirrors  debian.Mirrors
	suites   []env.Suite
	packages map[digest.Digest]env.Package
	repos    []hex.Repo
}

func (w *workspace) fetcher() (*fetcher, error) {
	mirrors, err := w.settings.mirrors()
	if err != nil {
		return nil, err
	}
	repos, err := hexRepos(w.config, w.settings)
	if err != nil {
		return nil, err
	}
	f := &fetcher{
		client: &fetch.Client{}, mirrors: mirrors, suites: w.lock.Suites, repos: repos,
		packages: make(map[digest.Digest]env.Package, len(w.lock.Packages)),
	}
	for _, p := range w.lock.Packages {
		f.packages[p.Digest] = p
	}
	return f, nil
}

// hexRepos are the repositories of the manifest, with the keys that the
// environment holds for them.
func hexRepos(c env.Config, s settings) ([]hex.Repo, error) {
	repos := []hex.Repo{{Name: "hexpm"}}
	if mirror := s.file.Hex.Mirror; mirror != "" {
		repos[0].Mirrors = []string{mirror}
	}
	if mirror := os.Getenv("HEX_MIRROR"); mirror != "" {
		repos[0].Mirrors = append([]string{mirror}, repos[0].Mirrors...)
	}
	if file := s.file.Hex.PublicKey; file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read hex.public_key of the configuration: %w", err)
		}
		repos[0].PublicKey = pem
	}
	for _, r := range c.Hex.Repos {
		repo := hex.Repo{Name: r.Name, URL: r.URL, Key: hex.Secret(os.Getenv(r.AuthEnv))}
		if r.PublicKey != "" {
			pem, err := os.ReadFile(filepath.FromSlash(r.PublicKey))
			if err != nil {
				return nil, fmt.Errorf("read public key of Hex repository %s: %w", r.Name, err)
			}
			repo.PublicKey = pem
		}
		if r.Name == "hexpm" {
			repo.Mirrors = repos[0].Mirrors
			repos[0] = repo
			continue
		}
		repos = append(repos, repo)
	}
	return repos, nil
}

// Fetch downloads the archive of an unpack recipe.
func (f *fetcher) Fetch(ctx context.Context, r *layers.Recipe, to fetch.Sink, progress func(int64)) error {
	req := fetch.Request{Digest: r.Archive.Digest, Size: r.Archive.Size, Progress: progress}
	switch r.Kind {
	case layers.UnpackDeb:
		req.URLs = f.mirrors.Candidates(f.packages[r.Archive.Digest], f.suites)
	case layers.UnpackHex:
		locked, err := hex.ParseLock("lock of "+r.Name, []byte(r.Archive.Lock))
		if err != nil || len(locked) != 1 {
			return fmt.Errorf("internal error: lock entry of %s: %w", r.Name, err)
		}
		if req.URLs, req.Header, err = hex.Candidates(locked[0], f.repos); err != nil {
			return err
		}
		req.MaxSize = maxHexTarball
	}
	_, err := f.client.Get(ctx, req, to)
	return err
}
