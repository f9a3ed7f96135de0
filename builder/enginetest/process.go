package enginetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/builder"
)

// processRows are about what the program inherits and how it ends.
var processRows = []row{
	{"arguments", testArguments},
	{"environment", testEnvironment},
	{"working directory", testDirectory},
	{"user and groups", testUser},
	{"privileges", testPrivileges},
	{"host name", testHost},
	{"umask", testUmask},
	{"limits", testLimits},
	{"signals", testSignals},
	{"inherited files", testDescriptors},
	{"exit status", testExit},
	{"death by signal", testDeath},
	{"no such program", testNoProgram},
	{"output order", testOutput},
	{"large output", testFlood},
	{"failing writer", testFailingWriter},
	{"input", testInput},
}

func testArguments(t *testing.T, s *suite) {
	args := []string{"", " ", "a b", "$HOME", "'\"\\", "ä", "-x", "\n"}
	got := s.inside(t, append([]string{"args"}, args...)...)
	b, err := json.Marshal(args)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "arguments", got, string(b))
}

func testEnvironment(t *testing.T, s *suite) {
	t.Setenv("RETORT_CANARY", "x")
	t.Setenv("LD_PRELOAD", "")
	p := s.process("environ")
	p.Env = []string{"Z=1", "A=", "MULTI=a\nb=c", "BYTES=\xff"}
	want(t, "environment", s.run(t, p), `["Z=1","A=","MULTI=a\nb=c","BYTES=\ufffd"]`)
	want(t, "empty environment", s.inside(t, "environ"), `[]`)
	control(t, "a variable of the host", strings.Contains(s.outside(t, "environ"), "RETORT_CANARY"))
}

func testDirectory(t *testing.T, s *suite) {
	p := s.process("cwd")
	p.Dir = "/tmp"
	want(t, "working directory", s.run(t, p), "/tmp")
	p.Dir = "/absent"
	if err := s.engine.Run(t.Context(), p); err == nil {
		t.Error("ran in a directory that does not exist")
	}
}

func testUser(t *testing.T, s *suite) {
	want(t, "ids", s.inside(t, "ids"), fmt.Sprintf("%d %d %d %d []", ID, ID, ID, ID))
	control(t, "the user outside", strings.HasPrefix(s.outside(t, "ids"), fmt.Sprint(os.Getuid(), " ")))
}

func testPrivileges(t *testing.T, s *suite) {
	none := "0000000000000000"
	want(t, "status", s.inside(t, "status", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"),
		strings.ReplaceAll("CapInh=0 CapPrm=0 CapEff=0 CapBnd=0 CapAmb=0", "=0", "="+none)+" NoNewPrivs=1 Seccomp=2")
	control(t, "the bounding set outside", !strings.Contains(s.outside(t, "status", "CapBnd"), none))
}

func testHost(t *testing.T, s *suite) {
	want(t, "host and domain name", s.inside(t, "host"), Hostname+" (none)")
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	control(t, "the host's name", strings.HasPrefix(s.outside(t, "host"), name+" "))
}

func testUmask(t *testing.T, s *suite) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	want(t, "umask", s.inside(t, "umask"), "0022")
	want(t, "control: umask", s.outside(t, "umask"), "0077")
}

func testLimits(t *testing.T, s *suite) {
	before, beforeOut := s.inside(t, "rlimits"), s.outside(t, "rlimits")
	var old unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_STACK, nil, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(0, unix.RLIMIT_STACK, &unix.Rlimit{Cur: 4 << 20, Max: old.Max}, nil); err != nil {
		t.Fatal(err)
	}
	defer unix.Prlimit(0, unix.RLIMIT_STACK, &old, nil)
	want(t, "limits", s.inside(t, "rlimits"), before)
	control(t, "a changed limit", s.outside(t, "rlimits") != beforeOut)
}

