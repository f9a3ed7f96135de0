package inside

import (
	"errors"
	"fmt"
	"io"

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

func (c control) send(r Reply) error {
	frame, err := Encode(r)
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
func (c control) openTerminal(s *Spec) (uintptr, error) {
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
	frame, err := Encode(Reply{Terminal: true})
	if err != nil {
		return 0, err
	}
	return slave, unix.Sendmsg(int(c), frame, unix.UnixRights(master), nil, unix.MSG_NOSIGNAL)
}
