package enginetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lifeRows are about when the processes of a run begin and end.
var lifeRows = []row{
	{"orphans", testOrphans},
	{"cancel", testCancel},
	{"cancelled before", testCancelled},
	{"caller killed", testCallerKilled},
	{"twenty at once", testConcurrent},
}

// token is an argument by which processes of this test can be found.
func token(name string) string { return fmt.Sprintf("retort-%s-%d", name, os.Getpid()) }

// testOrphans leaves a daemon behind, which must be dead when Run returns.
// That it would be found is what testCancel shows.
func testOrphans(t *testing.T, s *suite) {
	name := token("orphan")
	want(t, "orphan", s.inside(t, "orphan", name), "ready")
	if left := processes(t, name); len(left) > 0 {
		t.Errorf("processes %v outlive the run", left)
	}
}

func testCancel(t *testing.T, s *suite) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	name := token("cancel")
	p := s.process("tree", name)
	ready := newWaiter("ready")
	p.Stdout, p.Stderr = ready, os.Stderr
	ended := make(chan error, 1)
	go func() { ended <- s.engine.Run(ctx, p) }()
	if err := ready.wait(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	control(t, "the processes of a run", len(processes(t, name)) >= 6)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if left := processes(t, name); len(left) > 0 {
		t.Errorf("processes %v outlive the run", left)
	}
}

func testCancelled(t *testing.T, s *suite) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.engine.Run(ctx, s.process("exit", "0")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// again is the command that starts this test in a process of its own.
func again(t *testing.T, self string) *exec.Cmd {
	top, _, _ := strings.Cut(t.Name(), "/")
	return exec.CommandContext(t.Context(), self, "-test.run=^"+top+"$", "-test.v")
}

// runForever is what the process that gets killed does.
func (s *suite) runForever(t *testing.T, name string) {
	p := s.process("tree", name)
	p.Stdout, p.Stderr = os.Stdout, os.Stderr
	t.Fatal(s.engine.Run(t.Context(), p))
}

// testCallerKilled kills a process that runs the engine as nobody can catch
// it, and waits until all of the run is gone.
func testCallerKilled(t *testing.T, s *suite) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	name := token("killed")
	cmd := again(t, self)
	cmd.Env = append(os.Environ(), runnerVar+"="+name, probeVar+"="+s.probe, "TMPDIR="+t.TempDir())
	ready := newWaiter("ready")
	cmd.Stdout, cmd.Stderr = ready, ready
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := ready.wait(t.Context(), ended); err != nil {
		t.Fatalf("%v\n%s", err, ready.buf.String())
	}
	control(t, "the processes of a run", len(processes(t, name)) >= 6)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	// The kernel needs a moment; the test's own deadline bounds it.
	for len(processes(t, name)) > 0 {
		select {
		case <-t.Context().Done():
			t.Fatalf("processes %v outlive the caller", processes(t, name))
		case <-time.After(5 * time.Millisecond):
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), s.dir) {
		t.Error("mounts outlive the caller")
	}
}

func testConcurrent(t *testing.T, s *suite) {
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			p := s.process("environ")
			p.Env = []string{fmt.Sprint("N=", i)}
			out := newWaiter(fmt.Sprintf(`["N=%d"]`, i))
			p.Stdout = out
			if err := s.engine.Run(t.Context(), p); err != nil {
				t.Errorf("run %d: %v", i, err)
				return
			}
			select {
			case <-out.seen:
			default:
				t.Errorf("run %d: got %q", i, out.buf.String())
			}
		})
	}
	all.Wait()
}

// ordinary is a user that no system has.
const ordinary = 54321

// testOrdinaryUser runs the suite once more as a user without rights.
func (s *suite) testOrdinaryUser(t *testing.T) {
	if os.Getenv(userVar) != "" || os.Getuid() != 0 {
		t.Skip("this is one")
	}
	dir, err := os.MkdirTemp("", "retort-enginetest-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{self: filepath.Join(dir, "test"), s.probe: filepath.Join(dir, "probe")}
	for from, to := range files {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	home := filepath.Join(dir, "home")
	mkdir(t, home)
	if err := os.Chown(home, ordinary, ordinary); err != nil {
		t.Fatal(err)
	}
	cmd := again(t, files[self])
	cmd.Dir = home
	cmd.Env = append(os.Environ(), userVar+"=1", probeVar+"="+files[s.probe], "TMPDIR="+home, "HOME="+home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinary, Gid: ordinary, Groups: []uint32{ordinary + 1}}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as user %d: %v\n%s", ordinary, err, out)
	}
	control(t, "a suite that ran", strings.Contains(string(out), "/caller_killed"))
	t.Logf("%s", out)
}

// outsideCode is outside for a probe that does not succeed.
func (s *suite) outsideCode(t *testing.T, args ...string) (string, int) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), s.probe, args...).CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return string(out), 0
	case errors.As(err, &exit):
		return string(out), exit.ExitCode()
	}
	t.Fatal(err)
	return "", 0
}
