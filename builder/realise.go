package builder

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/layers"
)

// Realise makes the layer of every recipe of the plan, taking from the store
// what it has, and returns them by step name. The first failure cancels the
// rest. A failing program is an *ExitError.
func (b *Builder) Realise(ctx context.Context, plan layers.Plan) (map[string]layers.Layer, error) {
	return b.realise(ctx, plan, make(hits))
}

// Hits are layers that this process has looked up, and so keeps from being
// collected: the plan that asks Mix is most of the release's plan, too.
type hits map[layers.Key]layers.Layer

// realise is Realise; it takes from known, and adds to it, what it looks up.
func (b *Builder) realise(ctx context.Context, plan layers.Plan, known hits) (map[string]layers.Layer, error) {
	if err := plan.Check(); err != nil {
		return nil, err
	}
	first, err := b.lookupFirst(ctx, plan, known)
	if err != nil {
		return nil, err
	}
	done := make(map[string]layers.Layer, len(plan.Recipes))
	var missing []*task
	for i := range plan.Recipes {
		r := &plan.Recipes[i]
		f := first[i]
		if f.key == "" {
			f.layer, f.key, f.err = b.lookup(ctx, r, done)
		}
		switch {
		case f.err == nil:
			done[r.Name], known[f.key] = f.layer, f.layer
			b.event(Event{Step: r.Name, Platform: r.Platform, Kind: Hit, What: r.Kind, Key: f.key, Layer: f.layer})
		case errors.Is(f.err, layers.ErrNotFound), errors.Is(f.err, errInputMissing):
			missing = append(missing, &task{recipe: r, finished: make(chan struct{})})
			b.event(Event{Step: r.Name, Platform: r.Platform, Kind: Planned, What: r.Kind})
		default:
			return nil, fmt.Errorf("look up %s: %w", r.Name, f.err)
		}
	}
	if len(missing) == 0 {
		return done, nil
	}
	if b.OnWork != nil {
		b.OnWork(maps.Clone(done))
	}
	if err := b.realiseMissing(ctx, missing, done); err != nil {
		return nil, err
	}
	for _, t := range missing {
		done[t.recipe.Name] = t.layer
	}
	return done, nil
}

// A finding is what a look-up came to; without a key, nobody has looked.
type finding struct {
	layer layers.Layer
	key   layers.Key
	err   error
}

// lookupFirst looks up, several at a time, the recipes that have no inputs:
// nearly all of a plan. The results are in plan order.
func (b *Builder) lookupFirst(ctx context.Context, plan layers.Plan, known hits) ([]finding, error) {
	out := make([]finding, len(plan.Recipes))
	group, ctx := errgroup.WithContext(ctx)
	workers := b.jobs()
	for w := range workers {
		group.Go(func() error {
			for i := w; i < len(out); i += workers {
				r := &plan.Recipes[i]
				if len(r.Inputs)+len(r.Root)+len(r.Over)+len(r.Sysroot)+len(r.Work) > 0 {
					continue
				}
				key, _, err := layers.KeyOf(r, nil)
				if err != nil {
					return err
				}
				out[i].key = key
				var hit bool
				if out[i].layer, hit = known[key]; !hit {
					out[i].layer, out[i].err = b.Store.Lookup(ctx, key)
				}
			}
			return nil
		})
	}
	return out, group.Wait()
}

// errInputMissing says that a key cannot be computed yet.
var errInputMissing = errors.New("an input is not realised yet")

// Lookup returns the layer that the store has for a recipe whose inputs are
// realised, its key, and layers.ErrNotFound if it has none.
func (b *Builder) lookup(ctx context.Context, r *layers.Recipe, inputs map[string]layers.Layer) (layers.Layer, layers.Key, error) {
	for _, name := range r.InputNames() {
		if _, ok := inputs[name]; !ok {
			return layers.Layer{}, "", errInputMissing
		}
	}
	key, _, err := layers.KeyOf(r, inputs)
	if err != nil {
		return layers.Layer{}, "", err
	}
	layer, err := b.Store.Lookup(ctx, key)
	if errors.Is(err, layers.ErrNotFound) {
		if layer, other, err := b.lookupIncremental(ctx, r, inputs); !errors.Is(err, layers.ErrNotFound) {
			return layer, other, err
		}
	}
	return layer, key, err
}

// A task is one recipe that the store did not have.
type task struct {
	recipe   *layers.Recipe
	finished chan struct{} // closed when layer is set
	layer    layers.Layer
}

