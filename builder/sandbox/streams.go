package sandbox

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/builder/sandbox/inside"
)

// streams connect the program's standard files with the caller's. The program
// always gets pipes of ours (or a terminal of its own), so that nothing about
// them depends on the caller's.
type streams struct {
	stdin       io.Reader
	in          *os.File   // our end of its input
	outs        []output   // our ends of its output
	child       []*os.File // its ends, 0 to 2
	stop, stopW *os.File   // readable once the run is over
	terminal    *terminal
	cleanup     []*os.File
}

type output struct {
	from *os.File
	to   io.Writer
}

func newStreams(p builder.Process, s *inside.Spec) (st *streams, err error) {
	st = &streams{child: make([]*os.File, 3)}
	defer func() {
		if err != nil {
			st.close()
		}
	}()
	if st.stop, st.stopW, err = st.pipe(); err != nil {
		return st, err
	}
	if p.Terminal {
		return st, st.openTerminal(p, s)
	}
	if p.Stdin == nil {
		if st.child[0], err = os.Open(os.DevNull); err != nil {
			return st, err
		}
		st.cleanup = append(st.cleanup, st.child[0])
	} else {
		st.stdin = p.Stdin
		if st.child[0], st.in, err = st.pipe(); err != nil {
			return st, err
		}
	}
	if st.child[1], err = st.output(p.Stdout); err != nil {
		return st, err
	}
	// One writer for both gets one pipe, which keeps the order.
	if same(p.Stdout, p.Stderr) {
		st.child[2] = st.child[1]
		return st, nil
	}
	st.child[2], err = st.output(p.Stderr)
	return st, err
}

func (st *streams) pipe() (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err == nil {
		st.cleanup = append(st.cleanup, r, w)
	}
	return r, w, err
}

func (st *streams) output(to io.Writer) (*os.File, error) {
	if to == nil {
		to = io.Discard
	}
	r, w, err := st.pipe()
	if err == nil {
		st.outs = append(st.outs, output{r, to})
	}
	return w, err
}

// same reports whether a and b are one writer. Values that cannot be compared
// are not.
func same(a, b io.Writer) (equal bool) {
	defer func() { _ = recover() }()
	return a == b
}

// childFiles are the standard files of the init.
func (st *streams) childFiles() []*os.File {
	return append([]*os.File(nil), st.child...)
}

// closeChild drops our copies of the program's ends, without which the end of
// its output would never come.
func (st *streams) closeChild() {
	for _, f := range st.child {
		f.Close()
	}
}

// copy moves bytes until the program's output ends, and feeds its input
// meanwhile.
func (st *streams) copy() error {
	errs := make(chan error, len(st.outs))
	for _, o := range st.outs {
		go func() { errs <- o.copy() }()
	}
	if st.in != nil {
		fed := make(chan struct{})
		go func() {
			defer close(fed)
			st.feed()
		}()
		// A read from a file can be given up when the program has ended, any
		// other cannot.
		if _, ok := st.stdin.(*os.File); ok {
			defer func() { <-fed }()
		}
	}
	var err error
	if st.terminal != nil {
		err = st.terminal.copy(st.stop)
	}
	for range st.outs {
		err = errors.Join(err, <-errs)
	}
	return err
}

// copy goes on to the end even if the writer fails, or the program would hang
// on a full pipe.
func (o output) copy() error {
	_, err := io.Copy(struct{ io.Writer }{o.to}, o.from)
	if err != nil {
		_, _ = io.Copy(io.Discard, o.from)
	}
	return err
}

// feed passes the caller's input on until it ends or nobody reads it. An
// error of the caller's reader is an end of input, as with a shell's pipe.
func (st *streams) feed() {
	defer st.in.Close()
	if f, ok := st.stdin.(*os.File); ok {
		_ = copyFile(st.in, f, st.stop)
		return
	}
	_, _ = io.Copy(st.in, st.stdin)
}

// finish tells the copying of input that the run is over.
func (st *streams) finish() { st.stopW.Close() }

// close frees what is left.
func (st *streams) close() {
	if st.terminal != nil {
		st.terminal.restore()
	}
	for _, f := range st.cleanup {
		f.Close()
	}
}

// copyFile copies from src until its end, until stop becomes readable, or
// until dst refuses. It takes no byte from src that it has not waited for.
func copyFile(dst io.Writer, src, stop *os.File) error {
	in, err := src.SyscallConn()
	if err != nil {
		return err
	}
	halt, err := stop.SyscallConn()
	if err != nil {
		return err
	}
	buf := make([]byte, 32<<10)
	for {
		var n int
		var readErr error
		outer := halt.Control(func(stopFD uintptr) {
			err = in.Control(func(fd uintptr) { n, readErr = readOrStop(int(fd), int(stopFD), buf) })
		})
		if err := errors.Join(outer, err, readErr); err != nil || n == 0 {
			return err
		}
		if _, err := dst.Write(buf[:n]); err != nil {
			return err
		}
	}
}

// readOrStop reads once from fd, or returns 0 if stop is readable first.
func readOrStop(fd, stop int, buf []byte) (int, error) {
	fds := []unix.PollFd{{Fd: int32(stop), Events: unix.POLLIN}, {Fd: int32(fd), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case fds[0].Revents != 0:
			return 0, nil
		}
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		return max(n, 0), err
	}
}
