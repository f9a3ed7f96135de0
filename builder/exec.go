package builder

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/retort-build/retort/layers"
)

// Command is what Exec runs in place of a step's own program.
type Command struct {
	Argv           []string // empty runs an interactive shell
	Env            []string // added to the step's, later wins
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Terminal       bool   // see Process.Terminal
	OnStart        func() // called once the inputs are realised; may be nil
}

// Exec realises the inputs of a step of the plan and runs a command where the
// step's program would run: the same root file system, project, environment and
// isolation. What it writes is thrown away; / is writable too.
func (b *Builder) Exec(ctx context.Context, plan layers.Plan, step string, c Command) error {
	r, ok := plan.Recipe(step)
	if !ok || r.Kind != layers.Run {
		return fmt.Errorf("no program runs in step %q: want one of %s", step, strings.Join(RunSteps(plan), ", "))
	}
	inputs, err := b.Realise(ctx, layers.Plan{Recipes: needed(plan, r)})
	if err != nil {
		return err
	}
	scratch, err := b.Store.TempDir()
	if err != nil {
		return err
	}
	defer b.Store.RemoveTemp(scratch)
	p, err := b.process(ctx, r, inputs, scratch)
	if err != nil {
		return err
	}
	p.Scratch = true
	if p.Argv = c.Argv; len(p.Argv) == 0 {
		p.Argv = []string{"/bin/bash", "--norc", "-i"}
	}
	p.Env = override(p.Env, c.Env)
	p.Stdin, p.Stdout, p.Stderr, p.Terminal = c.Stdin, c.Stdout, c.Stderr, c.Terminal
	if c.OnStart != nil {
		c.OnStart()
	}
	return b.Engine.Run(ctx, p)
}

// RunSteps names the steps of a plan that run a program.
func RunSteps(plan layers.Plan) []string {
	var out []string
	for i := range plan.Recipes {
		if plan.Recipes[i].Kind == layers.Run {
			out = append(out, plan.Recipes[i].Name)
		}
	}
	return out
}

// needed returns the recipes that r depends on, in plan order.
func needed(plan layers.Plan, r *layers.Recipe) []layers.Recipe {
	want := make(map[string]bool)
	for _, name := range r.InputNames() {
		want[name] = true
	}
	var out []layers.Recipe
	for _, earlier := range slices.Backward(plan.Recipes) {
		if !want[earlier.Name] {
			continue
		}
		out = append(out, earlier)
		for _, name := range earlier.InputNames() {
			want[name] = true
		}
	}
	slices.Reverse(out)
	return out
}

// override returns env with the variables of more in place of its own.
func override(env, more []string) []string {
	set := make(map[string]bool, len(more))
	for _, kv := range more {
		name, _, _ := strings.Cut(kv, "=")
		set[name] = true
	}
	out := slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return set[name]
	})
	return append(out, more...)
}
