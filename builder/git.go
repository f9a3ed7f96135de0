package builder

import (
	"context"
	"fmt"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/git"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/layers"
)

// gitStep is the name of the step that unpacks a git dependency.
func gitStep(app string) string { return "git:" + app }

// gitRecipe unpacks a git dependency as Mix checks it out, into deps/APP.
func gitRecipe(l hex.Locked) layers.Recipe {
	return layers.Recipe{
		Name: gitStep(l.App), Kind: layers.UnpackGit, Platform: env.Any, Prefix: "deps/" + l.App,
		Archive: layers.Archive{Name: l.App, Version: l.Commit, Lock: fmt.Sprintf("%%{%s}", lockEntry(l))},
	}
}

// gitSource reads the recipe's entry of mix.lock.
func gitSource(r *layers.Recipe) (git.Source, error) {
	locked, err := hex.ParseLock("lock of "+r.Name, []byte(r.Archive.Lock))
	if err != nil || len(locked) != 1 {
		return git.Source{}, fmt.Errorf("internal error: lock entry of %s: %w", r.Name, err)
	}
	return git.FromLock(locked[0])
}

// fetchGit brings r's commit into the cache of repositories, if it is not there.
func (b *Builder) fetchGit(ctx context.Context, r *layers.Recipe) error {
	source, err := gitSource(r)
	if err != nil {
		return err
	}
	if b.Git == nil {
		return errNoFetcher
	}
	var arrived int64
	b.event(Event{Step: r.Name, Platform: r.Platform, Kind: Fetching, What: r.Kind})
	return b.Git.Fetch(ctx, source, func(n int64) {
		arrived += n
		b.event(Event{Step: r.Name, Platform: r.Platform, Kind: Fetching, What: r.Kind, Bytes: arrived})
	})
}

func (b *Builder) unpackGit(ctx context.Context, key layers.Key, r *layers.Recipe, idle func()) (layers.Layer, error) {
	source, err := gitSource(r)
	if err != nil {
		return layers.Layer{}, err
	}
	return b.write(ctx, key, idle, func(w *layers.Writer) error {
		return b.Git.Unpack(ctx, source, below{prefix: r.Prefix, to: w})
	})
}
