package layers

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// object is something that can be collected by itself.
type object struct {
	kind string // folder of the store: views, layers, keys, values, blobs
	name string // hex digits
	file string // whose modification time is the last use
	path string // what to remove
	used unix.Timespec
	size int64

	layer  string   // of a record: hex digest of its layer
	layers []string // of a view
}

// older orders objects by last use.
func older(a, b object) int {
	return cmp.Or(cmp.Compare(a.used.Sec, b.used.Sec), cmp.Compare(a.used.Nsec, b.used.Nsec),
		cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
}

// scan lists the objects of the store. What others remove meanwhile is left
// out.
func (s *Store) scan(ctx context.Context) ([]object, error) {
	var all []object
	for _, kind := range []struct {
		pattern string
		folder  string
		look    func(*object) error
	}{
		{s.path(viewsDir, "*"), viewsDir, s.lookView},
		{s.path(layersDir, "*"), layersDir, s.lookLayer},
		{s.path(keysDir, "*", "*"), keysDir, s.lookRecord},
		{s.path(valuesDir, "*", "*"), valuesDir, lookFile},
		{s.path(blobsDir, "blobs", "sha256", "*"), blobsDir, lookFile},
	} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		names, err := glob(kind.pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			o := object{kind: kind.folder, name: filepath.Base(name), path: name}
			err := kind.look(&o)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			all = append(all, o)
		}
	}
	return all, nil
}

// glob is filepath.Glob for patterns that end in one or more "/*". The store's
// own path may hold anything.
func glob(pattern string) ([]string, error) {
	levels := 0
	for ok := true; ok; levels++ {
		pattern, ok = strings.CutSuffix(pattern, "/*")
	}
	found := []string{pattern}
	for range levels - 1 {
		var next []string
		for _, d := range found {
			names, err := os.ReadDir(d)
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
				return nil, err
			}
			for _, n := range names {
				next = append(next, d+"/"+n.Name())
			}
		}
		found = next
	}
	return found, nil
}

// stamp reads an object's last use.
func (o *object) stamp() (unix.Timespec, error) {
	var st unix.Stat_t
	if err := unix.Lstat(o.file, &st); err != nil {
		return unix.Timespec{}, &fs.PathError{Op: "stat", Path: o.file, Err: err}
	}
	if o.size == 0 {
		o.size = st.Size
	}
	return st.Mtim, nil
}

func lookFile(o *object) (err error) {
	o.file = o.path
	o.used, err = o.stamp()
	return err
}

func (s *Store) lookView(o *object) error {
	o.file = o.path + "/list"
	raw, err := os.ReadFile(o.file)
	if err != nil {
		return err
	}
	ls, err := parseViewList(raw)
	if err == nil {
		for _, l := range ls {
			o.layers = append(o.layers, l.DiffID.Encoded())
		}
	}
	o.used, err = o.stamp()
	return err
}

func (s *Store) lookLayer(o *object) (err error) {
	o.file = o.path + "/tree"
	if o.used, err = o.stamp(); err != nil {
		return err
	}
	f, err := os.Open(o.file)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 512)
	n, _ := f.Read(head)
	line, _, _ := bytes.Cut(head[:n], []byte("\n"))
	if l, err := decodeLayer(line); err == nil {
		o.size = l.Size
	}
	return nil
}

func (s *Store) lookRecord(o *object) error {
	if err := lookFile(o); err != nil {
		return err
	}
	raw, err := os.ReadFile(o.path)
	if err != nil {
		return err
	}
	if payload, err := openRecord(o.name, raw); err == nil {
		if l, err := decodeLayer(payload); err == nil {
			o.layer = l.DiffID.Encoded()
		}
	}
	return nil
}

// parseViewList reads a view's list file.
func parseViewList(raw []byte) ([]ViewLayer, error) {
	text, ok := strings.CutPrefix(string(raw), "retort view 1\n")
	if !ok || text != "" && !strings.HasSuffix(text, "\n") {
		return nil, errors.New("not the list of a view")
	}
	var ls []ViewLayer
	for line := range strings.Lines(text) {
		id, override := strings.CutSuffix(strings.TrimSuffix(line, "\n"), " override")
		l := ViewLayer{Layer: Layer{DiffID: digest.Digest(id)}, Override: override}
		if err := checkSHA256(l.DiffID); err != nil {
			return nil, fmt.Errorf("list of a view: %w", err)
		}
		ls = append(ls, l)
	}
	return slices.Clip(ls), nil
}
