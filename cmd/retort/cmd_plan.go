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
		steps, err := s.toolchainSteps(ctx)
		if err != nil {
			return err
		}
		if steps != nil {
			t.warn("the toolchain is not compiled yet: what the application needs of it is known when it is")
			return printPlan(t, steps, *asJSON)
		}
		built, err := s.plan(ctx)
		if err != nil {
			return err
		}
		if steps, err = s.builder.Steps(ctx, built.Plan); err != nil {
			return err
		}
		s.progress.t.show("")
		return printPlan(t, steps, *asJSON)
	}
}

// toolchainSteps are the steps up to the one that asks Mix, where the toolchain
// has to be compiled first: minutes, which nobody expects of a question. They are
// nil where it is there.
func (s *session) toolchainSteps(ctx context.Context) ([]builder.Step, error) {
	app, err := s.app(ctx)
	if err != nil {
		return nil, err
	}
	tools, err := app.Toolchain.Recipes()
	if err != nil || len(tools) == 0 {
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
