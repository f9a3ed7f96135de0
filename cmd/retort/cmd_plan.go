package main

import (
	"context"
	"flag"
	"slices"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/layers"
)

func cmdPlan(fs *flag.FlagSet) action {
	var o sessionFlags
	o.register(fs)
	asJSON := fs.Bool("json", false, "print the plan as JSON")
	return func(ctx context.Context, t *terminal, args []string) error {
		if len(args) > 0 {
			return usagef("plan takes no arguments")
		}
		s, err := t.session(ctx, o)
		if err != nil {
			return err
		}
		defer s.close()
		steps, whole, err := s.steps(ctx)
		if err != nil {
			return err
		}
		s.progress.t.show("")
		if !whole {
			t.warn("%s", notCompiled)
		}
		return printPlan(t, steps, *asJSON)
	}
}

// notCompiled says why the steps of an application are not known.
const notCompiled = "the toolchain is not compiled yet: what the application needs of it is known when it is"

// steps are those of the plan. They are not the whole of it where the toolchain
// has to be compiled first.
func (s *session) steps(ctx context.Context) (steps []builder.Step, whole bool, err error) {
	if steps, err = s.toolchainSteps(ctx); steps != nil || err != nil {
		return steps, false, err
	}
	built, err := s.plan(ctx)
	if err != nil {
		return nil, false, err
	}
	steps, err = s.builder.Steps(ctx, built.Plan)
	return steps, true, err
}

// toolchainSteps are the steps up to the one that asks Mix, where the toolchain
// has to be compiled first: minutes, which nobody expects of a question. They are
// nil where it is there.
func (s *session) toolchainSteps(ctx context.Context) ([]builder.Step, error) {
	if len(s.config.Toolchain.FromSource()) == 0 {
		return nil, nil
	}
	app, err := s.app(ctx)
	if err != nil {
		return nil, err
	}
	tools, err := app.Toolchain.Recipes()
	if err != nil {
		return nil, err
	}
	plan, err := app.ProjectPlan()
	if err != nil {
		return nil, err
	}
	steps, err := s.builder.Steps(ctx, plan)
	if err != nil {
		return nil, err
	}
	missing := func(step builder.Step) bool {
		return !step.Hit && slices.ContainsFunc(tools, func(r layers.Recipe) bool { return r.Kind == layers.Run && r.Name == step.Recipe.Name })
	}
	if !slices.ContainsFunc(steps, missing) {
		return nil, nil
	}
	return steps, nil
}

// planStep is one step as `plan --json` prints it.
type planStep struct {
	Step     string   `json:"step"`
	Kind     string   `json:"kind"`
	Platform string   `json:"platform"`
	State    string   `json:"state"` // "hit", "miss" or "waiting", for an input that is not realised
	Key      string   `json:"key,omitempty"`
	DiffID   string   `json:"diffID,omitempty"`
	Inputs   []string `json:"inputs,omitempty"`
}

func printPlan(t *terminal, steps []builder.Step, asJSON bool) error {
	var out []planStep
	for _, s := range steps {
		state := "waiting"
		switch {
		case s.Hit:
			state = "hit"
		case s.Key != "":
			state = "miss"
		}
		out = append(out, planStep{
			Step: s.Recipe.Name, Kind: string(s.Recipe.Kind), Platform: string(s.Recipe.Platform), State: state,
			Key: string(s.Key), DiffID: s.Layer.DiffID.String(), Inputs: s.Recipe.InputNames(),
		})
	}
	if asJSON {
		return t.printJSON(out)
	}
	for _, s := range out {
		key := "-"
		if s.Key != "" {
			key = s.Key[:16]
		}
		t.result(s.State, s.Step, s.Platform, key)
	}
	return nil
}
