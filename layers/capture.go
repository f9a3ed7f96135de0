package layers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/internal/tarball"
)

// CaptureOptions say how Capture reads a directory.
type CaptureOptions struct {
	// KeepModes keeps permission bits as they are. Otherwise directories and
	// executable files become 0755 and other files 0644, so that the umask of
	// a build does not reach its result.
	KeepModes bool
	// Below are the same directory in the overlay's lower ones. A directory
	// that was removed and made again, with all files that they have in it,
	// counts as kept.
	Below []string
	// RefuseRemovals makes it an error if the process removed or replaced
	// something of the overlay's lower directories.
	RefuseRemovals bool
	// Base, if it has a DiffID, is the layer below: what it has below BasePrefix
	// ("" is its root) and the process did not replace or remove is captured too.
	Base       Layer
	BasePrefix string
	// Filter, if not nil, reports whether to keep a path, which is relative
	// to the captured directory. What lies below a dropped directory is
	// dropped with it.
	Filter func(path string) bool
	// Sealed, if not nil, is called once all is read and hashed, and only the
	// disk is waited for.
	Sealed func()
}

// Captured is what Capture made.
type Captured struct {
	Layer
	// Removed are the paths below the captured directory that the process
	// removed from the overlay, in order; one that ends in a slash is a
	// directory whose earlier content is hidden, "/" the directory itself.
	Removed []string
}

// maxCaptureDepth bounds how many directories are open at the same time.
const maxCaptureDepth = 256

// Capture makes a layer of the directory upper, an overlay's upper directory
// or any other on the store's file system, with all paths below prefix ("" is
// the layer's root). Files are moved, not copied; the directory is left without
// them. No process may be using it any more.
//
// All entries belong to 0:0 and have no extended attributes. Devices, FIFOs and
// sockets are refused.
func (s *Store) Capture(ctx context.Context, key Key, upper, prefix string, opt CaptureOptions) (Captured, error) {
	got, err := s.capture(ctx, key, upper, prefix, opt)
	if err != nil {
		return Captured{}, fmt.Errorf("capture %s: %w", upper, err)
	}
	return got, nil
}

func (s *Store) capture(ctx context.Context, key Key, upper, prefix string, opt CaptureOptions) (Captured, error) {
	w, err := s.NewWriter(ctx)
	if err != nil {
		return Captured{}, err
	}
	c := capture{w: w, opt: opt, prefix: prefix, links: make(map[inode]string), paths: make(map[string]bool)}
	if err := c.run(ctx, upper); err != nil {
		return Captured{}, errors.Join(err, w.Abort())
	}
	if opt.Sealed != nil {
		if err := w.Seal(ctx); err != nil {
			return Captured{}, errors.Join(err, w.Abort())
		}
		opt.Sealed()
	}
	l, err := w.Commit(ctx, key)
	return Captured{Layer: l, Removed: c.removed}, err
}

type inode struct{ dev, ino uint64 }

type capture struct {
	w       *Writer
	opt     CaptureOptions
	prefix  string
	links   map[inode]string // first path of files with several names
	removed []string
	paths   map[string]bool // of entries that are no directories
}

func (c *capture) run(ctx context.Context, upper string) error {
	fd, err := unix.Open(upper, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if c.prefix != "" {
		e := tarball.Entry{Path: c.prefix, Kind: tarball.Dir, Mode: 0o755}
		if err := c.w.Add(e, nil); err != nil {
			return errors.Join(err, unix.Close(fd))
		}
	}
	if err := c.dir(ctx, os.NewFile(uintptr(fd), upper), "", 0); err != nil {
		return err
	}
	if c.removed, err = c.reallyRemoved(); err != nil {
		return err
	}
	if c.opt.RefuseRemovals && len(c.removed) > 0 {
		return fmt.Errorf("removed %q, which it may not", c.removed)
	}
	return c.graft(ctx)
}

// reallyRemoved is what was removed, without the directories that hide nothing.
func (c *capture) reallyRemoved() ([]string, error) {
	if len(c.opt.Below) == 0 {
		return c.removed, nil
	}
	var out []string
	for _, p := range c.removed {
		dir, opaque := strings.CutSuffix(p, "/")
		if opaque {
			hides, err := c.hides(dir)
			if err != nil {
				return nil, err
			}
			if !hides {
				continue
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// hides reports whether a directory below has anything that was not captured.
func (c *capture) hides(dir string) (bool, error) {
	for _, below := range c.opt.Below {
		root := filepath.Join(below, filepath.FromSlash(dir))
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if path == root && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)) {
				return fs.SkipAll
			}
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(below, path)
			if err == nil && !c.paths[filepath.ToSlash(rel)] {
				err = errHidden
			}
			return err
		})
		if err != nil {
			if errors.Is(err, errHidden) {
				return true, nil
			}
			return false, err
		}
	}
	return false, nil
}

var errHidden = errors.New("hidden")

// dir captures what an open directory holds and closes it. rel is its path
// below the captured directory.
func (c *capture) dir(ctx context.Context, dir *os.File, rel string, depth int) (err error) {
	defer func() { err = errors.Join(err, dir.Close()) }()
	if err := ctx.Err(); err != nil {
		return err
	}
	if depth > maxCaptureDepth {
		return fmt.Errorf("%q: deeper than %d directories", rel, maxCaptureDepth)
	}
	mark, err := overlayMark(int(dir.Fd()))
	if err != nil {
		return fmt.Errorf("%q: %w", rel, err)
	}
	if mark == opaqueDir {
		c.removed = append(c.removed, rel+"/")
	}
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		p := name
		if rel != "" {
			p = rel + "/" + name
		}
		if c.opt.Filter != nil && !c.opt.Filter(p) {
			continue
		}
		if err := c.entry(ctx, dir, name, p, depth); err != nil {
			return err
		}
	}
	return nil
}