// realiseMissing runs the tasks, each as soon as its inputs are there. Unpack
// steps start with the largest archive, so that none is left over at the end.
func (b *Builder) realiseMissing(ctx context.Context, tasks []*task, have map[string]layers.Layer) error {
	byName := make(map[string]*task, len(tasks))
	for _, t := range tasks {
		byName[t.recipe.Name] = t
	}
	turns := b.Turns
	if turns == nil {
		turns = NewTurns(b.jobs())
	}
	chain := chains(tasks)
	group, ctx := errgroup.WithContext(ctx)
	for i, t := range bySize(tasks) {
		group.Go(func() error {
			inputs := make(map[string]layers.Layer)
			for _, name := range t.recipe.InputNames() {
				if layer, ok := have[name]; ok {
					inputs[name] = layer
					continue
				}
				dep := byName[name]
				select {
				case <-dep.finished:
					inputs[name] = dep.layer
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			place := rank{chain: chain[t.recipe.Name], bytes: t.recipe.Archive.Size, place: i}
			for _, name := range t.recipe.Work {
				place.bytes += inputs[name].Size
			}
			layer, err := b.step(ctx, t.recipe, inputs, turns, place)
			if err != nil {
				b.event(Event{Step: t.recipe.Name, Platform: t.recipe.Platform, Kind: Failed, What: t.recipe.Kind, Err: err})
				return err
			}
			t.layer = layer
			close(t.finished)
			return nil
		})
	}
	return group.Wait()
}

// step realises one recipe whose inputs are there. Its key is known only now,
// and the store may have it after all: an input that came out as before cuts
// the work off here, and so does another builder that made it meanwhile.
func (b *Builder) step(ctx context.Context, r *layers.Recipe, inputs map[string]layers.Layer, turns *Turns, place rank) (layer layers.Layer, err error) {
	key, _, err := layers.KeyOf(r, inputs)
	if err != nil {
		return layers.Layer{}, err
	}
	done, err := turns.claim(ctx, key)
	if err != nil {
		return layers.Layer{}, err
	}
	defer func() { done(err) }()
	layer, key, err = b.lookup(ctx, r, inputs)
	if err == nil {
		b.event(Event{Step: r.Name, Platform: r.Platform, Kind: Hit, What: r.Kind, Key: key, Layer: layer})
		return layer, nil
	}
	if !errors.Is(err, layers.ErrNotFound) {
		return layers.Layer{}, fmt.Errorf("look up %s: %w", r.Name, err)
	}
	if r.Archive.Digest != "" || r.Kind == layers.UnpackGit {
		if err := turns.fetch(ctx, func() error { return b.fetch(ctx, r) }); err != nil {
			return layers.Layer{}, fmt.Errorf("fetch %s: %w", r.Name, err)
		}
	}
	if err := turns.jobs.acquire(ctx, place); err != nil {
		return layers.Layer{}, err
	}
	idle := sync.OnceFunc(turns.jobs.release)
	defer idle()
	b.event(Event{Step: r.Name, Platform: r.Platform, Kind: Running, What: r.Kind})
	layer, err = b.make(ctx, key, r, inputs, idle)
	if err != nil {
		return layers.Layer{}, fmt.Errorf("realise %s: %w", r.Name, err)
	}
	b.event(Event{Step: r.Name, Platform: r.Platform, Kind: Done, What: r.Kind, Key: key, Layer: layer})
	return layer, nil
}

// make realises r. It calls idle, if it can, once it only waits for the disk,
// so that another step has the processor meanwhile.
func (b *Builder) make(ctx context.Context, key layers.Key, r *layers.Recipe, inputs map[string]layers.Layer, idle func()) (layers.Layer, error) {
	switch r.Kind {
	case layers.UnpackDeb:
		return b.unpackDeb(ctx, key, r, idle)
	case layers.UnpackHex:
		return b.unpackHex(ctx, key, r, idle)
	case layers.UnpackGit:
		return b.unpackGit(ctx, key, r, idle)
	case layers.UnpackNPM:
		return b.unpackNPM(ctx, key, r, idle)
	case layers.UnpackTool:
		return b.unpackTool(ctx, key, r, idle)
	case layers.UnpackSource:
		return b.unpackSource(ctx, key, r, idle)
	case layers.Configure:
		return b.configure(ctx, key, r, inputs, idle)
	case layers.Files:
		return b.files(ctx, key, r, idle)
	case layers.Run:
		return b.run(ctx, key, r, inputs, idle)
	}
	return layers.Layer{}, fmt.Errorf("internal error: no such kind of recipe: %q", r.Kind)
}
