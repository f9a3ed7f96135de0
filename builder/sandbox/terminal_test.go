package sandbox

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/retort-build/retort/builder"
)

// terminalProgram tells about its terminal, echoes a line, and tells about
// the size again once that has changed.
func terminalProgram() int {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, unix.SIGWINCH)
	tty, err := os.Open("/dev/tty")
	if err != nil {
		fmt.Println("no controlling terminal:", err)
		return 1
	}
	defer tty.Close()
	size := func() string {
		w, h, err := term.GetSize(0)
		return fmt.Sprint(w, "x", h, " ", err)
	}
	name, _ := os.Readlink("/proc/self/fd/0")
	fmt.Println("terminal", name, size())
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	fmt.Printf("line %q %v\n", line, err)
	<-changed
	fmt.Println("now", size())
	return 3
}

// hostTerminal is a terminal as a user has one.
func hostTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, master.Fd(), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		t.Skip(errno)
	}
	slave = os.NewFile(fd, "slave")
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

func TestTerminal(t *testing.T) {
	master, slave := hostTerminal(t)
	set := func(w, h uint16) {
		if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: w, Row: h}); err != nil {
			t.Fatal(err)
		}
	}
	set(81, 25)
	before, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	p := builder.Process{
		Root: []string{newRoot(t)}, Argv: []string{"/test", testProgram, "terminal"},
		Stdin: slave, Stdout: slave, Stderr: slave, Terminal: true,
	}
	ended := make(chan error, 1)
	lines := make(chan string, 100)
	go func() {
		for r := bufio.NewScanner(master); r.Scan(); {
			lines <- strings.TrimRight(r.Text(), "\r")
		}
	}()
	go func() { ended <- New().Run(t.Context(), p) }()
	var end error
	over := make(chan struct{})
	go func() {
		end = <-ended
		close(over)
	}()
	expect := func(want string) {
		t.Helper()
		done, late := over, (<-chan time.Time)(nil)
		for {
			select {
			case l := <-lines:
				if l == want {
					return
				}
				t.Logf("terminal: %q", l)
			case <-done: // what it wrote last may still be on its way
				if isUnavailable(end) {
					t.Skip(end)
				}
				done, late = nil, time.After(10*time.Second)
			case <-late:
				t.Fatalf("ended before %q: %v", want, end)
			}
		}
	}
	expect("terminal /dev/pts/0 81x25 <nil>")
	if _, err := master.WriteString("typed\r"); err != nil {
		t.Fatal(err)
	}
	expect(`line "typed\n" <nil>`)
	set(100, 40)
	if err := unix.Kill(os.Getpid(), unix.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	expect("now 100x40 <nil>")
	if <-over; fmt.Sprint(end) != "exit status 3" {
		t.Errorf("got %v", end)
	}
	after, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("terminal left changed:\n%s", diff)
	}
	p.Stdin = strings.NewReader("")
	if err := New().Run(t.Context(), p); err == nil {
		t.Error("a reader passes for a terminal")
	}
}