func (c *capture) entry(ctx context.Context, dir *os.File, name, p string, depth int) error {
	var st unix.Stat_t
	dirfd := int(dir.Fd())
	if err := unix.Fstatat(dirfd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "stat", Path: p, Err: err}
	}
	e := tarball.Entry{Path: p, Mode: c.mode(&st)}
	if c.prefix != "" {
		e.Path = c.prefix + "/" + p
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		e.Kind = tarball.Dir
		if err := c.w.Add(e, nil); err != nil {
			return err
		}
		sub, err := c.open(dirfd, name, &st, 0o700, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		return c.dir(ctx, sub, p, depth+1)
	case unix.S_IFREG:
		return c.file(dirfd, name, p, e, &st)
	case unix.S_IFLNK:
		link, err := readlinkAt(dirfd, name)
		if err != nil {
			return &fs.PathError{Op: "readlink", Path: p, Err: err}
		}
		e.Kind, e.Link = tarball.Symlink, link
		c.paths[p] = true
		return c.w.Add(e, nil)
	case unix.S_IFCHR:
		if st.Rdev == 0 { // overlayfs's whiteout
			c.removed = append(c.removed, p)
			return nil
		}
		return fmt.Errorf("%q is a device", p)
	case unix.S_IFBLK:
		return fmt.Errorf("%q is a device", p)
	case unix.S_IFIFO:
		return fmt.Errorf("%q is a FIFO", p)
	case unix.S_IFSOCK:
		return fmt.Errorf("%q is a socket", p)
	}
	return fmt.Errorf("%q has mode %#o", p, st.Mode)
}

func (c *capture) file(dirfd int, name, p string, e tarball.Entry, st *unix.Stat_t) (err error) {
	f, err := c.open(dirfd, name, st, 0o400, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	mark, err := overlayMark(int(f.Fd()))
	if err != nil {
		return fmt.Errorf("%q: %w", p, err)
	}
	if mark == whiteoutFile {
		c.removed = append(c.removed, p)
		return nil
	}
	c.paths[p] = true
	e.Kind = tarball.File
	if st.Nlink > 1 {
		id := inode{st.Dev, st.Ino}
		if first, ok := c.links[id]; ok {
			e.Kind, e.Link = tarball.Hardlink, first
			return c.w.Add(e, nil)
		}
		c.links[id] = e.Path
	}
	return c.w.add(e, func(e *tarball.Entry) error { return c.w.moveOpen(e, f, dirfd, name) })
}

// mode is the mode that an entry gets.
func (c *capture) mode(st *unix.Stat_t) uint32 {
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
		return 0o777
	case c.opt.KeepModes:
		return st.Mode & 0o7777
	case st.Mode&unix.S_IFMT == unix.S_IFDIR || st.Mode&0o111 != 0:
		return 0o755
	}
	return 0o644
}

// open opens name, which a process may have made unreadable for its owner.
func (c *capture) open(dirfd int, name string, st *unix.Stat_t, need uint32, flags uint64) (*os.File, error) {
	if st.Mode&need != need {
		// It is not a symlink, and no process is left to make it one.
		if err := unix.Fchmodat(dirfd, name, st.Mode&0o7777|need, 0); err != nil {
			return nil, &fs.PathError{Op: "chmod", Path: name, Err: err}
		}
	}
	fd, err := openAt(dirfd, name, flags)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

func readlinkAt(dirfd int, name string) (string, error) {
	buf := make([]byte, 4096) // longer targets cannot be made
	n, err := unix.Readlinkat(dirfd, name, buf)
	if err != nil {
		return "", err
	}
	return string(buf[:n]), nil
}

// What overlayfs notes on an inode of an upper directory by extended attribute.
type mark int

const (
	noMark       mark = iota
	opaqueDir         // hides the lower directory of the same name
	whiteoutFile      // stands for a removed file, where devices cannot be made
)

// overlayMark reads the overlay attributes of an open file. Those by which the
// content lies elsewhere are an error: the sandbox mounts without them.
func overlayMark(fd int) (mark, error) {
	names, err := listXattrs(fd)
	if err != nil {
		return noMark, err
	}
	for _, name := range names {
		attr, ok := strings.CutPrefix(name, "user.overlay.")
		if !ok {
			attr, ok = strings.CutPrefix(name, "trusted.overlay.")
		}
		if !ok {
			continue
		}
		switch attr {
		case "redirect", "metacopy":
			return noMark, fmt.Errorf("overlay attribute %s: the content is not here", name)
		case "whiteout":
			return whiteoutFile, nil
		case "opaque":
			var value [8]byte
			n, err := unix.Fgetxattr(fd, name, value[:])
			if err != nil {
				return noMark, fmt.Errorf("read attribute %s: %w", name, err)
			}
			// "x" only announces whiteouts by attribute among the children.
			if string(value[:n]) == "y" {
				return opaqueDir, nil
			}
		}
	}
	return noMark, nil
}
