package builder

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
	"github.com/retort-build/retort/layers"
)

// An amendment is what a run left so that a result for other modules of the
// application can be made without it: the result with copies of these in place
// of the earlier ones. See mix/amend.ex.
type amendment struct {
	Result layers.Key `json:"result"` // of the layer it made
	// Inputs are the layers that may differ, by step.
	Inputs map[string]digest.Digest `json:"inputs"`
	Chunks []string                 `json:"chunks"` // that the copy of a module keeps, in order
	Known  []string                 `json:"known"`  // chunks that modules had
	Seen   []string                 `json:"seen"`   // files that the run looked at but to copy a module
}

// maxModule bounds a compiled module, in bytes.
const maxModule = 64 << 20

var (
	errNotAmendable = errors.New("more than modules has changed")
	modulePath      = regexp.MustCompile(`^_build/[^/]+/lib/[^/]+/ebin/[^/]+\.beam$`)
)

// amend returns what r gives without running it, and false if that cannot be
// told from the last run.
func (b *Builder) amend(ctx context.Context, r *layers.Recipe, inputs map[string]layers.Layer, idle func()) (layers.Layer, bool, error) {
	if len(r.Amends) == 0 || !b.Incremental {
		return layers.Layer{}, false, nil
	}
	layer, err := b.tryAmend(ctx, r, inputs, idle)
	if errors.Is(err, layers.ErrNotFound) || errors.Is(err, errNotAmendable) {
		return layers.Layer{}, false, nil
	}
	return layer, err == nil, err
}

func (b *Builder) tryAmend(ctx context.Context, r *layers.Recipe, inputs map[string]layers.Layer, idle func()) (layers.Layer, error) {
	last, err := b.amendment(ctx, r, inputs)
	if err != nil {
		return layers.Layer{}, err
	}
	result, err := b.Store.Lookup(ctx, last.Result)
	if err != nil {
		return layers.Layer{}, err
	}
	entries, err := b.Store.Entries(ctx, result)
	if err != nil {
		return layers.Layer{}, err
	}
	copies := make(map[string][]tarball.Entry) // by file name
	for _, e := range entries {
		copies[path.Base(e.Path)] = append(copies[path.Base(e.Path)], e)
	}
	scratch, err := b.Store.TempDir()
	if err != nil {
		return layers.Layer{}, err
	}
	defer b.Store.RemoveTemp(scratch)
	for _, step := range r.Amends {
		was, err := b.Store.Layer(ctx, last.Inputs[step])
		if err != nil {
			return layers.Layer{}, err
		}
		changed, err := b.changed(ctx, was, inputs[step])
		if err != nil {
			return layers.Layer{}, err
		}
		for _, e := range changed {
			switch {
			case last.saw(e.Path):
				err = errNotAmendable
			case modulePath.MatchString(e.Path):
				err = b.replace(was, inputs[step], e, copies[path.Base(e.Path)], last, scratch)
			case strings.HasPrefix(e.Path, "_build/"):
				err = errNotAmendable
			}
			if err != nil {
				return layers.Layer{}, err
			}
		}
	}
	key, err := incrementalKey(r, inputs)
	if err != nil {
		return layers.Layer{}, err
	}
	captured, err := b.Store.Capture(ctx, key, scratch, "", layers.CaptureOptions{Base: result, Sealed: idle})
	return captured.Layer, err
}

// amendment returns what the last run of r left.
func (b *Builder) amendment(ctx context.Context, r *layers.Recipe, inputs map[string]layers.Layer) (amendment, error) {
	var last amendment
	key, err := amendKey(r, inputs, b.Project)
	if err != nil {
		return last, err
	}
	raw, err := b.Store.Value(ctx, key)
	if err != nil {
		return last, err
	}
	if json.Unmarshal(raw, &last) != nil || !layers.ValidKey(string(last.Result)) {
		return last, errNotAmendable
	}
	for _, step := range r.Amends {
		if last.Inputs[step].Validate() != nil {
			return last, errNotAmendable
		}
	}
	return last, nil
}

func amendKey(r *layers.Recipe, inputs map[string]layers.Layer, project string) (layers.Key, error) {
	like := *r
	like.Resumes = &layers.Resume{Fresh: r.Amends}
	return layers.ResumeKey(&like, inputs, project)
}

// saw reports whether the run may have looked at a file. A path that it saw may
// begin at the folder of any application.
func (a amendment) saw(file string) bool {
	return slices.ContainsFunc(a.Seen, func(seen string) bool { return file == seen || strings.HasSuffix(file, "/"+seen) })
}

