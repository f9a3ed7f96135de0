package sandbox

import (
	"debug/elf"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/builder/enginetest"
)

func TestMain(m *testing.M) {
	Init()
	if len(os.Args) > 2 && os.Args[1] == testProgram {
		os.Exit(runTestProgram(os.Args[2:]))
	}
	os.Exit(m.Run())
}

func TestEngine(t *testing.T) {
	enginetest.Run(t, func(*testing.T) builder.Engine { return New() }, "")
}

// TestProbe wants the diagnosis to agree with what really happens, and to say
// what to do about each thing that is missing.
func TestProbe(t *testing.T) {
	real := New().Run(t.Context(), builder.Process{Root: []string{t.TempDir()}, Argv: []string{"/absent"}})
	unavailable := isUnavailable(real)
	seen := false
	for _, c := range Probe(t.Context()) {
		t.Logf("%+v", c)
		if !c.OK && (c.Detail == "" || c.Remedy == "") {
			t.Errorf("%s: missing, without detail or remedy", c.What)
		}
		if c.What == "sandbox" {
			seen = true
			if c.OK == unavailable {
				t.Errorf("probe says %v, a run says %v", c.OK, real)
			}
		}
	}
	if !seen {
		t.Error("no check named sandbox")
	}
}

// newRoot makes a root whose only file is this test, as /test.
func newRoot(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Skip("this test binary is not static: build with CGO_ENABLED=0")
		}
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "test"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// runOrSkip runs p and skips the test where there are no sandboxes.
func runOrSkip(t testing.TB, e *Engine, p builder.Process) {
	t.Helper()
	err := e.Run(t.Context(), p)
	if isUnavailable(err) && os.Getenv("RETORT_E2E") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkRun is a whole run of a program that does nothing. The processor
// time of it all is the figure to watch: the other is the machine's mood.
func BenchmarkRun(b *testing.B) {
	p := builder.Process{Root: []string{newRoot(b)}, Argv: []string{"/test", testProgram, "true"}}
	runOrSkip(b, New(), p)
	before := cpu(b)
	for b.Loop() {
		runOrSkip(b, New(), p)
	}
	b.ReportMetric((cpu(b)-before)/float64(b.N), "cpu-ms/op")
}

// BenchmarkProgram is the same program without a sandbox.
func BenchmarkProgram(b *testing.B) {
	file := filepath.Join(newRoot(b), "test")
	before := cpu(b)
	for b.Loop() {
		p, err := os.StartProcess(file, []string{file, testProgram, "true"}, &os.ProcAttr{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu(b)-before)/float64(b.N), "cpu-ms/op")
}

func cpu(b *testing.B) float64 {
	var sum int64
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += u.Utime.Nano() + u.Stime.Nano()
	}
	return float64(sum) / 1e6
}
