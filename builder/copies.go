package builder

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// dropCopies removes from an overlay's upper directory what is there only
// because a program touched it: files equal to those of the lower directories,
// and folders that hold nothing else. Which files a program touches depends on
// where it began; what it writes does not. The folder except is left alone.
func dropCopies(w *Work, except string) (err error) {
	lowers, err := openLowers(w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll(lowers)) }()
	skip := filepath.Join(w.Upper, filepath.FromSlash(except))
	type entry struct {
		rel  string
		info fs.FileInfo
	}
	var found []entry
	err = filepath.WalkDir(w.Upper, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case path == w.Upper:
			return nil
		case path == skip:
			return fs.SkipDir
		}
		rel, err := filepath.Rel(w.Upper, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		found = append(found, entry{rel, info})
		return err
	})
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(found) { // what lies in a folder comes after it
		same, err := isCopy(w, lowers, e.rel, e.info)
		if err != nil {
			return err
		}
		if !same {
			continue
		}
		err = os.Remove(filepath.Join(w.Upper, e.rel))
		if err != nil && !(e.info.IsDir() && errors.Is(err, unix.ENOTEMPTY)) {
			return err
		}
	}
	return nil
}

// openLowers opens the lower directories, topmost first. No symlink leads out of
// one.
func openLowers(w *Work) (lowers []*os.Root, err error) {
	for _, dir := range w.Lowers {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, errors.Join(err, closeAll(lowers))
		}
		lowers = append(lowers, root)
	}
	return lowers, nil
}

func closeAll(roots []*os.Root) error {
	var errs []error
	for _, root := range roots {
		errs = append(errs, root.Close())
	}
	return errors.Join(errs...)
}

// isCopy reports whether what lies at a path is a folder or the same file in
// the lower directories, too.
func isCopy(w *Work, lowers []*os.Root, rel string, info fs.FileInfo) (bool, error) {
	for _, root := range lowers {
		below, err := root.Lstat(rel)
		if err != nil {
			continue // not in this one
		}
		switch {
		case info.IsDir():
			return below.IsDir(), nil
		case !info.Mode().IsRegular() || below.Mode() != info.Mode() || below.Size() != info.Size():
			return false, nil
		}
		return sameFile(root, rel, filepath.Join(w.Upper, rel))
	}
	return false, nil
}

func sameFile(root *os.Root, rel, path string) (bool, error) {
	f, err := root.Open(rel)
	if err != nil {
		return false, err
	}
	defer f.Close()
	g, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer g.Close()
	return equal(f, g)
}

// equal reports whether two files have the same content.
func equal(f, g io.Reader) (bool, error) {
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(f, a)
		m, errB := io.ReadFull(g, b)
		if !bytes.Equal(a[:n], b[:m]) {
			return false, nil
		}
		switch {
		case errA == nil && errB == nil:
		case (errA == io.EOF || errA == io.ErrUnexpectedEOF) && (errB == io.EOF || errB == io.ErrUnexpectedEOF):
			return true, nil
		default:
			return false, errors.Join(errA, errB)
		}
	}
}
