package main

import (
	"context"
	"flag"
	"runtime"
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
	group                            *group
}

// A group is what the sessions of one build share, which work at the same time.
type group struct {
	progress *progress
	turns    *builder.Turns
	source   func(context.Context, *workspace) (listing, error) // the same for all
}

// newGroup begins a build for a number of platforms.
func (t *terminal) newGroup(o sessionFlags, platforms int) (*group, error) {
	p, err := newProgress(t, o.progress)
	if err != nil {
		return nil, err
	}
	p.several = platforms > 1
	var once sync.Once
	var l listing
	source := func(ctx context.Context, w *workspace) (listing, error) {
		once.Do(func() { l, err = w.list(ctx) })
		return l, err
	}
	return &group{progress: p, turns: builder.NewTurns(o.atOnce()), source: source}, nil
}

// atOnce is how many steps run at the same time.
func (o sessionFlags) atOnce() int {
	if o.jobs < 1 {
		return runtime.NumCPU()
	}
	return o.jobs
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
	*group
	builder     *builder.Builder
	incremental *bool
	trees       sync.Map // registry.Tree by DiffID, read ahead
}

func (t *terminal) session(ctx context.Context, o sessionFlags) (*session, error) {
	p, err := o.onePlatform()
	if err != nil {
		return nil, err
	}
	t.report(p)
	w, err := t.open(ctx, p, o.target, o.with)
	if err != nil {
		return nil, err
	}
	for _, warning := range w.store.Warnings() {
		t.warn("%s", warning)
	}
	if o.group == nil {
		if o.group, err = t.newGroup(o, 1); err != nil {
			w.close()
			return nil, err
		}
	}
	s := &session{workspace: w, group: o.group, incremental: o.incremental}
	if s.builder, err = w.builder(s.progress, o.atOnce(), o.verbose); err != nil {
		s.close()
		return nil, err
	}
	s.builder.Turns = s.turns
	return s, nil
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
	l, err := s.source(ctx, s.workspace)
	if err != nil {
		return builder.Built{}, err
	}
	s.compileMode(l.at)
	app, err := s.appOf(ctx, l.files)
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
