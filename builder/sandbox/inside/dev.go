package inside

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// nodes are the devices a program gets, with the numbers they must have on
// the host: a file of that name proves nothing.
var nodes = []struct {
	name         string
	major, minor uint32
}{
	{"full", 1, 7},
	{"null", 1, 3},
	{"random", 1, 8},
	{"tty", 5, 0},
	{"urandom", 1, 9},
	{"zero", 1, 5},
}

var devLinks = [][2]string{
	{"fd", "/proc/self/fd"},
	{"ptmx", "pts/ptmx"},
	{"stderr", "/proc/self/fd/2"},
	{"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"},
}

// mountDev attaches a read-only /dev with the nodes, terminals of its own and
// shared memory of its own.
func (v *view) mountDev(*Spec) error {
	dev, err := newMount("tmpfs", attrInert|unix.MOUNT_ATTR_NOEXEC, option{"mode", "0755"})
	if err != nil {
		return lacking(err, "", "mount tmpfs for /dev")
	}
	if err := fillDev(dev); err != nil {
		return lacking(err, "", "fill /dev")
	}
	if err := attach(dev, v.root, "/dev"); err != nil {
		return lacking(err, "", "mount /dev")
	}
	for _, n := range nodes {
		if err := v.bindNode(n.name, unix.Mkdev(n.major, n.minor)); err != nil {
			return lacking(err, "make the host's /dev/"+n.name+" the usual device, on a mount without nodev", "bind /dev/%s", n.name)
		}
	}
	pts, err := newMount("devpts", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC, option{key: "newinstance"},
		option{"ptmxmode", "0666"}, option{"mode", "0620"})
	if err != nil {
		return lacking(err, "", "mount devpts")
	}
	if err := attach(pts, v.root, "/dev/pts"); err != nil {
		return lacking(err, "", "mount /dev/pts")
	}
	shm, err := openTmpfs("1777", shmSize)
	if err != nil {
		return err
	}
	if err := attach(shm, v.root, "/dev/shm"); err != nil {
		return lacking(err, "", "mount /dev/shm")
	}
	at, err := openIn(v.root, "/dev")
	if err != nil {
		return lacking(err, "", "open /dev")
	}
	defer unix.Close(at)
	// This mount alone: those on it must stay writable.
	ro := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	return lacking(unix.MountSetattr(at, "", unix.AT_EMPTY_PATH, ro), "", "make /dev read-only")
}

func fillDev(dev int) error {
	for _, n := range nodes {
		fd, err := unix.Openat(dev, n.name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o444)
		if err != nil {
			return err
		}
		unix.Close(fd)
	}
	for _, dir := range []string{"pts", "shm"} {
		if err := unix.Mkdirat(dev, dir, 0o755); err != nil {
			return err
		}
	}
	for _, l := range devLinks {
		if err := unix.Symlinkat(l[1], dev, l[0]); err != nil {
			return err
		}
	}
	return nil
}

// bindNode lays the host's device over the placeholder.
func (v *view) bindNode(name string, rdev uint64) error {
	fd, err := cloneMount(unix.AT_FDCWD, "/dev/"+name, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != rdev {
		return fmt.Errorf("is not device %d:%d", unix.Major(rdev), unix.Minor(rdev))
	}
	return attach(fd, v.root, "/dev/"+name)
}
