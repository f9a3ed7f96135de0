package builder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/internal/tarball"
	"github.com/retort-build/retort/layers"
	"github.com/retort-build/retort/layers/configure"
	"github.com/retort-build/retort/layers/deb"
)

func (b *Builder) unpackDeb(ctx context.Context, key layers.Key, r *layers.Recipe, idle func()) (layers.Layer, error) {
	blob, err := b.Store.OpenBlob(ctx, r.Archive.Digest)
	if err != nil {
		return layers.Layer{}, err
	}
	defer blob.Close()
	return b.write(ctx, key, idle, func(w *layers.Writer) error {
		_, err := deb.Unpack(ctx, blob, blob.Size(), deb.Options{
			Rewrite: slices.Contains(r.Facts, "usrmerge=true"),
			Jobs:    b.jobs(),
			Want:    deb.Identity{Name: r.Archive.Name, Version: r.Archive.Version, Architecture: r.Archive.Arch},
		}, w)
		return err
	})
}

func (b *Builder) unpackHex(ctx context.Context, key layers.Key, r *layers.Recipe, idle func()) (layers.Layer, error) {
	blob, err := b.Store.OpenBlob(ctx, r.Archive.Digest)
	if err != nil {
		return layers.Layer{}, err
	}
	defer blob.Close()
	return b.write(ctx, key, idle, func(w *layers.Writer) error {
		locked, err := hex.ParseLock("lock of "+r.Name, []byte(r.Archive.Lock))
		if err != nil || len(locked) != 1 {
			return fmt.Errorf("internal error: lock entry of %s: %w", r.Name, err)
		}
		sink := below{prefix: r.Prefix, to: w}
		if _, err := hex.Unpack(ctx, blob, blob.Size(), locked[0].Want(), sink); err != nil {
			return err
		}
		marker := hex.Marker(locked[0])
		return sink.Add(tarball.Entry{Path: ".hex", Kind: tarball.File, Mode: 0o644, Size: int64(len(marker))}, bytes.NewReader(marker))
	})
}

// below puts a tree under a prefix.
type below struct {
	prefix string
	to     *layers.Writer
}

func (s below) Add(e tarball.Entry, content io.Reader) error {
	e.Path = path.Join(s.prefix, e.Path)
	if e.Kind == tarball.Hardlink {
		e.Link = path.Join(s.prefix, e.Link)
	}
	return s.to.Add(e, content)
}

// configure computes the configuration layer of the packages in r's inputs. A
// command that nothing is known about fails it: a guess would be worse.
func (b *Builder) configure(ctx context.Context, key layers.Key, r *layers.Recipe, inputs map[string]layers.Layer, idle func()) (layers.Layer, error) {
	in := configure.Input{Platform: r.Platform, UsrMerge: slices.Contains(r.Facts, "usrmerge=true")}
	for _, name := range r.Inputs {
		layer := inputs[name]
		entries, err := b.Store.Entries(ctx, layer)
		if err != nil {
			return layers.Layer{}, err
		}
		in.Trees = append(in.Trees, configure.Tree{Dir: b.Store.Path(layer), Entries: entries})
	}
	for _, fact := range r.Facts {
		if p, ok := layers.ParsePackageFact(fact); ok {
			in.Packages = append(in.Packages, configure.Package{
				Name: p.Name, Version: p.Version, Architecture: p.Architecture, Depends: p.Depends,
			})
		}
	}
	return b.write(ctx, key, idle, func(w *layers.Writer) error {
		report, err := configure.Layer(ctx, in, w)
		if err != nil {
			return err
		}
		for _, c := range report.Unknown {
			return fmt.Errorf("package %s: its maintainer script calls %s, which retort does not know", c.Package, c.Name)
		}
		if len(report.Removed) > 0 {
			return fmt.Errorf("maintainer scripts remove %s, which a layer cannot do", report.Removed[0])
		}
		return nil
	})
}

func (b *Builder) files(ctx context.Context, key layers.Key, r *layers.Recipe, idle func()) (layers.Layer, error) {
	return b.write(ctx, key, idle, func(w *layers.Writer) error {
		for _, f := range r.Files {
			if err := b.addFile(w, r, f); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

func (b *Builder) addFile(w *layers.Writer, r *layers.Recipe, f layers.SourceFile) error {
	if f.Dir || f.Link != "" {
		return w.Add(f.Entry(), nil)
	}
	content, err := b.Open(r, f)
	if err != nil {
		return err
	}
	defer content.Close()
	err = w.Add(f.Entry(), content)
	var differs *layers.DigestError
	if errors.As(err, &differs) {
		return fmt.Errorf("file %s changed while the build read it: run the build again", f.Path)
	}
	return err
}

// write makes one layer with fill and commits it; a failure leaves nothing. It
// calls idle when the rest is waiting for the disk.
func (b *Builder) write(ctx context.Context, key layers.Key, idle func(), fill func(*layers.Writer) error) (layers.Layer, error) {
	w, err := b.Store.NewWriter(ctx)
	if err != nil {
		return layers.Layer{}, err
	}
	defer w.Abort()
	if err := fill(w); err != nil {
		return layers.Layer{}, err
	}
	if err := w.Seal(ctx); err != nil {
		return layers.Layer{}, err
	}
	idle()
	return w.Commit(ctx, key)
}
