package sandbox

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	Init()
	os.Exit(m.Run())
}

func TestProbe(t *testing.T) {
	for _, c := range Probe(t.Context()) {
		t.Logf("%+v", c)
	}
}
