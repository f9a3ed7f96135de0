package sandbox

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// control is the init's end of the socket to the engine. It bypasses the
// runtime's poller, which would start threads.
type control int

func (c control) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(int(c), b)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return 0, err
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func (c control) send(r reply) error {
	frame, err := encodeFrame(r)
	for err == nil && len(frame) > 0 {
		var n int
		n, err = unix.SendmsgN(int(c), frame, nil, nil, unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EINTR) {
			err = nil
			continue
		}
		frame = frame[max(n, 0):]
	}
	return err
}

// alive fails if the engine is gone.
func (c control) alive() error {
	fds := []unix.PollFd{{Fd: int32(c), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err == nil && fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0 {
			err = errors.New("it is gone")
		}
		return asked(err, "reach engine")
	}
}

// openTerminal makes a terminal in the sandbox's own devpts, hands the master
// to the engine and returns the other end.
func (c control) openTerminal(s *spec) (uintptr, error) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(master)
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return 0, fmt.Errorf("unlock: %w", err)
	}
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return 0, errno
	}
	size := &unix.Winsize{Row: s.Rows, Col: s.Cols}
	if err := unix.IoctlSetWinsize(master, unix.TIOCSWINSZ, size); err != nil {
		return 0, fmt.Errorf("set size: %w", err)
	}
	frame, err := encodeFrame(reply{Terminal: true})
	if err != nil {
		return 0, err
	}
	return slave, unix.Sendmsg(int(c), frame, unix.UnixRights(master), nil, unix.MSG_NOSIGNAL)
}

// peer is the engine's end: it yields replies and the master of a terminal.
type peer struct {
	conn   *os.File
	master *os.File // set once the reply with Terminal has been read
}

// next returns the next reply, or io.EOF when the init is gone.
func (p *peer) next() (reply, error) {
	var r reply
	err := readFrame(p, &r)
	if err == nil && r.Terminal != (p.master != nil) && r.Fault == nil && r.Exit == nil {
		err = errors.New("terminal expected")
	}
	return r, err
}

// Read takes in descriptors along with bytes.
func (p *peer) Read(b []byte) (n int, err error) {
	raw, err := p.conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	// Room for one descriptor; the kernel closes what does not fit.
	oob := make([]byte, unix.CmsgSpace(4))
	var oobn int
	readErr := raw.Read(func(fd uintptr) bool {
		n, oobn, _, _, err = unix.Recvmsg(int(fd), b, oob, unix.MSG_CMSG_CLOEXEC)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	switch {
	case readErr != nil:
		return 0, readErr
	case err != nil:
		return 0, err
	case oobn > 0:
		if err := p.take(oob[:oobn]); err != nil {
			return 0, err
		}
	}
	if n == 0 && len(b) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// take keeps the descriptor of a control message.
func (p *peer) take(oob []byte) error {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return err
	}
	for _, m := range msgs {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return err
		}
		for _, fd := range fds {
			if p.master != nil {
				unix.Close(fd)
				continue
			}
			if err := unix.SetNonblock(fd, true); err != nil {
				return err
			}
			p.master = os.NewFile(uintptr(fd), "terminal")
		}
	}
	return nil
}

// close lets go of the socket and of the terminal.
func (p *peer) close() {
	p.conn.Close()
	if p.master != nil {
		p.master.Close()
	}
}

// socketPair makes the two ends; remote is for the init.
func socketPair() (local, remote *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}
	return os.NewFile(uintptr(fds[0]), "sandbox"), os.NewFile(uintptr(fds[1]), "sandbox"), nil
}
