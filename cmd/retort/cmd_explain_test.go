package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/layers"
)

// noFetcher fails what asks it for anything.
type noFetcher struct{ t *testing.T }

func (f noFetcher) Fetch(_ context.Context, r *layers.Recipe, _ fetch.Sink, _ func(int64)) error {
	f.t.Errorf("%s is fetched", r.Name)
	return errors.New("there is nothing to fetch")
}

// A question about a step does not compile the toolchain: what comes after it is
// not known until something else did.
func TestExplainWithoutToolchain(t *testing.T) {
	w := lockedWorkspace(t, "[toolchain]\nelixir = \"1.18.3\"\notp = { version = \"27\", from = \"source\" }\n", env.LinuxAMD64, "", "", "elixir:erlang-base erlang-base:")
	for i := range w.lock.Packages {
		w.lock.Packages[i].Digest, w.lock.Packages[i].Size = w.lock.Sources[0].Digest, 1
	}
	var err error
	if w.store, err = w.settings.openStore(); err != nil {
		t.Fatal(err)
	}
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	term := &terminal{out: said, err: said}
	progress, err := newProgress(term, "quiet")
	if err != nil {
		t.Fatal(err)
	}
	s := &session{workspace: w, group: &group{progress: progress}, builder: &builder.Builder{Store: w.store, Fetcher: noFetcher{t}, Open: w.openSource}}
	defer s.close()
	for _, step := range []string{"source:otp", "otp:configure", builder.StepProject} {
		if err := s.explain(t.Context(), term, step, false); err != nil {
			t.Errorf("explain %s: %v", step, err)
		}
	}
	err = s.explain(t.Context(), term, builder.StepCompile, false)
	if err == nil || !strings.Contains(err.Error(), "explain compile: the toolchain is not compiled yet") || exitCode(t.Context(), err) != exitFailed {
		t.Error(err)
	}
	text, err := os.ReadFile(said.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"miss source:otp ", "waiting otp:configure", "  waits for source:otp", "waiting project"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("explain does not say %q:\n%s", want, text)
		}
	}
}
