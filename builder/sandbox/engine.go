package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/builder/sandbox/inside"
)

// Engine runs processes in namespaces of this machine. The zero value is
// ready to use, by many goroutines at once.
type Engine struct {
	// ASLR leaves address space randomisation on, for tests of what depends
	// on it.
	ASLR bool

	legacy bool // as on a kernel without lowerdir+
}

// Init must be the first call of main and of TestMain in every program that
// uses an Engine or Probe, which start the program again inside. It returns
// at once in every other process.
func Init() {
	if len(os.Args) == 1 && os.Args[0] == "/"+probeName {
		os.Exit(runProbe())
	}
}

// New is an engine as builds want it.
func New() *Engine { return new(Engine) }

// Run implements builder.Engine. What p.Work.Tmp held for the kernel is
// removed again; Upper is left as the program left it, deleted files as
// overlayfs whiteouts and replaced directories with the attribute
// user.overlay.opaque. If p.Stdin is not an *os.File and blocks, the call
// that reads it outlives Run until it returns.
func (e *Engine) Run(ctx context.Context, p builder.Process) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := e.run(ctx, p)
	var program *builder.ExitError
	var lacks *builder.UnavailableError
	if err == nil || errors.As(err, &program) || errors.As(err, &lacks) || err == ctx.Err() {
		return err
	}
	return fmt.Errorf("run in sandbox: %w", err)
}

func (e *Engine) run(ctx context.Context, p builder.Process) error {
	s, err := newSpec(p)
	if err != nil {
		return err
	}
	s.ASLR, s.Legacy = e.ASLR, e.legacy
	if err := CheckPlatform(p.Platform); err != nil {
		return err
	}
	streams, err := newStreams(p, s)
	if err != nil {
		return err
	}
	defer streams.close()
	frame, err := inside.Encode(s)
	if err != nil {
		return err
	}
	end, err := e.supervise(ctx, frame, streams)
	if p.Work != nil {
		err = errors.Join(err, emptyTemp(p.Work.Tmp))
	}
	if err != nil {
		return err
	}
	return end.result(ctx)
}

// ending is all that is known of a run once every process of it is dead.
type ending struct {
	last   inside.Reply // what the init said last
	silent bool         // it said nothing
	state  *os.ProcessState
	killed bool  // by us, because ctx ended
	output error // of a writer or of the terminal
}

// supervise starts an init, sends it frame and stays with it until the kernel
// has taken down its process namespace.
func (e *Engine) supervise(ctx context.Context, frame []byte, streams *streams) (*ending, error) {
	local, remote, err := socketPair()
	if err != nil {
		return nil, err
	}
	init := &peer{conn: local}
	defer init.close()
	child, err := startInit(streams.childFiles(), remote)
	remote.Close()
	streams.closeChild()
	if err != nil {
		return nil, err
	}
	end := &ending{silent: true}
	stop := context.AfterFunc(ctx, child.kill)
	copied := make(chan error, 1)
	go func() { copied <- streams.copy() }()
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		// An init that cannot be told what to do dies and is silent.
		if _, err := init.conn.Write(frame); err != nil {
			return
		}
		for {
			r, err := init.next()
			if err != nil {
				return
			}
			if r.Terminal {
				streams.attach(init.master)
				continue
			}
			end.last, end.silent = r, false
		}
	}()
	end.state, err = child.wait()
	end.killed = !stop()
	<-heard
	streams.finish()
	end.output = <-copied
	return end, err
}

// result says how a run ended in terms of builder.Engine.
func (end *ending) result(ctx context.Context) error {
	switch {
	case !end.silent && end.last.Fault != nil:
		return public(end.last.Fault)
	case !end.silent && end.last.Exit != nil:
		if end.output != nil {
			return fmt.Errorf("copy output: %w", end.output)
		}
		return result(end.last.Exit)
	case end.killed:
		return ctx.Err()
	}
	return &builder.UnavailableError{Missing: []builder.Missing{{
		What: "sandbox init", Why: "ended without a word: " + end.state.String(),
		Remedy: "call sandbox.Init first in main; if the kernel log shows an out-of-memory kill, run fewer jobs",
	}}}
}

func result(x *inside.Exit) error {
	if x.Code == 0 && x.Signal == 0 {
		return nil
	}
	e := &builder.ExitError{Code: x.Code}
	if x.Signal != 0 {
		if e.Signal = unix.SignalName(syscall.Signal(x.Signal)); e.Signal == "" {
			e.Signal = fmt.Sprintf("signal %d", x.Signal)
		}
	}
	return e
}

// emptyTemp removes what overlayfs leaves in its work directory: directories
// without any permission, in which only root could do so later.
func emptyTemp(dir string) error {
	err := removeTree(filepath.Join(dir, "work"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("empty overlay work directory: %w", err)
	}
	return nil
}

// removeTree removes a directory after letting itself into it.
func removeTree(dir string) error {
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		if e.IsDir() {
			err = removeTree(name)
		} else {
			err = os.Remove(name)
		}
		if err != nil {
			return err
		}
	}
	return os.Remove(dir)
}
