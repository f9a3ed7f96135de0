package inside

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The flags of every file system in the sandbox: nothing on it grants
// privilege or names a device. The nodes of /dev are mounted one by one.
const (
	attrInert    = unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV
	attrReadOnly = attrInert | unix.MOUNT_ATTR_RDONLY
)

// option is one parameter of a file system; a flag if value is empty.
type option struct{ key, value string }

// newMount makes a file system that is attached nowhere yet.
func newMount(fsType string, attrs int, options ...option) (int, error) {
	fs, err := unix.Fsopen(fsType, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	for _, o := range options {
		if o.value == "" {
			err = unix.FsconfigSetFlag(fs, o.key)
		} else {
			err = unix.FsconfigSetString(fs, o.key, o.value)
		}
		if err != nil {
			return -1, explain(fs, err, fsType+" option "+o.key)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, explain(fs, err, fsType)
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attrs)
}

// explain adds what the kernel wrote about the failure to the context fs.
func explain(fs int, cause error, what string) error {
	var said []string
	buf := make([]byte, 1024)
	for {
		n, err := unix.Read(fs, buf)
		if err != nil || n == 0 {
			break
		}
		said = append(said, strings.TrimSpace(string(buf[:n])))
	}
	if len(said) == 0 {
		return cause
	}
	return fmt.Errorf("%s: %w (%s)", what, cause, strings.Join(said, "; "))
}

// cloneMount is a view of a file or directory, with all that is mounted below
// it, that carries attrs and is attached nowhere yet.
func cloneMount(dir int, path string, attrs uint64) (int, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC | unix.AT_RECURSIVE | unix.AT_NO_AUTOMOUNT)
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	fd, err := unix.OpenTree(dir, path, flags)
	if err != nil {
		return -1, err
	}
	if err := setAttrs(fd, attrs); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// setAttrs adds attrs to a mount and all below it. Nothing is taken away:
// flags that the host has set are locked in a user namespace.
func setAttrs(fd int, attrs uint64) error {
	return unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: attrs})
}

// attach puts mount at path below the directory root, which symbolic links of
// the tree cannot leave, and closes it.
func attach(mount, root int, path string) error {
	defer unix.Close(mount)
	target, err := openIn(root, path)
	if err != nil {
		return err
	}
	defer unix.Close(target)
	return unix.MoveMount(mount, "", target, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
}

// openIn resolves an absolute path as a process with that root would.
func openIn(root int, path string) (int, error) {
	return openat2(root, strings.TrimPrefix(path, "/"), unix.O_PATH, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
}

func openat2(dir int, path string, flags int, resolve uint64) (int, error) {
	if path == "" {
		path = "."
	}
	how := &unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: resolve}
	for {
		fd, err := unix.Openat2(dir, path, how)
		// EAGAIN: a rename elsewhere on the machine raced with the look-up.
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		return fd, err
	}
}

// openHost opens a file of the host as a place to mount from. The descriptor
// gets a number from first on, so that the path /proc/self/fd/N, which the
// mount table inside will show, is the same on every machine.
func openHost(path string, flags, first int) (int, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fd)
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, first)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// fdPath names an open file by a short constant path, whatever the length of
// its own: fsconfig takes at most 255 bytes.
func fdPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
