package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// A step that ran for one plan of the build is a hit in the next one of the same
// build: the summary says that it ran.
func TestSummaryCountsWhatRan(t *testing.T) {
	path := filepath.Join(t.TempDir(), "said")
	said, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	p, err := newProgress(&terminal{err: said}, "plain")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []builder.Event{
		{Step: "source:otp", What: layers.UnpackSource, Kind: builder.Hit},
		{Step: "otp", What: layers.Run, Kind: builder.Running},
		{Step: "otp", What: layers.Run, Kind: builder.Done},
		{Step: "otp", What: layers.Run, Kind: builder.Hit},
	} {
		p.event(e)
	}
	p.close()
	p.summary()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "retort: 1 hits, 1 misses") || p.misses() != 1 {
		t.Errorf("%d misses, and said\n%s", p.misses(), text)
	}
}

// Of several platforms each has its steps, and what all have is one.
func TestProgressOfPlatforms(t *testing.T) {
	path := filepath.Join(t.TempDir(), "said")
	said, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	p, err := newProgress(&terminal{err: said}, "plain")
	if err != nil {
		t.Fatal(err)
	}
	p.several = true
	for _, e := range []builder.Event{
		{Step: "compile", Platform: env.Any, Kind: builder.Planned},
		{Step: "compile", Platform: env.Any, Kind: builder.Running},
		{Step: "compile", Platform: env.Any, Kind: builder.Planned}, // by the other's plan
		{Step: "release", Platform: env.LinuxAMD64, Kind: builder.Running},
		{Step: "release", Platform: env.LinuxARM64, Kind: builder.Running},
	} {
		e.What = layers.Run
		p.event(e)
	}
	if line := p.statusLine(); !strings.Contains(line, "0/3 steps, 0 hits, compile release (linux/amd64) +1") {
		t.Errorf("status line: %s", line)
	}
	for _, e := range []builder.Event{
		{Step: "compile", Platform: env.Any, Kind: builder.Done},
		{Step: "compile", Platform: env.Any, Kind: builder.Hit},
		{Step: "release", Platform: env.LinuxAMD64, Kind: builder.Done},
		{Step: "release", Platform: env.LinuxARM64, Kind: builder.Done},
	} {
		e.What = layers.Run
		p.event(e)
	}
	p.close()
	p.summary()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"retort: release (linux/arm64) ...\n", "retort: release (linux/amd64): done in ", "retort: 0 hits, 3 misses"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("does not say %q:\n%s", want, text)
		}
	}
}
