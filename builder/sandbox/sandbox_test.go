package sandbox

import (
	"bytes"
	"github.com/retort-build/retort/builder"
	"os"
	"strings"
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

func TestPids(t *testing.T) {
	m := map[string]int{}
	for range 300 {
		var out bytes.Buffer
		(&Engine{}).Run(t.Context(), builder.Process{Root: []string{"/tmp/helloroot"}, Argv: []string{"/hello", "x"}, Stdout: &out})
		f := strings.Fields(strings.SplitN(out.String(), "\n", 2)[0])
		m[f[len(f)-1]]++
	}
	t.Log(m)
}
