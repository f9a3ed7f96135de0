package builder

import (
	"context"
	"errors"

	"github.com/retort-build/retort/layers"
)

// A Step says where one step of a plan stands.
type Step struct {
	Recipe *layers.Recipe
	// Key is "" while an input is not realised; Text is what it hashes.
	Key  layers.Key
	Text string
	// Layer is what the store has for Key, if Hit.
	Hit   bool
	Layer layers.Layer
}

// Steps looks every step of the plan up in the store and realises nothing.
func (b *Builder) Steps(ctx context.Context, plan layers.Plan) ([]Step, error) {
	if err := plan.Check(); err != nil {
		return nil, err
	}
	have := make(map[string]layers.Layer)
	out := make([]Step, len(plan.Recipes))
	for i := range plan.Recipes {
		r := &plan.Recipes[i]
		out[i].Recipe = r
		known := true
		for _, name := range r.InputNames() {
			_, ok := have[name]
			known = known && ok
		}
		if !known {
			continue
		}
		var err error
		if out[i].Key, out[i].Text, err = layers.KeyOf(r, have); err != nil {
			return nil, err
		}
		out[i].Layer, err = b.Store.Lookup(ctx, out[i].Key)
		if errors.Is(err, layers.ErrNotFound) {
			out[i].Layer, _, err = b.lookupIncremental(ctx, r, have)
		}
		switch {
		case err == nil:
			out[i].Hit = true
			have[r.Name] = out[i].Layer
		case !errors.Is(err, layers.ErrNotFound):
			return nil, err
		}
	}
	return out, nil
}
