package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A moment is when a build is killed: some time after the first event that a
// line of its progress tells of.
type moment struct {
	event, step string // of --progress=json; a prefix of the step's name
	after       time.Duration
}

func (m moment) String() string { return fmt.Sprintf("%v after %s %s", m.after, m.event, m.step) }

// moments are spread over all stages. Those of a cold store come first: each
// build goes on where the one before was killed.
func moments() []moment {
	ms := func(n time.Duration) time.Duration { return n * time.Millisecond }
	return []moment{
		{"planned", "deb:", 0}, {"fetching", "deb:", ms(5)}, {"fetching", "deb:", ms(40)}, {"fetching", "deb:", ms(150)},
		{"running", "deb:", ms(2)}, {"running", "deb:", ms(60)}, {"done", "deb:", ms(30)}, {"done", "deb:", ms(200)},
		{"running", "configure", 0}, {"running", "configure", ms(50)}, {"done", "configure", ms(10)},
		{"running", "project", 0}, {"running", "project", ms(150)}, {"done", "project", 0},
		{"running", "compile", ms(1)}, {"running", "compile", ms(300)}, {"done", "compile", 0},
		{"running", "release", ms(20)}, {"running", "release", ms(400)}, {"done", "release", 0}, {"done", "release", ms(30)}, {"done", "release", ms(120)},
	}
}

// testKill kills builds with SIGKILL. No process and no mount of theirs stays,
// the store is whole, and a last build gives the usual result.
func (k *kit) testKill(t *testing.T) {
	needRoot(t)
	s := k.example(t, "hello")
	dir := folder(t)
	o := start{dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{}), home: filepath.Join(dir, "home")}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }()
	restore := k.mirror.with(slowly(10 * time.Millisecond)) // fetching lasts long enough to be hit
	defer restore()
	request := s.files["lib/hello/request.ex"]
	hit := 0
	for i, m := range moments() {
		// A new comment makes the steps from project on run again.
		write(t, filepath.Join(o.dir, "mix.exs"), s.files["mix.exs"]+fmt.Sprintf("# %d\n", i))
		write(t, filepath.Join(o.dir, "lib", "hello", "request.ex"), request+fmt.Sprintf("# %d\n", i))
		killed, err := k.killAt(o, m)
		if err != nil {
			t.Fatalf("%s: %v", m, err)
		}
		if killed {
			hit++
		}
		if left := orphans(t); len(left) > 0 {
			t.Errorf("%s: processes stay: %q", m, left)
		}
		if left := mountsBelow(t, dir); len(left) > 0 {
			t.Errorf("%s: mounts stay: %q", m, left)
		}
		if i%4 == 3 {
			k.must(t, start{home: o.home}, "store", "verify")
		}
	}
	if hit < 18 {
		t.Errorf("%d of %d builds were killed: the moments no longer fit", hit, len(moments()))
	}
	write(t, filepath.Join(o.dir, "mix.exs"), s.files["mix.exs"])
	write(t, filepath.Join(o.dir, "lib", "hello", "request.ex"), request)
	if err := os.RemoveAll(filepath.Join(o.dir, "dist")); err != nil {
		t.Fatal(err)
	}
	if got, want := first(k.build(t, o)), k.expected(t, s); got != want {
		t.Errorf("after all kills: %s differs", diffNames(got, want))
	}
	k.must(t, start{home: o.home}, "store", "verify")
	for _, name := range []string{"tmp", "trash", "leases"} {
		if left, err := os.ReadDir(filepath.Join(o.home, "store", name)); err != nil || len(left) > 0 {
			t.Errorf("the store's %s holds %d things of dead processes, %v", name, len(left), err)
		}
	}
}

// killAt starts a build and kills it. It reports whether the moment came.
func (k *kit) killAt(o start, m moment) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd, err := k.command(ctx, o, "build", "--progress", "json")
	if err != nil {
		return false, err
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, err
	}
	came := false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var e progressEvent
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Event == m.event && strings.HasPrefix(e.Step, m.step) {
			came = true
			break
		}
	}
	time.AfterFunc(m.after, func() { _ = cmd.Process.Kill() })
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return came && ok && status.Signaled() && status.Signal() == syscall.SIGKILL, nil
}

// orphans waits for the processes that a killed build left, which this process
// inherits, and names those that do not end by themselves.
func orphans(t *testing.T) []string {
	t.Helper()
	var left []string
	for range 100 {
		left = nil
		for _, pid := range childrenOf(t, os.Getpid()) {
			var status unix.WaitStatus
			if got, err := unix.Wait4(pid, &status, unix.WNOHANG, nil); err == nil && got == pid {
				continue
			}
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
			left = append(left, strings.ReplaceAll(string(name), "\x00", " "))
		}
		if len(left) == 0 {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return left
}

func childrenOf(t *testing.T, parent int) []int {
	t.Helper()
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, dir := range dirs {
		stat, err := os.ReadFile(dir + "/stat")
		if err != nil {
			continue // it ended
		}
		_, rest, _ := strings.Cut(string(stat), ") ")
		fields := strings.Fields(rest)
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			out = append(out, pid)
		}
	}
	return out
}

func mountsBelow(t *testing.T, dir string) []string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, dir) {
			out = append(out, line)
		}
	}
	return out
}

// testInterrupt: Ctrl-C and SIGTERM end a build in good order, with status 130.
func (k *kit) testInterrupt(t *testing.T) {
	s := k.example(t, "hello")
	o := start{dir: s.write(t, folder(t), writeOptions{}), home: k.primedHome(t, s, 0)}
	for i, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		write(t, filepath.Join(o.dir, "lib", "hello", "more.ex"), fmt.Sprintf("# %d\n", i))
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd, err := k.command(ctx, o, "build", "--progress", "plain")
		if err != nil {
			t.Fatal(err)
		}
		code, text, err := signalAt(cmd, "compile ...", sig)
		if err != nil || code != exitInterrupted || !strings.HasSuffix(text, "retort: interrupted\n") {
			t.Errorf("%v: exit status %d, %v, want %d:\n%s", sig, code, err, exitInterrupted, text)
		}
	}
	k.must(t, start{home: o.home}, "store", "verify")
}

// signalAt starts a command, sends it a signal once a line of its stderr has
// the given text, and returns its exit status and all of its stderr.
func signalAt(cmd *exec.Cmd, when string, sig os.Signal) (int, string, error) {
	out, err := cmd.StderrPipe()
	if err != nil {
		return 0, "", err
	}
	if err := cmd.Start(); err != nil {
		return 0, "", err
	}
	var text strings.Builder
	sent := false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		text.WriteString(lines.Text() + "\n")
		if !sent && strings.Contains(lines.Text(), when) {
			sent = true
			if err := cmd.Process.Signal(sig); err != nil {
				return 0, text.String(), err
			}
		}
	}
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode(), text.String(), nil
}
