package inside

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// layers are the parts of one overlay, as open directories.
type layers struct {
	lowers      []int // topmost first
	upper, temp int   // -1 if nothing can be written
	attrs       int
}

// writable reports whether the overlay has an upper directory.
func (l layers) writable() bool { return l.upper >= 0 }

// overlayOptions are the same for each overlay here. userxattr because the
// other kind needs real root; volatile because unmounting would otherwise
// sync the whole file system that upper lies on, for the sake of files which
// the store syncs when it takes them.
func (l layers) options() []option {
	opts := []option{{key: "userxattr"}}
	if l.writable() {
		opts = append(opts, option{key: "volatile"},
			option{"upperdir", fdPath(l.upper)}, option{"workdir", fdPath(l.temp)})
	}
	return opts
}

// mountOverlay makes an overlay that is attached nowhere yet.
func (v *view) mountOverlay(l layers) (int, error) {
	if len(l.lowers) > MaxLowers+1 {
		return -1, fmt.Errorf("%d directories, an overlay takes %d", len(l.lowers), MaxLowers+1)
	}
	if len(l.lowers)+btoi(l.writable()) < 2 {
		return -1, errors.New("an overlay takes at least two directories")
	}
	if v.legacy {
		return mountOverlayString(l, v.stage)
	}
	opts := make([]option, 0, len(l.lowers)+4)
	for _, fd := range l.lowers {
		opts = append(opts, option{"lowerdir+", fdPath(fd)})
	}
	return newMount("overlay", l.attrs, append(opts, l.options()...)...)
}

// mountOverlayString is mountOverlay by mount(2), whose option string the
// kernel cuts at a page without a word: the length is checked here, and the
// names are kept short by the working directory. It has to be attached for a
// moment, which is what stage is for.
func mountOverlayString(l layers, stage int) (fd int, err error) {
	names := make([]string, len(l.lowers))
	for i, fd := range l.lowers {
		names[i] = strconv.Itoa(fd)
	}
	parts := []string{"lowerdir=" + strings.Join(names, ":")}
	for _, o := range l.options() {
		if o.value == "" {
			parts = append(parts, o.key)
		} else {
			parts = append(parts, o.key+"="+o.value)
		}
	}
	data := strings.Join(parts, ",")
	if len(data) >= unix.Getpagesize() {
		return -1, fmt.Errorf("mount options of %d bytes: this kernel has no lowerdir+ and takes %d", len(data), unix.Getpagesize()-1)
	}
	if err := unix.Chdir("/proc/self/fd"); err != nil {
		return -1, err
	}
	defer func() { err = errors.Join(err, unix.Chdir("/")) }()
	target := fdPath(stage) + "/" + stageLegacy
	if err := unix.Mount("overlay", target, "overlay", mountFlags(l.attrs), data); err != nil {
		return -1, err
	}
	if fd, err = unix.OpenTree(unix.AT_FDCWD, target, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC); err != nil {
		return -1, err
	}
	return fd, unix.Unmount(target, unix.MNT_DETACH)
}

// mountFlags translates the attributes that this package uses.
func mountFlags(attrs int) uintptr {
	var f uintptr
	for attr, flag := range map[int]uintptr{
		unix.MOUNT_ATTR_RDONLY: unix.MS_RDONLY,
		unix.MOUNT_ATTR_NOSUID: unix.MS_NOSUID,
		unix.MOUNT_ATTR_NODEV:  unix.MS_NODEV,
	} {
		if attrs&attr != 0 {
			f |= flag
		}
	}
	return f
}

// LowerdirPlus asks the kernel whether its overlay takes one directory a call.
var LowerdirPlus = sync.OnceValue(func() bool {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return true // the mount itself will say what is wrong
	}
	defer unix.Close(fs)
	return unix.FsconfigSetString(fs, "lowerdir+", "/") == nil
})

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
