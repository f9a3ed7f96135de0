package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/retort-build/retort/builder"
)

// Constants which every engine gives its processes.
const (
	Hostname = "retort"
	ID       = 1000 // user and group
)

// Environment of the processes that the suite starts itself.
const (
	probeVar  = "RETORT_ENGINETEST_PROBE"  // the probe, already built
	runnerVar = "RETORT_ENGINETEST_RUNNER" // run a tree of this name and wait
	userVar   = "RETORT_ENGINETEST_USER"   // this is the ordinary user's turn
	e2eVar    = "RETORT_E2E"
)

// suite is one engine under test with the directories made for it.
type suite struct {
	engine builder.Engine
	probe  string // on the host
	root   string // holds /probe only
	dir    string // scratch, on one file system
}

// row is one promise.
type row struct {
	name string
	test func(*testing.T, *suite)
}

// Run checks an engine. dir is an empty directory that the engine can mount
// from, or empty for a temporary one. Where the engine is unavailable the
// test is skipped with its reason, or fails if RETORT_E2E is set.
func Run(t *testing.T, newEngine func(t *testing.T) builder.Engine, dir string) {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	s := &suite{engine: newEngine(t), dir: dir, probe: buildProbe(t)}
	s.root = s.newRoot(t, "root")
	if token := os.Getenv(runnerVar); token != "" {
		s.runForever(t, token)
		return
	}
	if err := s.engine.Run(t.Context(), s.process("exit", "0")); err != nil {
		var lacks *builder.UnavailableError
		if errors.As(err, &lacks) && os.Getenv(e2eVar) == "" {
			t.Skip(err)
		}
		t.Fatalf("run the probe: %v", err)
	}
	for _, rows := range [][]row{processRows, isolationRows, fileRows, lifeRows} {
		for _, r := range rows {
			t.Run(r.name, func(t *testing.T) { r.test(t, s) })
		}
	}
	t.Run("ordinary user", s.testOrdinaryUser)
}

// buildProbe compiles the probe, which is static and so needs no other file.
func buildProbe(t *testing.T) string {
	t.Helper()
	if p := os.Getenv(probeVar); p != "" {
		return p
	}
	file := filepath.Join(t.TempDir(), "probe")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", file, "github.com/retort-build/retort/builder/enginetest/probe")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build probe: %v\n%s", err, out)
	}
	return file
}

// newRoot makes a directory with nothing but the probe.
func (s *suite) newRoot(t *testing.T, name string) string {
	t.Helper()
	root := filepath.Join(s.dir, name)
	mkdir(t, root)
	data, err := os.ReadFile(s.probe)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "probe"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// process is the probe with those arguments and a writable /tmp.
func (s *suite) process(args ...string) builder.Process {
	return builder.Process{
		Root: []string{s.root}, Tmpfs: []string{"/tmp"},
		Argv: append([]string{"/probe"}, args...), Dir: "/",
	}
}

// inside runs the probe in the engine and returns what it printed.
func (s *suite) inside(t *testing.T, args ...string) string {
	t.Helper()
	return s.run(t, s.process(args...))
}

// run runs p, which must succeed, and returns its standard output.
func (s *suite) run(t *testing.T, p builder.Process) string {
	t.Helper()
	var out, errs bytes.Buffer
	p.Stdout, p.Stderr = &out, &errs
	if err := s.engine.Run(t.Context(), p); err != nil {
		t.Fatalf("%q: %v\n%s", p.Argv, err, errs.String())
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// outside runs the probe on the host: the positive control.
func (s *suite) outside(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), s.probe, args...).Output()
	if err != nil {
		t.Fatalf("control %q: %v", args, err)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// want fails unless got is what it must be.
func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, clip(got), clip(want))
	}
}

// clip keeps a message readable.
func clip(s string) string {
	const most = 400
	if len(s) <= most {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", s[:most], len(s))
}

// control fails if a probe that had something to find did not find it.
func control(t *testing.T, what string, found bool) {
	t.Helper()
	if !found {
		t.Errorf("control: the probe does not notice %s", what)
	}
}

// work makes the directories of a project mount at /project.
func (s *suite) work(t *testing.T, lowers ...string) *builder.Work {
	t.Helper()
	dir, err := os.MkdirTemp(s.dir, "work-")
	if err != nil {
		t.Fatal(err)
	}
	w := &builder.Work{Path: "/project", Lowers: lowers, Upper: filepath.Join(dir, "upper"), Tmp: filepath.Join(dir, "tmp")}
	mkdir(t, w.Upper)
	mkdir(t, w.Tmp)
	return w
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	mkdir(t, filepath.Dir(file))
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tree lists what lies below dir, with modes and contents.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(p string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s %d %d", rel, info.Mode(), info.Size()*int64(btoi(info.Mode().IsRegular())), info.ModTime().UnixNano())
		if info.Mode().IsRegular() && info.Size() < 1<<10 {
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %q", data)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// processes lists those of this machine, whatever their namespace, that have
// token as an argument.
func processes(t *testing.T, token string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err == nil && bytes.Contains(line, []byte("\x00"+token+"\x00")) {
			found = append(found, filepath.Base(filepath.Dir(f)))
		}
	}
	return found
}

// waiter is a writer that says when a line has come.
type waiter struct {
	line string
	once sync.Once
	seen chan struct{}
	mu   sync.Mutex
	buf  bytes.Buffer
}

func newWaiter(line string) *waiter { return &waiter{line: line, seen: make(chan struct{})} }

func (w *waiter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(b)
	if strings.Contains(w.buf.String(), w.line+"\n") {
		w.once.Do(func() { close(w.seen) })
	}
	return len(b), nil
}

// wait returns when the line has come, or with the error of a run that ended
// without it.
func (w *waiter) wait(ctx context.Context, ended <-chan error) error {
	select {
	case <-w.seen:
		return nil
	case err := <-ended:
		return fmt.Errorf("ended before %q: %w", w.line, err)
	case <-ctx.Done():
		return ctx.Err()
	}
}
