package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/builder/sandbox/inside"
)

// terminal joins the caller's terminal with the one in the sandbox.
type terminal struct {
	in, out *os.File
	before  *term.State
	once    sync.Once
	master  chan *os.File
	resized chan os.Signal
}

// openTerminal checks that the three streams are one terminal and puts it
// into raw mode: keys such as ^C are for the terminal inside.
func (st *streams) openTerminal(p builder.Process, s *inside.Spec) error {
	in, ok := p.Stdin.(*os.File)
	out, ok2 := p.Stdout.(*os.File)
	if !ok || !ok2 || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return errors.New("terminal: standard input and output are not one")
	}
	t := &terminal{in: in, out: out, master: make(chan *os.File, 1), resized: make(chan os.Signal, 1)}
	size, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return fmt.Errorf("terminal: get size: %w", err)
	}
	s.Rows, s.Cols, s.NoStdin = size.Row, size.Col, false
	if t.before, err = term.MakeRaw(int(in.Fd())); err != nil {
		return fmt.Errorf("terminal: set raw mode: %w", err)
	}
	st.terminal = t
	signal.Notify(t.resized, unix.SIGWINCH)
	// The init's own streams: if it crashes, the user sees why.
	crash, err := st.output(out)
	st.child = []*os.File{crash, crash, crash}
	return err
}

// attach hands the master over, once there is one.
func (st *streams) attach(master *os.File) {
	if st.terminal != nil && master != nil {
		st.terminal.master <- master
	}
}

// copy relays both ways until the terminal inside hangs up.
func (t *terminal) copy(stop *os.File) error {
	defer t.restore()
	over := make(chan struct{})
	go func() {
		defer close(over)
		var b [1]byte
		_, _ = stop.Read(b[:]) // ends when the run does
	}()
	var master *os.File
	select {
	case master = <-t.master:
	case <-over:
		return nil
	}
	var done sync.WaitGroup
	done.Go(func() { _ = copyFile(master, t.in, stop) })
	done.Go(func() { t.resize(master, over) })
	// EIO is how a terminal says that nobody has it open any more.
	_, err := io.Copy(t.out, master)
	// If it is the caller's terminal that is gone, the program hears of it.
	master.Close()
	<-over
	done.Wait()
	if errors.Is(err, unix.EIO) {
		return nil
	}
	return err
}

// resize keeps the size of the terminal inside that of the one outside.
func (t *terminal) resize(master *os.File, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		case <-t.resized:
			size, err := unix.IoctlGetWinsize(int(t.out.Fd()), unix.TIOCGWINSZ)
			if err != nil {
				continue
			}
			if raw, err := master.SyscallConn(); err == nil {
				_ = raw.Control(func(fd uintptr) { _ = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, size) })
			}
		}
	}
}

// restore gives the caller's terminal back as it was.
func (t *terminal) restore() {
	t.once.Do(func() {
		signal.Stop(t.resized)
		_ = term.Restore(int(t.in.Fd()), t.before)
	})
}
