package layers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/internal/tarball"
)

// VerifyOptions say what Verify does about damage.
type VerifyOptions struct {
	// Heal removes what is damaged, with the records and views that lead to
	// it, so that the next build realises it again. A process that is using
	// it will fail.
	Heal bool
}

// Problem is one thing that is not as it was committed.
type Problem struct {
	Kind string // layer, record, value, blob, view, root
	Name string // hex digits of its digest or key
	What string
}

// VerifyReport is what Verify read.
type VerifyReport struct {
	Layers, Records, Values, Blobs, Views int
	Bytes                                 int64     // that were hashed
	Problems                              []Problem // sorted by kind and name
	Healed                                bool      // the problems are removed
}

// Verify reads the whole store and compares every byte, name and mode with what
// was committed. Collection waits while it runs.
func (s *Store) Verify(ctx context.Context, opt VerifyOptions) (VerifyReport, error) {
	r, err := s.verify(ctx, opt)
	if err != nil {
		return r, fmt.Errorf("verify store: %w", err)
	}
	return r, nil
}

func (s *Store) verify(ctx context.Context, opt VerifyOptions) (VerifyReport, error) {
	v := verification{s: s, bad: make(map[string]bool)}
	if err := s.within(func() error { return v.run(ctx) }); err != nil {
		return v.report, err
	}
	if opt.Heal && len(v.damaged) > 0 {
		if err := s.heal(v.damaged); err != nil {
			return v.report, err
		}
		v.report.Healed = true
	}
	slices.SortFunc(v.report.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.What, b.What))
	})
	return v.report, nil
}

