package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/npm"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/layers"
)

// executableFact names a file of an npm package that is made executable.
const executableFact = "executable="

// NPMStep is the name of the step that unpacks an npm package.
func NPMStep(path string) string { return "npm:" + path }

// NPMRecipes lay out the folders node_modules of one package-lock.json, which
// lies in dir.
func NPMRecipes(dir string, t npm.Tree) []layers.Recipe {
	var out []layers.Recipe
	for _, p := range t.Packages {
		r := layers.Recipe{
			Name: NPMStep(p.Path), Kind: layers.UnpackNPM, Platform: env.Any, Prefix: p.Path,
			Archive: layers.Archive{Name: p.Name, Version: p.Version, Digest: p.Integrity, URL: p.URL},
		}
		for _, file := range p.Executables {
			r.Facts = append(r.Facts, executableFact+file)
		}
		out = append(out, r)
	}
	if len(t.Links) == 0 {
		return out
	}
	var links []layers.SourceFile
	for _, l := range t.Links {
		links = append(links, layers.SourceFile{Path: l.Path, Mode: 0o777, Link: l.Target})
	}
	return append(out, filesRecipe(NPMStep(path.Join(dir, "links")), links))
}

// npmBlob is the key under which the store keeps the sha256 of an npm package,
// by its sha512. It is a hint: what it leads to is verified again.
func npmBlob(integrity digest.Digest) layers.Key {
	return layers.Key(digest.FromString("npm package " + integrity.String()).Encoded())
}

// openNPM returns the digest of the blob that has an integrity, or
// layers.ErrNotFound.
func (b *Builder) openNPM(ctx context.Context, integrity digest.Digest) (digest.Digest, error) {
	value, err := b.Store.Value(ctx, npmBlob(integrity))
	if err != nil {
		return "", err
	}
	d := digest.Digest(value)
	has, err := b.Store.HasBlob(ctx, d)
	if err == nil && !has {
		err = layers.ErrNotFound
	}
	return d, err
}

// fetchNPM brings an npm package into the store, if it is not there.
func (b *Builder) fetchNPM(ctx context.Context, r *layers.Recipe) error {
	_, err := b.openNPM(ctx, r.Archive.Digest)
	if !errors.Is(err, layers.ErrNotFound) {
		return err
	}
	if b.Fetcher == nil {
		return errNoFetcher
	}
	var arrived int64
	b.event(Event{Step: r.Name, Platform: r.Platform, Kind: Fetching, What: r.Kind})
	blob, _, err := Ingest(ctx, b.Store, r.Archive.Digest, func(to fetch.Sink) error {
		return b.Fetcher.Fetch(ctx, r, to, func(n int64) {
			arrived += n
			b.event(Event{Step: r.Name, Platform: r.Platform, Kind: Fetching, What: r.Kind, Bytes: arrived})
		})
	})
	if err != nil {
		return err
	}
	return b.Store.PutValue(ctx, npmBlob(r.Archive.Digest), []byte(blob))
}

func (b *Builder) unpackNPM(ctx context.Context, key layers.Key, r *layers.Recipe, idle func()) (layers.Layer, error) {
	d, err := b.openNPM(ctx, r.Archive.Digest)
	if err != nil {
		return layers.Layer{}, err
	}
	blob, err := b.Store.OpenBlob(ctx, d)
	if err != nil {
		return layers.Layer{}, err
	}
	defer blob.Close()
	want := npm.Want{Integrity: r.Archive.Digest}
	for _, fact := range r.Facts {
		if file, ok := strings.CutPrefix(fact, executableFact); ok {
			want.Executables = append(want.Executables, file)
		}
	}
	slices.Sort(want.Executables)
	return b.write(ctx, key, idle, func(w *layers.Writer) error {
		err := npm.Unpack(ctx, io.NewSectionReader(blob, 0, blob.Size()), blob.Size(), want, below{prefix: r.Prefix, to: w})
		if err != nil {
			return fmt.Errorf("%s@%s: %w", r.Archive.Name, r.Archive.Version, err)
		}
		return nil
	})
}
