package layers

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/internal/tarball"
)

// moveFile renames the regular file name, below the directory dirfd, to the
// place of e, and brings it into the form of a store file.
func (w *Writer) moveFile(e *tarball.Entry, dirfd int, name string) error {
	fd, err := unix.Openat(dirfd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	return errors.Join(w.moveOpen(e, f, dirfd, name), f.Close())
}

// moveOpen is moveFile for a file that is open already.
func (w *Writer) moveOpen(e *tarball.Entry, f *os.File, dirfd int, name string) error {
	fd := int(f.Fd())
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fmt.Errorf("%s is not a regular file", name)
	}
	if st.Nlink > 1 {
		return w.writeFile(e, f)
	}
	if err := w.sumFile(e, f); err != nil {
		return err
	}
	if err := cleanFile(fd, &st, diskMode(*e)); err != nil {
		return &fs.PathError{Op: "adopt", Path: name, Err: err}
	}
	err := unix.Renameat2(dirfd, name, unix.AT_FDCWD, w.host(e.Path), unix.RENAME_NOREPLACE)
	if err == unix.EXDEV {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		return w.writeFile(e, f)
	}
	if err == unix.EINVAL || err == unix.ENOSYS { // a file system without the flag
		err = unix.Renameat(dirfd, name, unix.AT_FDCWD, w.host(e.Path))
	}
	if err != nil {
		return &fs.PathError{Op: "rename", Path: name, Err: err}
	}
	return setEpoch(w.host(e.Path))
}

// sumFile fills in the size and digest of e.
func (w *Writer) sumFile(e *tarball.Entry, f *os.File) error {
	w.sum.Reset()
	var size int64
	for {
		n, err := f.Read(w.buf)
		w.sum.Write(w.buf[:n])
		size += int64(n)
		if errors.Is(err, io.EOF) {
			return w.stated(e, size)
		}
		if err != nil {
			return err
		}
	}
}

// cleanFile takes off an inode what a store file does not have: other owners,
// extended attributes, access control lists.
func cleanFile(fd int, st *unix.Stat_t, mode uint32) error {
	if uid, gid := os.Geteuid(), os.Getegid(); int(st.Uid) != uid || int(st.Gid) != gid {
		if err := unix.Fchown(fd, uid, gid); err != nil && int(st.Uid) != uid {
			return fmt.Errorf("change owner: %w", err)
		}
	}
	names, err := listXattrs(fd)
	if err != nil {
		return err
	}
	for _, name := range names {
		// Attributes of security modules belong to the host.
		if strings.HasPrefix(name, "security.") && name != "security.capability" {
			continue
		}
		if err := unix.Fremovexattr(fd, name); err != nil && err != unix.ENODATA && err != unix.EOPNOTSUPP {
			return fmt.Errorf("remove attribute %s: %w", name, err)
		}
	}
	return unix.Fchmod(fd, mode)
}

// listXattrs lists the names of the extended attributes of an open file.
func listXattrs(fd int) ([]string, error) {
	var small [512]byte
	buf := small[:]
	for {
		n, err := unix.Flistxattr(fd, buf)
		switch err {
		case nil:
			if n == 0 {
				return nil, nil
			}
			return strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00"), nil
		case unix.EOPNOTSUPP:
			return nil, nil
		case unix.ERANGE:
			buf = make([]byte, 64<<10) // the kernel's own limit
			continue
		}
		return nil, fmt.Errorf("list attributes: %w", err)
	}
}
