package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/retort-build/retort/builder"
)

func cmdExplain(fs *flag.FlagSet) action {
	var o sessionFlags
	o.register(fs)
	asJSON := fs.Bool("json", false, "print the explanation as JSON")
	return func(ctx context.Context, t *terminal, args []string) error {
		if len(args) != 1 {
			return usagef("explain wants one step: retort plan lists them")
		}
		s, err := t.session(ctx, o)
		if err != nil {
			return err
		}
		defer s.close()
		return s.explain(ctx, t, args[0], *asJSON)
	}
}

// An explanation says what a step's key is made of, and what differs from the
// last build that ended well.
type explanation struct {
	Step    string   `json:"step"`
	State   string   `json:"state"`
	Key     string   `json:"key,omitempty"`
	Hashed  []string `json:"hashed,omitempty"`  // the lines that the key hashes
	Last    string   `json:"last,omitempty"`    // key in the last build
	Changed []string `json:"changed,omitempty"` // "- line" and "+ line"
	Waiting []string `json:"waiting,omitempty"` // inputs that are not realised
}

func (s *session) explain(ctx context.Context, t *terminal, name string, asJSON bool) error {
	steps, whole, err := s.steps(ctx)
	if err != nil {
		return err
	}
	past, err := s.loadHistory()
	if err != nil {
		return err
	}
	s.progress.t.show("")
	byName := make(map[string]builder.Step, len(steps))
	for _, step := range steps {
		byName[step.Recipe.Name] = step
	}
	step, ok := byName[name]
	if !ok && !whole {
		return &hintError{fmt.Errorf("explain %s: %s", name, notCompiled), "retort build compiles it; retort plan lists the steps that are known until then"}
	}
	if !ok {
		return usagef("no step %q in the plan: retort plan lists them", name)
	}
	e := explanation{Step: name, State: "miss", Key: string(step.Key), Last: past.Steps[name].Key}
	switch {
	case step.Hit:
		e.State = "hit"
	case step.Key == "":
		e.State = "waiting"
		for _, in := range step.Recipe.InputNames() {
			if !byName[in].Hit {
				e.Waiting = append(e.Waiting, in)
			}
		}
	}
	if step.Key != "" {
		e.Hashed = lines(step.Text)
		if e.Last != "" && e.Last != e.Key {
			e.Changed = changedLines(lines(past.Steps[name].Text), e.Hashed)
		}
	}
	if asJSON {
		return t.printJSON(e)
	}
	printExplanation(t, e)
	return nil
}

func printExplanation(t *terminal, e explanation) {
	t.result(e.State, e.Step, e.Key)
	for _, in := range e.Waiting {
		t.result("  waits for", in)
	}
	for _, line := range e.Hashed {
		t.result("  " + printable(line))
	}
	switch {
	case e.Key == "":
	case e.Last == "":
		t.result("no earlier build of this project to compare with")
	case e.Last == e.Key:
		t.result("unchanged since the last build")
	default:
		t.result("changed since the last build, key " + e.Last + ":")
		for _, line := range e.Changed {
			t.result("  " + printable(line))
		}
	}
}

func lines(text string) []string {
	text = strings.TrimSuffix(text, "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// changedLines lists what is only in the old and only in the new text. The
// lines of a key have an order but no repetition that would matter here.
func changedLines(old, now []string) []string {
	count := make(map[string]int)
	for _, l := range old {
		count[l]++
	}
	var added []string
	for _, l := range now {
		if count[l] > 0 {
			count[l]--
			continue
		}
		added = append(added, "+ "+l)
	}
	var out []string
	for _, l := range old {
		if count[l] > 0 {
			count[l]--
			out = append(out, fmt.Sprintf("- %s", l))
		}
	}
	return append(out, added...)
}
