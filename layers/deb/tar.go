package deb

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/retort-build/retort/internal/tarball"
)

// readTar calls fn with the entries of a tar archive in its order.
func readTar(r io.Reader, maxEntries int, fn func(tarball.Entry, io.Reader) error) error {
	tr := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		name := strings.TrimPrefix(h.Name, "./")
		name = strings.TrimSuffix(name, "/")
		if name == "" || name == "." {
			continue
		}
		if path.Clean(name) != name || path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") {
			return fmt.Errorf("bad path %q", h.Name)
		}
		e := tarball.Entry{Path: name, Mode: uint32(h.Mode) & 0o7777, UID: h.Uid, GID: h.Gid}
		var content io.Reader
		switch h.Typeflag {
		case tar.TypeReg:
			e.Kind, e.Size, content = tarball.File, h.Size, tr
		case tar.TypeDir:
			e.Kind = tarball.Dir
		case tar.TypeSymlink:
			e.Kind, e.Link, e.Mode = tarball.Symlink, h.Linkname, 0o777
		case tar.TypeLink:
			e.Kind, e.Link = tarball.Hardlink, strings.TrimPrefix(h.Linkname, "./")
		default:
			return fmt.Errorf("%s: type %q", name, h.Typeflag)
		}
		if err := fn(e, content); err != nil {
			return err
		}
	}
}
