package sandbox

import (
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/builder/sandbox/inside"
)

// peer is the engine's end: it yields replies and the master of a terminal.
type peer struct {
	conn   *os.File
	master *os.File // set once the reply with Terminal has been read
}

// next returns the next reply, or io.EOF when the init is gone.
func (p *peer) next() (inside.Reply, error) {
	var r inside.Reply
	err := inside.Decode(p, &r)
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
