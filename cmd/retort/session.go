package main

import (
	"context"
	"flag"
	"slices"
	"strconv"
	"sync"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/layers"
)

// sessionFlags are common to all commands that look at a build.
type sessionFlags struct {
	platform, target, with, progress string
	jobs                             int
	verbose                          bool
	incremental                      *bool // nil: if the work tree is not a clean commit
}

func (o *sessionFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&o.platform, "platform", "", "build for `OS/ARCH` (default this machine's); retort build takes several, separated by commas, and all for those of toolchain.toml")
	fs.StringVar(&o.target, "target", "", "build the variant that [target.`NAME`] describes")
	fs.StringVar(&o.with, "with", "", "build with one cell of [matrix], named by `TOOL=VERSION,...`")
	fs.StringVar(&o.progress, "progress", "auto", "show progress as auto, tty, plain, json or quiet")
	fs.IntVar(&o.jobs, "jobs", 0, "run `N` steps at once (default the number of CPUs)")
	fs.BoolVar(&o.verbose, "v", false, "show the output of each step")
	fs.BoolFunc("incremental", "recompile of the application only what changed since the last build (default if the work tree is no clean commit)", func(text string) error {
		value, err := strconv.ParseBool(text)
		o.incremental = &value
		return err
	})
}

// A session is a workspace with a builder and its progress on the terminal.
type session struct {
	*workspace
	builder     *builder.Builder
	progress    *progress
	incremental *bool
	trees       sync.Map // registry.Tree by DiffID, read ahead
}

func (t *terminal) session(ctx context.Context, o sessionFlags) (*session, error) {
	p, err := o.onePlatform()
	if err != nil {
		return nil, err
	}
	t.platform = ""
	if p != native() {
		t.platform = p
	}
	w, err := t.open(ctx, p, o.target, o.with)
	if err != nil {
		return nil, err
	}
	for _, warning := range w.store.Warnings() {
		t.warn("%s", warning)
	}
	progress, err := newProgress(t, o.progress)
	if err != nil {
		w.close()
		return nil, err
	}
	b, err := w.builder(progress, o.jobs, o.verbose)
	if err != nil {
		progress.close()
		w.close()
		return nil, err
	}
	return &session{workspace: w, builder: b, progress: progress, incremental: o.incremental}, nil
}

// compileMode settles whether the application is compiled incrementally: what
// the user says, else whether the source is anything but a commit.
func (s *session) compileMode(at commit) {
	s.builder.Incremental = at.revision == ""
	if s.incremental != nil {
		s.builder.Incremental = *s.incremental
	}
}

func (s *session) close() {
	s.progress.close()
	s.workspace.close()
}

// plan asks Mix about the project, if the store does not know the answer, and
// returns the plan of the release.
func (s *session) plan(ctx context.Context) (builder.Built, error) {
	at, err := s.commit(ctx)
	if err != nil {
		return builder.Built{}, err
	}
	s.compileMode(at)
	app, err := s.app(ctx)
	if err != nil {
		return builder.Built{}, err
	}
	return s.builder.Plan(ctx, app, s.config.Release.Name)
}

// planFor is plan, but for the steps up to the one that asks Mix: entering
// these must work where asking fails.
func (s *session) planFor(ctx context.Context, step string) (layers.Plan, error) {
	app, err := s.app(ctx)
	if err != nil {
		return layers.Plan{}, err
	}
	if asking, err := app.ProjectPlan(); err != nil || slices.Contains(builder.RunSteps(asking), step) {
		return asking, err
	}
	built, err := s.builder.Plan(ctx, app, s.config.Release.Name)
	return built.Plan, err
}