func testSignals(t *testing.T, s *suite) {
	signal.Ignore(syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Reset(syscall.SIGHUP, syscall.SIGUSR1)
	none := "0000000000000000"
	want(t, "signals", s.inside(t, "status", "SigBlk", "SigIgn"), "SigBlk="+none+" SigIgn="+none)
	control(t, "an ignored signal", s.outside(t, "status", "SigIgn") != "SigIgn="+none)
}

func testDescriptors(t *testing.T, s *suite) {
	file := t.TempDir() + "/canary"
	write(t, file, "")
	fd, err := unix.Open(file, unix.O_RDONLY, 0) // not close-on-exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	want(t, "inherited files", s.inside(t, "descriptor"), "null")
	control(t, "an inherited file", strings.Contains(s.outside(t, "descriptor"), file))
}

func testExit(t *testing.T, s *suite) {
	for _, code := range []int{1, 2, 42, 127, 255} {
		err := s.engine.Run(t.Context(), s.process("exit", fmt.Sprint(code)))
		var exit *builder.ExitError
		if !errors.As(err, &exit) || exit.Code != code || exit.Signal != "" {
			t.Errorf("exit %d: got %#v", code, err)
		}
	}
}

func testDeath(t *testing.T, s *suite) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGSEGV, syscall.SIGABRT} {
		err := s.engine.Run(t.Context(), s.process("die", fmt.Sprint(int(sig))))
		var exit *builder.ExitError
		if !errors.As(err, &exit) || exit.Code != 128+int(sig) || exit.Signal != unix.SignalName(sig) {
			t.Errorf("%s: got %#v", unix.SignalName(sig), err)
		}
	}
}

func testNoProgram(t *testing.T, s *suite) {
	p := s.process()
	p.Argv = []string{"/absent"}
	err := s.engine.Run(t.Context(), p)
	var exit *builder.ExitError
	var lacks *builder.UnavailableError
	if err == nil || errors.As(err, &exit) || errors.As(err, &lacks) {
		t.Errorf("a program that does not exist: got %#v", err)
	}
}

func testOutput(t *testing.T, s *suite) {
	const n = 500
	p := s.process("both", fmt.Sprint(n))
	var out, errs, mixed bytes.Buffer
	p.Stdout, p.Stderr = &out, &errs
	if err := s.engine.Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	p.Stdout, p.Stderr = &mixed, &mixed
	if err := s.engine.Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	var wantOut, wantErr, wantMixed strings.Builder
	for i := range n {
		fmt.Fprintf(&wantOut, "out %d\n", i)
		fmt.Fprintf(&wantErr, "err %d\n", i)
		fmt.Fprintf(&wantMixed, "out %d\nerr %d\n", i, i)
	}
	if out.String() != wantOut.String()+"end\n" || errs.String() != wantErr.String() {
		t.Error("standard output and error are not apart, or out of order")
	}
	if mixed.String() != wantMixed.String()+"end\n" {
		t.Error("one writer for both does not see the order of writing")
	}
}

// counter counts bytes that are what flood writes.
type counter struct{ good, bad int64 }

func (c *counter) Write(b []byte) (int, error) {
	n := int64(bytes.Count(b, []byte("a")))
	c.good += n
	c.bad += int64(len(b)) - n
	return len(b), nil
}

func testFlood(t *testing.T, s *suite) {
	const n = 64 << 20
	var c counter
	p := s.process("flood", fmt.Sprint(n))
	p.Stdout = &c
	if err := s.engine.Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if c.good != n || c.bad != 1 { // one newline
		t.Errorf("got %d good bytes and %d others, want %d and 1", c.good, c.bad, n)
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func testFailingWriter(t *testing.T, s *suite) {
	p := s.process("flood", "1000000")
	p.Stdout = brokenWriter{}
	if err := s.engine.Run(t.Context(), p); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

// endless is an input without end.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

func testInput(t *testing.T, s *suite) {
	p := s.process("copy")
	want(t, "no input", s.run(t, p), "")
	text := strings.Repeat("line\n", 100_000)
	p.Stdin = strings.NewReader(text)
	want(t, "input", s.run(t, p), text)

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	unread := s.process("exit", "0")
	for name, in := range map[string]io.Reader{"endless": endless{}, "silent": r} {
		unread.Stdin = in
		if err := s.engine.Run(t.Context(), unread); err != nil {
			t.Errorf("%s input that the program does not read: %v", name, err)
		}
	}
}
