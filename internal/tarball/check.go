package tarball

import (
	"errors"
	"fmt"
	"math"
	"path"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/opencontainers/go-digest"
)

// Epoch is the time that every file of a layer carries. Zip archives cannot
// hold an earlier one.
var Epoch = time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC)

const (
	maxPath      = 4095 // PATH_MAX without its NUL
	maxComponent = 255  // NAME_MAX
	maxID        = math.MaxUint32 - 1
	modeMask     = 0o7777
	linkMode     = 0o777
	whiteout     = ".wh."
)

// CheckPath reports why p cannot be the path of an entry, or nil.
func CheckPath(p string) error {
	if p == "" || p == "." {
		return errors.New("empty path")
	}
	if err := checkText(p); err != nil {
		return fmt.Errorf("path %q: %w", p, err)
	}
	if p[0] == '/' {
		return fmt.Errorf("path %q: absolute", p)
	}
	for c := range strings.SplitSeq(p, "/") {
		switch {
		case c == "" || c == "." || c == "..":
			return fmt.Errorf("path %q: component %q", p, c)
		case len(c) > maxComponent:
			return fmt.Errorf("path %q: component longer than %d bytes", p, maxComponent)
		case strings.HasPrefix(c, whiteout):
			return fmt.Errorf("path %q: %s marks a removal in image layers", p, whiteout)
		}
	}
	return nil
}

// checkText applies to paths and link targets.
func checkText(s string) error {
	switch {
	case len(s) > maxPath:
		return fmt.Errorf("longer than %d bytes", maxPath)
	case !utf8.ValidString(s):
		return errors.New("not UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("control character")
	}
	return nil
}

// CheckEntry reports why e is not a well-formed entry by itself, or nil.
func CheckEntry(e Entry) error {
	if err := CheckPath(e.Path); err != nil {
		return err
	}
	if err := checkKind(e); err != nil {
		return fmt.Errorf("entry %q: %w", e.Path, err)
	}
	return nil
}

func checkKind(e Entry) error {
	switch e.Kind {
	case File:
		if e.Size < 0 {
			return fmt.Errorf("size %d", e.Size)
		}
		if err := e.Digest.Validate(); err != nil || e.Digest.Algorithm() != digest.SHA256 {
			return fmt.Errorf("digest %q is not a sha256", e.Digest)
		}
	case Dir, Symlink, Hardlink:
		if e.Size != 0 || e.Digest != "" {
			return errors.New("content on something that is not a file")
		}
	default:
		return fmt.Errorf("kind %q", byte(e.Kind))
	}
	if linked := e.Kind == Symlink || e.Kind == Hardlink; linked != (e.Link != "") {
		return fmt.Errorf("link target %q", e.Link)
	}
	switch e.Kind {
	case Hardlink:
		if err := CheckPath(e.Link); err != nil {
			return fmt.Errorf("hard link: %w", err)
		}
	case Symlink:
		if err := checkText(e.Link); err != nil {
			return fmt.Errorf("link target %q: %w", e.Link, err)
		}
		if e.Mode != linkMode {
			return fmt.Errorf("symlink mode %#o, not %#o", e.Mode, linkMode)
		}
	}
	if e.Mode > modeMask {
		return fmt.Errorf("mode %#o", e.Mode)
	}
	if e.UID < 0 || e.UID > maxID || e.GID < 0 || e.GID > maxID {
		return fmt.Errorf("owner %d:%d", e.UID, e.GID)
	}
	return checkXattrs(e)
}

func checkXattrs(e Entry) error {
	if len(e.Xattrs) > 0 && e.Kind != File && e.Kind != Dir {
		return errors.New("extended attributes on a link")
	}
	for name, value := range e.Xattrs {
		if !keptXattr(name) {
			return fmt.Errorf("extended attribute %q", name)
		}
		if len(value) > math.MaxUint16 {
			return fmt.Errorf("extended attribute %q: %d bytes", name, len(value))
		}
	}
	return nil
}

// keptXattr reports whether an attribute is part of a tree. What the kernel or
// a security module of one machine adds is not, nor is overlayfs's own.
func keptXattr(name string) bool {
	if len(name) > maxComponent || checkText(name) != nil || strings.Contains(name, "=") {
		return false
	}
	if strings.HasPrefix(name, "user.overlay.") {
		return false
	}
	return name == "security.capability" || strings.HasPrefix(name, "user.") && name != "user."
}

// Check reports why entries are not a canonical tree, or nil: each is well
// formed, they are in byte order of their paths without duplicates, nothing
// lies below a non-directory, and each hard link names an earlier file and
// repeats its mode and owner. Parent directories may be absent.
func Check(entries []Entry) error {
	seen := make(map[string]int, len(entries))
	for i, e := range entries {
		if err := CheckEntry(e); err != nil {
			return err
		}
		if i > 0 && e.Path <= entries[i-1].Path {
			return fmt.Errorf("entry %q: not after %q", e.Path, entries[i-1].Path)
		}
		for up := path.Dir(e.Path); up != "."; up = path.Dir(up) {
			if at, ok := seen[up]; ok {
				if entries[at].Kind != Dir {
					return fmt.Errorf("entry %q: %q is not a directory", e.Path, up)
				}
				break
			}
		}
		if e.Kind == Hardlink {
			at, ok := seen[e.Link]
			if !ok || entries[at].Kind != File {
				return fmt.Errorf("entry %q: hard link to %q, which is not an earlier file", e.Path, e.Link)
			}
			if f := entries[at]; f.Mode != e.Mode || f.UID != e.UID || f.GID != e.GID {
				return fmt.Errorf("entry %q: mode or owner differs from its file %q", e.Path, e.Link)
			}
		}
		seen[e.Path] = i
	}
	return nil
}
