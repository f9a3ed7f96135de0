package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"sync"

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

// buildResult is what `build --json` prints.
type buildResult struct {
	Name     string       `json:"name"`
	Version  string       `json:"version"`
	Platform string       `json:"platform"`
	Target   string       `json:"target,omitempty"`
	Cell     string       `json:"cell,omitempty"`
	Release  string       `json:"release"` // DiffID of the release's tree
	Outputs  []outputFile `json:"outputs"`
}

func build(ctx context.Context, t *terminal, o buildOptions) error {
	result, err := buildOne(ctx, t, o)
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

// buildOne builds the release for a target and cell, and writes its outputs.
func buildOne(ctx context.Context, t *terminal, o buildOptions) (buildResult, error) {
	var none buildResult
	s, err := t.session(ctx, o.sessionFlags)
	if err != nil {
		return none, err
	}
	defer s.close()
	s.root = o.root
	dir := filepath.Join(s.dir, "dist")
	if o.out != "" {
		// As with go build -C: every path is relative to the folder of -C.
		if dir = o.out; !filepath.IsAbs(dir) {
			dir = filepath.Join(s.dir, dir)
		}
	}
	// What git says of the source it says of the source that is listed now.
	var at commit
	var atErr error
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		at, atErr = s.commit(ctx)
	}()
	defer func() { <-asked }()
	app, err := s.app(ctx)
	if err != nil {
		return none, err
	}
	if <-asked; atErr != nil {
		return none, atErr
	}
	s.compileMode(at)
	ahead := sync.WaitGroup{}
	defer ahead.Wait()
	s.builder.OnWork = func(have map[string]layers.Layer) { ahead.Go(func() { s.readAhead(ctx, have) }) }
	built, err := s.builder.Release(ctx, app, s.config.Release.Name)
	if err != nil {
		return none, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return none, err
	}
	outputs, err := s.outputs(ctx, built, dir, registry.Format(o.format), at)
	if err != nil {
		return none, err
	}
	s.progress.phase("remember the build")
	if err := s.remember(ctx, built); err != nil {
		return none, err
	}
	s.progress.phase("finished")
	s.progress.close()
	s.progress.summary()
	for _, note := range s.notes {
		t.say("note: %s", note)
	}
	return buildResult{
		Name: built.Name, Version: built.Version, Platform: string(s.config.Platform), Target: o.target, Cell: s.config.Cell.String(),
		Release: built.Release.DiffID.String(), Outputs: outputs,
	}, nil
}