// changed returns the files whose content differs between two layers that are
// equal otherwise.
func (b *Builder) changed(ctx context.Context, was, is layers.Layer) ([]tarball.Entry, error) {
	if was.DiffID == is.DiffID {
		return nil, nil
	}
	before, err := b.Store.Entries(ctx, was)
	if err != nil {
		return nil, err
	}
	after, err := b.Store.Entries(ctx, is)
	if err != nil {
		return nil, err
	}
	if len(before) != len(after) {
		return nil, errNotAmendable
	}
	var out []tarball.Entry
	for i, e := range after {
		o := before[i]
		if e.Kind == tarball.Hardlink || e.Kind == tarball.Symlink && !strings.HasPrefix(e.Path, "_build/") {
			return nil, errNotAmendable // another name for what may have changed
		}
		if e.Kind == tarball.File && o.Digest != e.Digest {
			out = append(out, e)
			o.Digest, o.Size = e.Digest, e.Size
		}
		if o.Path != e.Path || o.Kind != e.Kind || o.Mode != e.Mode || o.Link != e.Link {
			return nil, errNotAmendable
		}
	}
	return out, nil
}

// replace writes, below dir, the copy that the result has of the module e.
func (b *Builder) replace(was, is layers.Layer, e tarball.Entry, copies []tarball.Entry, last amendment, dir string) error {
	if len(copies) == 0 {
		return nil // a module of another release
	}
	old, err := b.stripped(was, e.Path, last)
	if err != nil {
		return err
	}
	linked := slices.ContainsFunc(copies, func(c tarball.Entry) bool { return c.Kind != tarball.File })
	copies = slices.DeleteFunc(copies, func(c tarball.Entry) bool { return path.Base(path.Dir(c.Path)) != "ebin" })
	if linked || len(copies) != 1 || copies[0].Digest != digest.FromBytes(old) {
		return errNotAmendable
	}
	data, err := b.stripped(is, e.Path, last)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, filepath.FromSlash(copies[0].Path)), bytes.NewReader(data), os.FileMode(copies[0].Mode&0o755))
}

func (b *Builder) stripped(l layers.Layer, name string, last amendment) ([]byte, error) {
	data, err := b.read(l, name, maxModule)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotAmendable, err)
	}
	return last.strip(data)
}

// strip returns what the copy of a compiled module keeps of it: some of its
// chunks, as beam_lib:build_module/1 writes them. The format is IFF, a form FOR1
// of type BEAM, whose chunks are padded to four bytes.
func (a amendment) strip(module []byte) ([]byte, error) {
	const header = "FOR1\x00\x00\x00\x00BEAM"
	if len(module) < len(header) || string(module[:4]) != header[:4] || string(module[8:12]) != header[8:] {
		return nil, errNotAmendable
	}
	found := make(map[string][]byte)
	for rest := module[len(header):]; len(rest) > 0; {
		if len(rest) < 8 {
			return nil, errNotAmendable
		}
		name, size := string(rest[:4]), (uint64(binary.BigEndian.Uint32(rest[4:]))+3)&^3
		if size > uint64(len(rest)-8) || found[name] != nil || !slices.Contains(a.Known, name) {
			return nil, errNotAmendable
		}
		found[name], rest = rest[:8+size], rest[8+size:]
	}
	out := append(make([]byte, 0, len(module)), header...)
	for _, name := range a.Chunks {
		out = append(out, found[name]...)
	}
	binary.BigEndian.PutUint32(out[4:], uint32(len(out)-8))
	return out, nil
}

// keepAmendment keeps what a run says in its state, if it left one: fields
// with zero bytes between: the chunks that copies of modules keep, those that the
// modules have, and the files which the run looked at.
func (b *Builder) keepAmendment(ctx context.Context, r *layers.Recipe, inputs map[string]layers.Layer, result layers.Key, state []byte) error {
	fields := strings.Split(string(state), "\x00")
	if len(r.Amends) == 0 || len(fields) < 2 {
		return nil
	}
	last := amendment{Result: result, Inputs: make(map[string]digest.Digest), Chunks: chunkNames(fields[0]), Known: chunkNames(fields[1]), Seen: fields[2:]}
	for _, step := range r.Amends {
		last.Inputs[step] = inputs[step].DiffID
	}
	key, err := amendKey(r, inputs, b.Project)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(last)
	if err != nil {
		return err
	}
	return b.Store.PutValue(ctx, key, raw)
}

func chunkNames(text string) []string {
	var out []string
	for name := range slices.Chunk([]byte(text), 4) {
		out = append(out, string(name))
	}
	return out
}
