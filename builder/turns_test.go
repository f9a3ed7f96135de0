package builder

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/retort-build/retort/layers"
)

// together has two builders realise a plan at the same time, in turns.
func together(t *testing.T, engine *scripted, jobs int) (results [2]map[string]layers.Layer, errs [2]error) {
	t.Helper()
	content := map[string]string{"a": "1"}
	first := newBuilder(t, engine, content)
	first.Turns = NewTurns(jobs)
	second := *first
	var both sync.WaitGroup
	for i, b := range []*Builder{first, &second} {
		both.Go(func() {
			results[i], errs[i] = b.Realise(t.Context(), layers.Plan{Recipes: []layers.Recipe{
				source(content, "source", "a"), program("shared", "source"), program("last", "shared"),
			}})
		})
	}
	both.Wait()
	return results, errs
}

// What two builders want, at whatever moment, is made once.
func TestTurnsMakeOnce(t *testing.T) {
	for jobs := range 3 {
		engine := &scripted{do: map[string]func(Process) error{
			"shared": writes("out/shared", "x"), "last": writes("out/last", "y"),
		}}
		results, errs := together(t, engine, jobs)
		if err := errors.Join(errs[:]...); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(engine.runs, " "); got != "shared last" {
			t.Errorf("%d jobs: ran %q", jobs, got)
		}
		if results[0]["last"].DiffID == "" || results[0]["last"].DiffID != results[1]["last"].DiffID {
			t.Errorf("%d jobs: %v and %v", jobs, results[0]["last"], results[1]["last"])
		}
	}
}

// What fails for one fails for the other, too.
func TestTurnsFail(t *testing.T) {
	broken := errors.New("broken")
	engine := &scripted{do: map[string]func(Process) error{
		"shared": func(Process) error { return broken },
	}}
	_, errs := together(t, engine, 2)
	for i, err := range errs {
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "realise shared") {
			t.Errorf("builder %d: %v", i, err)
		}
	}
}

// Who gives up leaves the work to who still waits; who waits can give up.
func TestTurnsCancelled(t *testing.T) {
	turns := NewTurns(1)
	done, err := turns.claim(t.Context(), "key")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	impatient := make(chan error)
	go func() {
		_, err := turns.claim(ctx, "key")
		impatient <- err
	}()
	cancel()
	if err := <-impatient; !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up waiting has %v", err)
	}
	patient := make(chan error)
	go func() {
		done, err := turns.claim(t.Context(), "key")
		if err == nil {
			done(nil)
		}
		patient <- err
	}()
	done(context.Canceled)
	if err := <-patient; err != nil {
		t.Error(err)
	}
}
