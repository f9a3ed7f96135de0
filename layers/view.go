package layers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/internal/tarball"
)

// View returns a directory that shows the layers merged, lowest first, for use
// as a read-only lower directory. It is a farm of hard links to the layers'
// files, made once for each list. Layers that disagree about a path give a
// *ConflictError, unless the later one overrides.
func (s *Store) View(ctx context.Context, ls []ViewLayer) (string, error) {
	dir, err := s.view(ctx, ls)
	if err != nil {
		return "", fmt.Errorf("make view of %d layers: %w", len(ls), err)
	}
	return dir, nil
}

func (s *Store) view(ctx context.Context, ls []ViewLayer) (string, error) {
	list, name, err := viewName(ls)
	if err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	dir := s.path(viewsDir, name)
	if err := s.within(func() error { return s.lease.usePath(dir + "/list") }); !errors.Is(err, ErrNotFound) {
		return dir + "/fs", err
	}
	trees := make([][]tarball.Entry, len(ls))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, l := range ls {
		g.Go(func() (err error) {
			trees[i], err = s.Entries(gctx, l.Layer)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	all, err := mergeTrees(ls, trees)
	if err != nil {
		return "", err
	}
	tmp := s.tempName("view")
	err = s.buildView(ctx, tmp, list, ls, all)
	if err == nil {
		err = s.within(func() error { return s.place(tmp, dir, "list") })
	}
	if err = errors.Join(err, removeTree(tmp)); err != nil {
		return "", err
	}
	return dir + "/fs", nil
}

// viewName gives the list file of a view, and its hash as the view's name.
func viewName(ls []ViewLayer) (list []byte, name string, err error) {
	list = []byte("retort view 1\n")
	for _, l := range ls {
		if err := checkSHA256(l.DiffID); err != nil {
			return nil, "", err
		}
		list = append(list, l.DiffID...)
		if l.Override {
			list = append(list, " override"...)
		}
		list = append(list, '\n')
	}
	sum := sha256.Sum256(list)
	return list, hex.EncodeToString(sum[:]), nil
}

// buildView makes the farm in dir.
func (s *Store) buildView(ctx context.Context, dir string, list []byte, ls []ViewLayer, all []merged) error {
	if err := os.MkdirAll(dir+"/fs", 0o755); err != nil {
		return err
	}
	children := make(map[string][]merged)
	var dirs []string // parents first
	for _, m := range all {
		if m.Kind == tarball.Dir {
			if err := os.Mkdir(dir+"/fs/"+m.Path, 0o700); err != nil {
				return err
			}
			dirs = append(dirs, m.Path)
			continue
		}
		up := path.Dir(m.Path)
		children[up] = append(children[up], m)
	}
	if err := s.linkAll(ctx, dir+"/fs", ls, children); err != nil {
		return err
	}
	modes := make(map[string]uint32, len(dirs))
	for _, m := range all {
		if m.Kind == tarball.Dir {
			modes[m.Path] = diskMode(m.Entry)
		}
	}
	for _, p := range slices.Backward(dirs) {
		if err := os.Chmod(dir+"/fs/"+p, os.FileMode(modes[p])); err != nil {
			return err
		}
		if err := setEpoch(dir + "/fs/" + p); err != nil {
			return err
		}
	}
	if err := os.Chmod(dir+"/fs", 0o755); err != nil {
		return err
	}
	if err := setEpoch(dir + "/fs"); err != nil {
		return err
	}
	if err := os.WriteFile(dir+"/list", list, 0o644); err != nil {
		return err
	}
	return s.flush.sync(ctx, s.root)
}

// linkAll fills the directories, several at a time.
func (s *Store) linkAll(ctx context.Context, dir string, ls []ViewLayer, children map[string][]merged) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for up, files := range children {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			for _, m := range files {
				if err := linkFile(s.Path(ls[m.from].Layer)+"/"+m.Path, dir+"/"+m.Path, m.Entry); err != nil {
					return fmt.Errorf("link into %s: %w", up, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// linkFile gives an inode of a layer another name. An inode that has as many as
// the file system allows (65,000 on ext4) is copied.
func linkFile(from, to string, e tarball.Entry) error {
	err := unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, to, 0)
	if err == unix.EMLINK {
		return copyFile(from, to, e)
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: from, New: to, Err: err}
	}
	return nil
}

func copyFile(from, to string, e tarball.Entry) (err error) {
	if e.Kind == tarball.Symlink {
		if err := os.Symlink(e.Link, to); err != nil {
			return err
		}
		return setEpoch(to)
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Chmod(os.FileMode(diskMode(e))), out.Close()); err != nil {
		return err
	}
	return setEpoch(to)
}