// heal moves damaged things to the trash.
func (s *Store) heal(damaged []string) error {
	err := s.alone(true, func() error {
		for _, p := range damaged {
			if err := s.discard(p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.emptyTrash()
}

type verification struct {
	s       *Store
	mu      sync.Mutex
	report  VerifyReport
	damaged []string        // paths to remove, each once
	bad     map[string]bool // layers that are missing or damaged, by hex digits
}

// run checks layers and blobs first: records and views lead to them.
func (v *verification) run(ctx context.Context) error {
	for _, step := range []struct {
		pattern string
		check   func(context.Context, string, string) ([]string, error)
		kind    string
		count   *int
	}{
		{v.s.path(layersDir, "*"), v.layer, "layer", &v.report.Layers},
		{v.s.path(blobsDir, "blobs", "sha256", "*"), v.blob, "blob", &v.report.Blobs},
		{v.s.path(keysDir, "*", "*"), v.record, "record", &v.report.Records},
		{v.s.path(valuesDir, "*", "*"), v.value, "value", &v.report.Values},
		{v.s.path(viewsDir, "*"), v.view, "view", &v.report.Views},
		{v.s.path(rootsDir, "*"), v.root, "root", new(int)},
	} {
		names, err := glob(step.pattern)
		if err != nil {
			return err
		}
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(runtime.GOMAXPROCS(0))
		for _, path := range names {
			g.Go(func() error {
				name := filepath.Base(path)
				what := []string{"not a name of the store"}
				if ValidKey(name) {
					var err error
					if what, err = step.check(gctx, path, name); err != nil {
						return err
					}
				}
				v.note(step.kind, path, name, what)
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		*step.count = len(names)
	}
	return nil
}

func (v *verification) note(kind, path, name string, what []string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(what) == 0 {
		return
	}
	v.damaged = append(v.damaged, path)
	if kind == "layer" {
		v.bad[name] = true
	}
	for _, w := range what {
		v.report.Problems = append(v.report.Problems, Problem{Kind: kind, Name: name, What: w})
	}
}

func (v *verification) hashed(n int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Bytes += n
}

// layer checks a layer's tree file, the files, and the DiffID.
func (v *verification) layer(ctx context.Context, path, name string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	id := digest.NewDigestFromEncoded(digest.SHA256, name)
	raw, err := os.ReadFile(path + "/tree")
	if err != nil {
		return []string{err.Error()}, nil
	}
	l, entries, err := readTree(raw, id)
	if err != nil {
		return []string{err.Error()}, nil
	}
	what := checkNames(path, "fs", "tree")
	what = append(what, checkFiles(path+"/fs", entries)...)
	if len(what) > 0 {
		return what, nil
	}
	got, size, err := tarball.Digest(entries, v.s.opener(ctx, l))
	v.hashed(size)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return v.contents(ctx, l, entries)
	case got != id:
		return []string{"the tree file describes " + string(got)}, nil
	}
	return nil, nil
}

// contents names every file of a damaged layer whose content is wrong.
func (v *verification) contents(ctx context.Context, l Layer, entries []tarball.Entry) ([]string, error) {
	open := v.s.opener(ctx, l)
	var what []string
	for _, e := range entries {
		if e.Kind != tarball.File {
			continue
		}
		if err := tarball.Write(io.Discard, []tarball.Entry{e}, tarball.Epoch, open); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			what = append(what, err.Error())
		}
	}
	if len(what) == 0 {
		what = []string{"was damaged while it was read"}
	}
	return what, nil
}

func (v *verification) blob(ctx context.Context, path, name string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return []string{err.Error()}, nil
	}
	defer f.Close()
	got := digest.SHA256.Digester()
	n, err := io.Copy(got.Hash(), tarball.WithContext(ctx, f))
	v.hashed(n)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return []string{err.Error()}, nil
	}
	if got.Digest().Encoded() != name {
		return []string{"has digest " + string(got.Digest())}, nil
	}
	return nil, nil
}

func (v *verification) record(_ context.Context, path, name string) ([]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return []string{err.Error()}, nil
	}
	payload, err := openRecord(name, raw)
	if err != nil {
		return []string{err.Error()}, nil
	}
	l, err := decodeLayer(payload)
	if err != nil {
		return []string{err.Error()}, nil
	}
	return v.needs(l), nil
}

func (v *verification) value(_ context.Context, path, name string) ([]string, error) {
	raw, err := os.ReadFile(path)
	if err == nil {
		_, err = openRecord(name, raw)
	}
	if err != nil {
		return []string{err.Error()}, nil
	}
	return nil, nil
}

func (v *verification) root(_ context.Context, _, name string) ([]string, error) {
	if _, err := v.s.readRoot(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return []string{err.Error()}, nil
	}
	return nil, nil
}

// needs reports a layer that something leads to and that is not whole.
func (v *verification) needs(l Layer) []string {
	v.mu.Lock()
	bad := v.bad[l.DiffID.Encoded()]
	v.mu.Unlock()
	if bad {
		return []string{"leads to layer " + l.DiffID.Encoded() + ", which is damaged"}
	}
	if _, err := os.Lstat(v.s.path(layersDir, l.DiffID.Encoded(), "tree")); err != nil {
		return []string{"leads to layer " + l.DiffID.Encoded() + ", which is not there"}
	}
	return nil
}

// view checks that a view shows its layers. Its files are the layers' own, so
// their contents are checked already; copies are hashed.
func (v *verification) view(ctx context.Context, path, name string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	raw, err := os.ReadFile(path + "/list")
	if err != nil {
		return []string{err.Error()}, nil
	}
	ls, err := parseViewList(raw)
	if err != nil {
		return []string{err.Error()}, nil
	}
	if _, want, err := viewName(ls); err != nil || want != name {
		return []string{"the list is that of view " + want}, nil
	}
	trees := make([][]tarball.Entry, len(ls))
	for i, l := range ls {
		if what := v.needs(l.Layer); len(what) > 0 {
			return what, nil
		}
		raw, err := os.ReadFile(v.s.path(layersDir, l.DiffID.Encoded(), "tree"))
		if err == nil {
			_, trees[i], err = readTree(raw, l.DiffID)
		}
		if err != nil {
			return []string{err.Error()}, nil
		}
	}
	all, err := mergeTrees(ls, trees)
	if err != nil {
		return []string{err.Error()}, nil
	}
	entries := make([]tarball.Entry, len(all))
	for i, m := range all {
		entries[i] = m.file
		entries[i].Path = m.Path
	}
	what := append(checkNames(path, "fs", "list"), checkFiles(path+"/fs", entries)...)
	for _, m := range all {
		if m.file.Kind == tarball.File && len(what) == 0 {
			what = append(what, v.shown(v.s.Path(ls[m.from].Layer), path+"/fs", m)...)
		}
	}
	return what, nil
}

// shown checks that a file of a view is its layer's, or a good copy.
func (v *verification) shown(layer, view string, m merged) []string {
	a, aerr := os.Lstat(layer + "/" + m.Path)
	b, berr := os.Lstat(view + "/" + m.Path)
	if err := errors.Join(aerr, berr); err != nil {
		return []string{err.Error()}
	}
	if os.SameFile(a, b) {
		return nil
	}
	e := m.file
	e.Path = m.Path
	err := tarball.Write(io.Discard, []tarball.Entry{e}, tarball.Epoch, func(tarball.Entry) (io.ReadCloser, error) {
		return openBeneath(view, m.Path)
	})
	v.hashed(e.Size)
	if err != nil {
		return []string{err.Error()}
	}
	return nil
}
