package sandbox

import (
	"os"
	"testing"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/builder/enginetest"
)

func TestMain(m *testing.M) {
	Init()
	os.Exit(m.Run())
}

func TestEngine(t *testing.T) {
	enginetest.Run(t, func(*testing.T) builder.Engine { return New() }, "")
}

func TestProbe(t *testing.T) {
	for _, c := range Probe(t.Context()) {
		t.Logf("%+v", c)
	}
}
