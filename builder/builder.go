package builder

import (
	"context"
	"io"

	"github.com/retort-build/retort/env/git"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/layers"
)

// Builder realises plans into a store. Its fields are set before first use and
// not changed after; its methods are safe for concurrent use.
type Builder struct {
	Store   *layers.Store
	Engine  Engine
	Fetcher Fetcher
	// Git has the trees of git dependencies; nil means that there are none.
	Git *git.Cache
	// Open gives the content of a file of a Files recipe. The builder checks
	// it against the file's digest.
	Open func(r *layers.Recipe, f layers.SourceFile) (io.ReadCloser, error)
	// Jobs bounds how many steps run at once; below 1 means 1.
	Jobs int
	// Incremental lets a program that can begin from what its last run for
	// Project left. What it makes then has a key of its own.
	Incremental bool
	Project     string // names the project; reaches no result
	// Emulated is what programs find in their environment besides if they run under
	// an emulator. It is in no key.
	Emulated []string
	// Turns, if not nil, are shared with other builders of the same store that work
	// at the same time: they take turns, and what several want is made by one.
	Turns *Turns
	// OnEvent, if not nil, is told what happens, from several goroutines at once.
	OnEvent func(Event)
	// OnWork, if not nil, is told what the store has of a plan before the rest is
	// realised.
	OnWork func(have map[string]layers.Layer)
	// Log, if not nil, receives the output of each step's program as it comes.
	Log func(step string) io.Writer
}

// Fetcher brings the archive that a recipe unpacks. What it writes is
// untrusted: the store verifies it. It returns *fetch.NotFoundError when every
// source said that it has no such file.
type Fetcher interface {
	Fetch(ctx context.Context, r *layers.Recipe, to fetch.Sink, progress func(n int64)) error
}

func (b *Builder) event(e Event) {
	if b.OnEvent != nil {
		b.OnEvent(e)
	}
}

func (b *Builder) jobs() int { return max(b.Jobs, 1) }
