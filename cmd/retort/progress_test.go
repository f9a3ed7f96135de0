package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-build/retort/builder"
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
