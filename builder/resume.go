package builder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
	"github.com/retort-build/retort/layers"
)

// Files by which a program that can resume and the builder understand each
// other, below the project. See mix/compile.ex.
const (
	stateFile = ".retort/state" // what a later run may begin from
	modeFile  = ".retort/mode"  // how this one came to its result
	madeFile  = ".retort/made"  // names that macros made
)

// modeIncremental is what modeFile holds if the state was used.
const modeIncremental = "incremental"

// maxState bounds a state: Mix's manifests, about a kilobyte a module. maxMade
// bounds the names, some thousands at most.
const (
	maxState = 256 << 20
	maxMade  = 512 << 10
)

// A resumePoint is what a run left for later ones.
type resumePoint struct {
	Result layers.Key    `json:"result"` // of the layer it made
	State  digest.Digest `json:"state"`  // of the blob that holds stateFile
	Size   int64         `json:"size"`
}

// incrementalKey is the key of what r gives if it may resume. Nobody who
// builds clean ever looks there.
func incrementalKey(r *layers.Recipe, inputs map[string]layers.Layer) (layers.Key, error) {
	like := *r
	like.Facts = append(like.Facts[:len(like.Facts):len(like.Facts)], "mode="+modeIncremental)
	key, _, err := layers.KeyOf(&like, inputs)
	return key, err
}

// lookupIncremental returns what an incremental run of r has made.
func (b *Builder) lookupIncremental(ctx context.Context, r *layers.Recipe, inputs map[string]layers.Layer) (layers.Layer, layers.Key, error) {
	if r.Resumes == nil && len(r.Amends) == 0 || !b.Incremental {
		return layers.Layer{}, "", layers.ErrNotFound
	}
	key, err := incrementalKey(r, inputs)
	if err != nil {
		return layers.Layer{}, "", err
	}
	layer, err := b.Store.Lookup(ctx, key)
	return layer, key, err
}

// resume puts what the last run left into upper, if there is anything. It is
// only a hint: without it, or with one that is broken, the program does the
// whole work. A clean run gets the names alone, whatever they were made from; it
// checks that they are right.
func (b *Builder) resume(ctx context.Context, r *layers.Recipe, inputs map[string]layers.Layer, upper string) error {
	if r.Resumes == nil {
		return nil
	}
	made, err := b.Store.Value(ctx, layers.HintKey(r, b.Project))
	if err == nil && len(made) > 0 {
		err = writeFile(filepath.Join(upper, madeFile), bytes.NewReader(made), 0o644)
	}
	if err != nil && !errors.Is(err, layers.ErrNotFound) {
		return err
	}
	if !b.Incremental {
		return nil
	}
	key, err := layers.ResumeKey(r, inputs, b.Project)
	if err != nil {
		return err
	}
	raw, err := b.Store.Value(ctx, key)
	if errors.Is(err, layers.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var point resumePoint
	if json.Unmarshal(raw, &point) != nil || !layers.ValidKey(string(point.Result)) || point.State.Validate() != nil {
		return nil
	}
	return b.restore(ctx, r, point, upper)
}

// restore puts the layer and the state of a run into upper, if the store has
// both.
func (b *Builder) restore(ctx context.Context, r *layers.Recipe, point resumePoint, upper string) error {
	layer, err := b.Store.Lookup(ctx, point.Result)
	if errors.Is(err, layers.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	blob, err := b.Store.OpenBlob(ctx, point.State)
	if errors.Is(err, layers.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer blob.Close()
	if err := b.copyLayer(ctx, layer, upper); err != nil {
		return fmt.Errorf("resume %s: %w", r.Name, err)
	}
	return writeFile(filepath.Join(upper, stateFile), io.NewSectionReader(blob, 0, blob.Size()), 0o644)
}

// copyLayer copies a layer's files; the copies may be written to.
func (b *Builder) copyLayer(ctx context.Context, l layers.Layer, to string) error {
	entries, err := b.Store.Entries(ctx, l)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.copyEntry(l, e, filepath.Join(to, filepath.FromSlash(e.Path))); err != nil {
			return err
		}
	}
	return nil
}

func (b *Builder) copyEntry(l layers.Layer, e tarball.Entry, path string) error {
	switch e.Kind {
	case tarball.Dir:
		return os.MkdirAll(path, 0o755)
	case tarball.Symlink:
		return os.Symlink(e.Link, path)
	case tarball.File, tarball.Hardlink:
		source := e.Path
		if e.Kind == tarball.Hardlink {
			source = e.Link
		}
		f, err := b.Store.OpenFile(l, source)
		if err != nil {
			return err
		}
		defer f.Close()
		return writeFile(path, f, os.FileMode(e.Mode&0o755|0o200))
	}
	return fmt.Errorf("%s: cannot be copied", e.Path)
}

func writeFile(path string, content io.Reader, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// resumed reports whether the program that wrote upper used a state.
func resumed(upper string) bool {
	return string(readOut(upper, modeFile, 64)) == modeIncremental
}

// keepState keeps the state that a run left, for the next one. The program
// may leave none. It is read before the run's output is captured, and kept
// under the key of that.
func (b *Builder) keepState(ctx context.Context, r *layers.Recipe, inputs map[string]layers.Layer, result layers.Key, state, made []byte) error {
	if r.Resumes == nil || len(state) == 0 {
		return nil
	}
	key, err := layers.ResumeKey(r, inputs, b.Project)
	if err != nil {
		return err
	}
	if err := b.Store.PutValue(ctx, layers.HintKey(r, b.Project), made); err != nil {
		return err
	}
	point := resumePoint{Result: result, State: digest.FromBytes(state), Size: int64(len(state))}
	err = b.Store.PutBlob(ctx, point.State, point.Size, func(w io.Writer) error {
		_, err := w.Write(state)
		return err
	})
	if err != nil {
		return err
	}
	raw, err := json.Marshal(point)
	if err != nil {
		return err
	}
	return b.Store.PutValue(ctx, key, raw)
}

// readOut reads a file that a program left. It is foreign code's: a symlink or
// anything above limit bytes is no such file.
func readOut(upper, name string, limit int64) []byte {
	root, err := os.OpenRoot(upper)
	if err != nil {
		return nil
	}
	defer root.Close()
	info, err := root.Lstat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > limit {
		return nil
	}
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil || int64(len(data)) > limit {
		return nil
	}
	return data
}
