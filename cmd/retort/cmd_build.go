package main

import (
	"context"
	"errors"
	"flag"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
	"github.com/retort-build/retort/registry"
)

// buildOptions are the flags of build.
type buildOptions struct {
	sessionFlags
	out, format string
	json        bool
	matrix      bool
	root        *layers.ProjectRoot // of all cells, or nil
}

func cmdBuild(fs *flag.FlagSet) action {
	var o buildOptions
	o.register(fs)
	fs.StringVar(&o.out, "o", "", "write the outputs to `DIR` (default dist in the project)")
	fs.StringVar(&o.format, "format", "oci", "format of the image: oci, an image layout folder, or docker, a file for docker load")
	fs.BoolVar(&o.matrix, "matrix", false, "build every cell of [matrix]; the exit status is the highest of all")
	fs.BoolVar(&o.json, "json", false, "print the results as JSON")
	return func(ctx context.Context, t *terminal, args []string) error {
		if len(args) > 0 {
			return usagef("build takes no arguments")
		}
		if o.format != string(registry.OCI) && o.format != string(registry.Docker) {
			return usagef("--format=%s: want oci or docker", o.format)
		}
		if o.matrix && o.with != "" {
			return usagef("build: --with and --matrix exclude each other")
		}
		if o.matrix {
			return buildMatrix(ctx, t, o)
		}
		return build(ctx, t, o)
	}
}

// buildResult is what `build --json` prints. Platform and Release are of the only
// platform; Platforms says the same of several.
type buildResult struct {
	Name      string          `json:"name"`
	Version   string          `json:"version"`
	Platform  string          `json:"platform,omitempty"`
	Target    string          `json:"target,omitempty"`
	Cell      string          `json:"cell,omitempty"`
	Release   string          `json:"release,omitempty"` // DiffID of the release's tree
	Platforms []platformBuild `json:"platforms,omitempty"`
	Outputs   []outputFile    `json:"outputs"`
}

type platformBuild struct {
	Platform string `json:"platform"`
	Release  string `json:"release"`
}

func build(ctx context.Context, t *terminal, o buildOptions) error {
	result, err := buildRelease(ctx, t, o)
	if err != nil {
		return err
	}
	if o.json {
		return t.printJSON(result)
	}
	for _, f := range result.Outputs {
		t.result(f.Path, f.Digest.String())
	}
	return nil
}

// buildRelease builds the release for a target, a cell and every platform that is
// asked for, and writes the outputs.
func buildRelease(ctx context.Context, t *terminal, o buildOptions) (buildResult, error) {
	var none buildResult
	platforms, err := o.platforms(t)
	if err != nil {
		return none, err
	}
	if o.group, err = t.newGroup(o.sessionFlags, len(platforms)); err != nil {
		return none, err
	}
	defer o.group.progress.close()
	var all []*finished
	defer func() {
		for _, f := range all {
			f.close()
		}
	}()
	for _, p := range platforms {
		o.platform = string(p)
		f, err := t.begin(ctx, o)
		if err != nil {
			return none, err
		}
		all = append(all, f)
	}
	building, cancel := context.WithCancel(ctx)
	defer cancel() // before what reads ahead is waited for
	if err := t.finish(building, cancel, all); err != nil {
		return none, err
	}
	outputs, err := writeOutputs(ctx, all, registry.Format(o.format))
	if err != nil {
		return none, err
	}
	if err := rememberBuilds(ctx, all, o.root); err != nil {
		return none, err
	}
	first := all[0]
	o.group.progress.phase("finished")
	o.group.progress.close()
	o.group.progress.summary()
	for _, f := range all {
		for _, note := range f.notes {
			t.say("note: %s", note)
		}
	}
	result := buildResult{Name: first.Name, Version: first.Version, Target: o.target, Cell: first.config.Cell.String(), Outputs: outputs}
	if len(all) == 1 {
		result.Platform, result.Release = string(first.config.Platform), first.Release.DiffID.String()
		return result, nil
	}
	for _, f := range all {
		result.Platforms = append(result.Platforms, platformBuild{string(f.config.Platform), f.Release.DiffID.String()})
	}
	return result, nil
}

// finished is a release that is built for one platform, and not written yet.
type finished struct {
	*session
	builder.Built
	at    commit
	dir   string // for outputs
	ahead sync.WaitGroup
}

func (f *finished) close() {
	f.ahead.Wait()
	f.session.close()
}

// begin opens what builds the release for one platform.
func (t *terminal) begin(ctx context.Context, o buildOptions) (*finished, error) {
	s, err := t.session(ctx, o.sessionFlags)
	if err != nil {
		return nil, err
	}
	f := &finished{session: s, dir: filepath.Join(s.dir, "dist")}
	if o.out != "" {
		// As with go build -C: every path is relative to the folder of -C.
		if f.dir = o.out; !filepath.IsAbs(f.dir) {
			f.dir = filepath.Join(s.dir, f.dir)
		}
	}
	return f, nil
}

// finish builds the releases, all at the same time: what several need is made once. A
// failure cancels the others; the error is that of the first which failed by itself.
func (t *terminal) finish(ctx context.Context, cancel func(), all []*finished) error {
	errs := make([]error, len(all))
	var group sync.WaitGroup
	for i, f := range all {
		group.Go(func() {
			if errs[i] = f.build(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	group.Wait()
	var first error
	for i, f := range all {
		if errs[i] != nil && (first == nil || errors.Is(first, context.Canceled)) {
			first = errs[i]
			t.report(f.config.Platform)
		}
	}
	return first
}

func (f *finished) build(ctx context.Context) error {
	l, err := f.source(ctx, f.workspace)
	if err != nil {
		return err
	}
	f.at = l.at
	f.compileMode(f.at)
	app, err := f.appOf(ctx, l.files)
	if err != nil {
		return err
	}
	f.builder.OnWork = func(have map[string]layers.Layer) { f.ahead.Go(func() { f.readAhead(ctx, have) }) }
	f.Built, err = f.builder.Release(ctx, app, f.config.Release.Name)
	return err
}

// rememberBuilds keeps what the builds were made from: for gc, which spares the
// last build of a project that still exists for each platform, and for explain. root
// is that of a matrix, or nil.
func rememberBuilds(ctx context.Context, all []*finished, root *layers.ProjectRoot) error {
	if root == nil && len(all) == 1 && all[0].config.Cell == (env.Cell{}) && !all[0].news() {
		return nil
	}
	all[0].progress.phase("remember the build")
	group, ctx := errgroup.WithContext(ctx)
	if root != nil {
		group.SetLimit(1) // all add to it
	}
	for _, f := range all {
		group.Go(func() error {
			of := root
			if of == nil {
				of = &layers.ProjectRoot{For: string(f.config.Platform)}
			}
			return f.remember(ctx, f.Built, of)
		})
	}
	return group.Wait()
}
