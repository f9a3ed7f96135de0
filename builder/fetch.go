package builder

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/layers"
)

// errNoFetcher is what a builder without a Fetcher says of what is missing.
var errNoFetcher = errors.New("not in the store, and this build fetches nothing")

// fetch brings r's archive into the store, if it is not there.
func (b *Builder) fetch(ctx context.Context, r *layers.Recipe) error {
	if r.Kind == layers.UnpackGit {
		return b.fetchGit(ctx, r)
	}
	if r.Kind == layers.UnpackNPM {
		return b.fetchNPM(ctx, r)
	}
	a := r.Archive
	has, err := b.Store.HasBlob(ctx, a.Digest)
	if has || err != nil {
		return err
	}
	if b.Fetcher == nil {
		return errNoFetcher
	}
	size := a.Size
	if size == 0 {
		size = -1 // unknown: the digest alone decides
	}
	var arrived int64
	b.event(Event{Step: r.Name, Platform: r.Platform, Kind: Fetching, What: r.Kind, Total: a.Size})
	return FetchBlob(ctx, b.Store, a.Digest, size, func(to fetch.Sink) error {
		return b.Fetcher.Fetch(ctx, r, to, func(n int64) {
			arrived += n
			b.event(Event{Step: r.Name, Platform: r.Platform, Kind: Fetching, What: r.Kind, Bytes: arrived, Total: a.Size})
		})
	})
}

// FetchBlob stores a file of a known digest that get downloads. What an earlier
// call left of one that was cut off is taken up. size is -1 if it is not known.
func FetchBlob(ctx context.Context, store *layers.Store, d digest.Digest, size int64, get func(to fetch.Sink) error) error {
	return store.PutBlob(ctx, d, size, func(w io.Writer) error { return get(blobSink{w}) })
}

// A blobSink lets a download go on in the store's partial blob, or begin anew.
type blobSink struct{ io.Writer }

func (s blobSink) Offset() int64 {
	if r, ok := s.Writer.(layers.Resumer); ok {
		return r.Offset()
	}
	return 0
}

func (s blobSink) Reset() error {
	if r, ok := s.Writer.(layers.Resumer); ok {
		return r.Restart()
	}
	return errors.New("internal error: a blob that cannot start anew")
}

// bySize orders tasks so that the largest archives come first and everything
// else keeps its place behind them.
func bySize(tasks []*task) []*task {
	out := slices.Clone(tasks)
	slices.SortStableFunc(out, func(x, y *task) int {
		return int(min(max(y.recipe.Archive.Size-x.recipe.Archive.Size, -1), 1))
	})
	return out
}
