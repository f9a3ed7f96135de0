package builder

import (
	"context"
	"io"

	"github.com/retort-build/retort/env"
)

// Engine runs the process of one recipe. An engine executes only: what it
// leaves in Work.Upper is packed by the builder, so digests do not depend on
// the engine.
type Engine interface {
	// Run runs p to its end and returns when every process of it is dead. It
	// returns *ExitError if the program itself failed, *UnavailableError if
	// this machine cannot give the isolation that Process promises, and
	// ctx.Err() once everything is killed if ctx ends first. It is safe for
	// concurrent use. It reads p.Stdin until EOF or the end of the process and
	// closes nothing.
	Run(ctx context.Context, p Process) error
}

// Process is one program and all that it can see.
type Process struct {
	Platform env.Platform
	// Root lists the directories of the root file system, topmost first.
	Root []string
	// Scratch lets the program write to / ; the writes are thrown away.
	// Otherwise / is read-only but for Work, the Tmpfs paths and /dev/shm.
	Scratch bool
	// Work, if not nil, is mounted at Work.Path with writes going to Upper.
	Work *Work
	// Tmpfs are absolute paths of fresh empty writable directories, mode 1777
	// for /tmp and 0755 otherwise.
	Tmpfs []string
	// Binds are read-only views of host files or directories.
	Binds []Bind

	Argv []string
	Env  []string // complete environment, KEY=value; nothing is added
	Dir  string   // working directory, absolute, inside

	Stdin          io.Reader // nil is /dev/null
	Stdout, Stderr io.Writer // nil discards
	// Terminal makes Stdin, Stdout and Stderr, which must be *os.File of one
	// terminal, the program's controlling pseudo-terminal. For shell only.
	Terminal bool
}

// Work is the project directory of a run: an overlay of read-only directories.
type Work struct {
	Path   string   // absolute, inside
	Lowers []string // host directories, topmost first; may be empty
	Upper  string   // host directory, empty at start, on the store's file system; holds what the run wrote
	Tmp    string   // host directory, empty, beside Upper: overlayfs's workdir
}

// Bind makes one host file or directory visible, read-only.
type Bind struct {
	Source string // on the host
	Target string // absolute, inside; must exist in Root
}
