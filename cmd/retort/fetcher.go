package main

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/env/npm"
	"github.com/retort-build/retort/env/upstream"
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
	sources  map[digest.Digest]env.Source
	upstream *upstream.Client
	dir      string // of the lock
	hex      hexRepos
	npm      npm.Registry
}

// fetcher finds what it fetches with, and warns of keys that others can read.
func (w *workspace) fetcher(warn func(format string, args ...any)) (*fetcher, error) {
	mirrors, err := w.settings.mirrors()
	if err != nil {
		return nil, err
	}
	locked, err := readMixLock(w.dir)
	if err != nil {
		return nil, err
	}
	repos, err := findHexRepos(w.config, w.settings, locked, warn)
	if err != nil {
		return nil, err
	}
	registry, err := w.settings.npmRegistry()
	if err != nil {
		return nil, err
	}
	f := &fetcher{
		npm: registry, client: &fetch.Client{}, mirrors: mirrors, suites: w.lock.Suites, hex: repos,
		packages: make(map[digest.Digest]env.Package, len(w.lock.Packages)),
		sources:  make(map[digest.Digest]env.Source, len(w.lock.Sources)),
		dir:      w.dir,
	}
	bases, err := w.settings.upstream()
	if err != nil {
		return nil, err
	}
	f.upstream = &upstream.Client{Fetch: f.client, Bases: bases}
	for _, s := range w.lock.Sources {
		f.sources[s.Digest] = s
	}
	for _, p := range w.lock.Packages {
		f.packages[p.Digest] = p
	}
	return f, nil
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
		if req.URLs, req.Header, err = hex.Candidates(locked[0], f.hex.list); err != nil {
			return err
		}
		req.MaxSize = maxHexTarball
		_, err = f.client.Get(ctx, req, to)
		return f.hex.explain(locked[0], err)
	case layers.UnpackSource:
		var err error
		if req.URLs, err = sourceURLs(f.sources[r.Archive.Digest], f.dir, f.mirrors, f.upstream); err != nil {
			return err
		}
	case layers.UnpackNPM, layers.UnpackTool:
		urls, err := f.npm.Locate(r.Archive.URL)
		if err != nil {
			return err
		}
		req.URLs, req.MaxSize = urls, npm.MaxTarball
	}
	_, err := f.client.Get(ctx, req, to)
	return err
}
