package inside

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// point is a place where something will be mounted.
type point struct {
	path string
	dir  bool
}

// missing returns the points that the tree below root does not have.
func missing(root int, points []point) ([]point, error) {
	var out []point
	for _, p := range points {
		fd, err := openIn(root, p.path)
		switch {
		case errors.Is(err, unix.ENOENT):
			out = append(out, p)
			continue
		case err != nil:
			return nil, asked(err, "mount point %s", p.path)
		}
		var st unix.Stat_t
		err = unix.Fstat(fd, &st)
		unix.Close(fd)
		if err != nil {
			return nil, asked(err, "mount point %s", p.path)
		}
		if isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR; isDir != p.dir {
			return nil, asked(errors.New("a directory can only cover a directory, a file only a file"), "mount point %s", p.path)
		}
	}
	return out, nil
}

// skeleton fills the empty directory dir with the points, so that an overlay
// with dir on top has them while the layers below stay untouched. Directories
// that the tree at root has already keep their mode and time.
func skeleton(dir, root int, points []point) error {
	for _, p := range points {
		if err := skeletonPoint(dir, root, p); err != nil {
			return asked(err, "mount point %s", p.path)
		}
	}
	// Times last: making an entry changes its directory's.
	for i := len(points) - 1; i >= 0; i-- {
		for at := points[i].path; ; at = path.Dir(at) {
			if err := copyTimes(dir, root, at); err != nil {
				return asked(err, "mount point %s", points[i].path)
			}
			if at == "/" {
				break
			}
		}
	}
	return nil
}

func skeletonPoint(dir, root int, p point) error {
	rel := strings.TrimPrefix(p.path, "/")
	if err := copyMode(dir, root, "."); err != nil {
		return err
	}
	for i := range rel {
		if rel[i] != '/' {
			continue
		}
		if err := skeletonDir(dir, root, rel[:i]); err != nil {
			return err
		}
	}
	if p.dir {
		return skeletonDir(dir, root, rel)
	}
	fd, err := unix.Openat(dir, rel, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func skeletonDir(dir, root int, rel string) error {
	err := unix.Mkdirat(dir, rel, 0o755)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	if err != nil {
		return err
	}
	return copyMode(dir, root, rel)
}

// copyMode gives the directory rel the mode it has below root, if it is there.
func copyMode(dir, root int, rel string) error {
	st, ok, err := statBelow(root, rel)
	if err != nil || !ok {
		return err
	}
	return unix.Fchmodat(dir, rel, st.Mode&0o1777, 0)
}

// copyTimes does the same for the time of change, which is 0 for new entries.
func copyTimes(dir, root int, at string) error {
	rel := strings.TrimPrefix(at, "/")
	if rel == "" {
		rel = "."
	}
	st, _, err := statBelow(root, rel)
	if err != nil {
		return err
	}
	return unix.UtimesNanoAt(dir, rel, []unix.Timespec{st.Mtim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

// statBelow looks rel up without following links. A link on the way to a
// missing mount point is refused: a directory laid over it would hide what it
// leads to.
func statBelow(root int, rel string) (st unix.Stat_t, ok bool, err error) {
	if root < 0 {
		return st, false, nil
	}
	fd, err := openat2(root, rel, unix.O_PATH|unix.O_NOFOLLOW, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
	switch {
	case errors.Is(err, unix.ENOENT):
		return st, false, nil
	case err != nil:
		return st, false, err
	}
	defer unix.Close(fd)
	if err := unix.Fstat(fd, &st); err != nil {
		return st, false, err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return st, true, nil
	case unix.S_IFLNK:
		return st, false, fmt.Errorf("/%s is a symbolic link", rel)
	}
	return st, false, fmt.Errorf("/%s is not a directory", rel)
}
