package main

import (
	"context"
	"flag"

	"github.com/retort-build/retort/builder"
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
		built, err := s.plan(ctx)
		if err != nil {
			return err
		}
		steps, err := s.builder.Steps(ctx, built.Plan)
		if err != nil {
			return err
		}
		s.progress.t.show("")
		return printPlan(t, steps, *asJSON)
	}
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
