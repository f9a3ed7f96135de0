package env

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

const (
	maxManifest = 1 << 20 // bytes of one manifest
	maxExtends  = 16      // manifests in one chain
	maxTargets  = 64
)

// Manifest is a valid toolchain.toml, together with the manifests it extends.
type Manifest struct {
	files     []string // this manifest first, then what it extends
	platforms []Platform
	targets   []string
	cells     []Cell
	leftOut   []LeftOut
	root      table
}

// Inherits reports whether the manifest extends another.
func (m *Manifest) Inherits() bool { return len(m.files) > 1 }

// LoadManifest reads a manifest and those that it extends. Problems of their
// content are returned as an ErrorList.
func LoadManifest(path string) (*Manifest, error) {
	data, err := ReadRegular(path, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	return ParseManifest(filepath.Clean(path), data, OpenManifest)
}

// OpenManifest reads a manifest that another one extends, for ParseManifest.
func OpenManifest(rel string) ([]byte, string, error) {
	data, err := ReadRegular(rel, maxManifest)
	return data, filepath.Clean(rel), err
}

// ParseManifest reads a manifest from memory. name stands for it in messages,
// and paths which it has are joined to name's folder. open returns the bytes
// of a manifest that is extended and the name that identifies it; it may be
// nil, which makes extends a problem.
func ParseManifest(name string, data []byte, open func(rel string) ([]byte, string, error)) (*Manifest, error) {
	r := reader{open: open}
	root := r.read(name, data)
	m := &Manifest{files: r.files, root: root}
	if err := r.errs.err(); err != nil {
		return nil, err
	}
	m.platforms = Platforms()
	if names := root.list("platforms"); names != nil {
		m.platforms = nil
		for _, p := range names {
			m.platforms = append(m.platforms, Platform(p))
		}
		slices.Sort(m.platforms)
	}
	m.targets = root.sub("target").names()
	if err := m.check(r.lines); err != nil {
		return nil, err
	}
	return m, nil
}

// Files lists the manifests that were read: this one, then what it extends.
func (m *Manifest) Files() []string { return slices.Clone(m.files) }

// Platforms lists the platforms to lock and build for, in canonical order.
func (m *Manifest) Platforms() []Platform { return slices.Clone(m.platforms) }

// Targets lists the names of the targets, sorted. The build without a target
// is not among them.
func (m *Manifest) Targets() []string { return slices.Clone(m.targets) }

// reader reads a chain of manifests.
type reader struct {
	open  func(rel string) ([]byte, string, error)
	files []string
	lines map[string]int // of the first manifest
	errs  ErrorList
}

// read returns a manifest merged over what it extends.
func (r *reader) read(name string, data []byte) table {
	r.files = append(r.files, name)
	if len(data) > maxManifest {
		r.errs.add(name, 0, "", fmt.Errorf("longer than %d bytes", maxManifest))
		return nil
	}
	values, lines, err := parseTOML(data)
	if len(r.files) == 1 {
		r.lines = lines
	}
	if err != nil {
		var e Error
		errors.As(err, &e)
		r.errs.add(name, e.Line, e.Key, e.Err)
		return nil
	}
	w := walker{file: name, lines: lines}
	out := w.table("", manifestSchema(), values)
	w.shorthand(out)
	r.errs = append(r.errs, w.errs...)
	parent, ok := out["extends"].(fileRef)
	delete(out, "extends")
	if !ok {
		return out
	}
	below, err := r.parent(parent)
	if err != nil {
		r.errs.add(name, lineOf(lines, "extends"), "extends", err)
	}
	return merge(below, out)
}

// parent reads the manifest that another one extends.
func (r *reader) parent(ref fileRef) (table, error) {
	if r.open == nil {
		return nil, errors.New("no other manifest can be read here")
	}
	if len(r.files) == maxExtends {
		return nil, fmt.Errorf("chain of more than %d manifests", maxExtends)
	}
	data, name, err := r.open(ref.path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", quote(ref.written), err)
	}
	if i := slices.Index(r.files, name); i >= 0 {
		return nil, fmt.Errorf("cycle: %s", strings.Join(append(r.files[i:], name), " extends "))
	}
	return r.read(name, data), nil
}

// targetShorthands are the keys of [release] that may stand directly in a
// target's table.
var targetShorthands = []string{"mix_env", "config", "vm_args"}

// shorthand moves such keys to where they belong.
func (w *walker) shorthand(root table) {
	targets := root.sub("target")
	for _, name := range targets.names() {
		t := targets.sub(name)
		for _, key := range targetShorthands {
			value, ok := t[key]
			if !ok {
				continue
			}
			delete(t, key)
			release := t.sub("release")
			if other, ok := release[key]; ok && !reflect.DeepEqual(other, value) {
				w.fail(joinKey(joinKey("target", name), key), fmt.Errorf("%v, but its release.%s is %v", shown(value), key, shown(other)))
			}
			t["release"] = merge(release, table{key: value})
		}
	}
}

func shown(value any) any {
	if s, ok := value.(string); ok {
		return quote(s)
	}
	return value
}

// ReadRegular reads a file of at most limit bytes. Anything but a regular
// file is refused, because a pipe may never end.
func ReadRegular(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("longer than %d bytes", limit)}
	}
	return data, err
}
