package builder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// maxWork is how many layers of a project are mounted one by one; more are
// merged into a view first. Each costs look-ups in every directory they share.
const maxWork = 400

// writable are the paths of a sandbox, besides the project, that a program may
// write to; they are empty at the start and gone at the end.
var writable = []string{"/tmp", "/var/tmp", "/home/retort", "/run"}

// run executes r's program and packs what it wrote to its outputs. It calls
// idle once only the disk is waited for.
func (b *Builder) run(ctx context.Context, key layers.Key, r *layers.Recipe, inputs map[string]layers.Layer, idle func()) (layers.Layer, error) {
	if layer, ok, err := b.amend(ctx, r, inputs, idle); err != nil || ok {
		return layer, err
	}
	scratch, err := b.Store.TempDir()
	if err != nil {
		return layers.Layer{}, err
	}
	defer b.Store.RemoveTemp(scratch)
	p, err := b.process(ctx, r, inputs, scratch)
	if err != nil {
		return layers.Layer{}, err
	}
	if err := b.resume(ctx, r, inputs, p.Work.Upper); err != nil {
		return layers.Layer{}, err
	}
	log := &tail{}
	if b.Log != nil {
		log.to = b.Log(r.Name)
	}
	p.Stdout, p.Stderr = log, log
	if err := b.Engine.Run(ctx, p); err != nil {
		var exit *ExitError
		if errors.As(err, &exit) {
			return layers.Layer{}, &ExitError{Step: r.Name, Code: exit.Code, Signal: exit.Signal, Log: log.text()}
		}
		return layers.Layer{}, err
	}
	if r.Build != "" && !strings.HasPrefix(r.Name, StepRelease) { // which copies what was checked
		if err := checkMachine(r, p.Work.Upper); err != nil {
			return layers.Layer{}, err
		}
	}
	var state, made []byte
	if r.Resumes != nil || len(r.Amends) > 0 {
		state = readOut(p.Work.Upper, stateFile, maxState)
	}
	if r.Resumes != nil {
		made = readOut(p.Work.Upper, madeFile, maxMade)
		if err := dropCopies(p.Work, r.Outputs[0].Path); err != nil {
			return layers.Layer{}, fmt.Errorf("sort out what %s wrote: %w", r.Name, err)
		}
		if resumed(p.Work.Upper) {
			if key, err = incrementalKey(r, inputs); err != nil {
				return layers.Layer{}, err
			}
		}
	}
	layer, err := b.capture(ctx, key, r, inputs, p.Work, idle)
	if err != nil {
		return layers.Layer{}, err
	}
	return layer, errors.Join(b.keepState(ctx, r, inputs, key, state, made), b.keepAmendment(ctx, r, inputs, key, state))
}

// Process prepares r's program to be run, or another one in its place, with
// the writes to the project going below scratch.
func (b *Builder) process(ctx context.Context, r *layers.Recipe, inputs map[string]layers.Layer, scratch string) (Process, error) {
	var packages []layers.ViewLayer
	for _, name := range r.Root {
		packages = append(packages, layers.ViewLayer{Layer: inputs[name]})
	}
	root, err := b.Store.View(ctx, packages)
	if err != nil {
		return Process{}, fmt.Errorf("merge root file system: %w", err)
	}
	p := Process{
		Platform: cmp.Or(r.Build, r.Platform), Root: []string{root},
		Tmpfs: writable, Argv: r.Argv, Env: r.Env, Dir: r.Dir,
	}
	if p.Platform != env.Any && p.Platform.Arch() != runtime.GOARCH {
		p.Env = override(p.Env, b.Emulated)
	}
	if len(r.Sysroot) > 0 {
		var parts []layers.ViewLayer
		for _, name := range r.Sysroot {
			parts = append(parts, layers.ViewLayer{Layer: inputs[name], Override: true})
		}
		sysroot, err := b.Store.View(ctx, parts)
		if err != nil {
			return Process{}, fmt.Errorf("merge sysroot: %w", err)
		}
		p.Binds = append(p.Binds, Bind{Source: sysroot, Target: layers.SysrootDir})
	}
	if r.Parallel {
		p.Argv = schedulers(r.Argv, b.jobs())
	}
	if r.Jobs {
		p.Argv = append(slices.Clip(p.Argv), fmt.Sprintf("jobs=%d", b.jobs()))
	}
	for _, name := range r.Over {
		p.Root = slices.Insert(p.Root, 0, b.Store.Path(inputs[name]))
	}
	work := Work{Path: r.Dir, Upper: filepath.Join(scratch, "upper"), Tmp: filepath.Join(scratch, "work")}
	if work.Lowers, err = b.workLowers(ctx, r, inputs); err != nil {
		return Process{}, fmt.Errorf("merge project: %w", err)
	}
	for _, dir := range []string{work.Upper, work.Tmp} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return Process{}, err
		}
	}
	p.Work = &work
	return p, nil
}

// workLowers are the directories of the project, topmost first.
func (b *Builder) workLowers(ctx context.Context, r *layers.Recipe, inputs map[string]layers.Layer) ([]string, error) {
	names := r.Work
	var lowers []string
	if len(names) > maxWork {
		var merged []layers.ViewLayer
		for _, name := range names[:len(names)-maxWork/2] {
			merged = append(merged, layers.ViewLayer{Layer: inputs[name], Override: true})
		}
		view, err := b.Store.View(ctx, merged)
		if err != nil {
			return nil, err
		}
		lowers = append(lowers, view)
		names = names[len(names)-maxWork/2:]
	}
	for _, name := range names {
		path := b.Store.Path(inputs[name])
		// Two equal layers in one overlay are refused by the kernel (ELOOP).
		if i := slices.Index(lowers, path); i >= 0 {
			lowers = slices.Delete(lowers, i, i+1)
		}
		lowers = slices.Insert(lowers, 0, path)
	}
	return lowers, nil
}

// capture packs the outputs that a dead process left in the upper directory. A
// layer can add and replace and not remove, so a removal of what an earlier
// layer has inside an output is refused, unless that is the output's base.
func (b *Builder) capture(ctx context.Context, key layers.Key, r *layers.Recipe, inputs map[string]layers.Layer, w *Work, idle func()) (layers.Layer, error) {
	upper := w.Upper
	opt := layers.CaptureOptions{
		RefuseRemovals: true, Below: w.Lowers, Sealed: idle,
		Filter: func(path string) bool { return keeps(r.Outputs, path) },
	}
	if len(r.Outputs) == 1 && r.Outputs[0].Strip {
		upper = filepath.Join(upper, filepath.FromSlash(r.Outputs[0].Path))
		if _, err := os.Lstat(upper); errors.Is(err, os.ErrNotExist) {
			return layers.Layer{}, fmt.Errorf("the program ended well but left no %s", r.Outputs[0].Path)
		}
		opt.Filter, opt.Below = nil, nil
		if base := r.Outputs[0].Base; base != "" {
			opt.Base, opt.BasePrefix, opt.RefuseRemovals = inputs[base], r.Outputs[0].Path, false
		}
	}
	captured, err := b.Store.Capture(ctx, key, upper, "", opt)
	return captured.Layer, err
}

// keeps reports whether a path lies in an output or is a folder above one.
func keeps(outputs []layers.Output, path string) bool {
	for _, o := range outputs {
		if o.Path == "." || path == o.Path || strings.HasPrefix(path, o.Path+"/") || strings.HasPrefix(o.Path, path+"/") {
			return true
		}
	}
	return false
}
