package builder

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/tarball"
	"github.com/retort-build/retort/layers"
)

// fileFact names what an UnpackTool recipe takes out of its archive.
const fileFact = "file="

// ToolStep is the name of the step that unpacks a tool.
func ToolStep(name string) string { return "tool:" + name }

// ToolRecipe puts a locked tool at its place in the project.
func ToolRecipe(t env.AssetTool, pin env.Tool) layers.Recipe {
	r := layers.Recipe{
		Name: ToolStep(t.Name), Kind: layers.UnpackTool, Platform: pin.Platform, Prefix: t.Path,
		Archive: layers.Archive{Name: t.Name, Version: pin.Version, Digest: pin.Digest, Size: pin.Size, URL: pin.URL},
	}
	if t.File != "" {
		r.Facts = []string{fileFact + t.File}
	}
	return r
}

func (b *Builder) unpackTool(ctx context.Context, key layers.Key, r *layers.Recipe, idle func()) (layers.Layer, error) {
	blob, err := b.Store.OpenBlob(ctx, r.Archive.Digest)
	if err != nil {
		return layers.Layer{}, err
	}
	defer blob.Close()
	content := io.NewSectionReader(blob, 0, blob.Size())
	return b.write(ctx, key, idle, func(w *layers.Writer) error {
		if len(r.Facts) == 0 {
			return w.Add(tarball.Entry{Path: r.Prefix, Kind: tarball.File, Mode: 0o755}, content)
		}
		return toolFrom(content, strings.TrimPrefix(r.Facts[0], fileFact), below{prefix: r.Prefix, to: w})
	})
}

// A sink takes the entries of an archive.
type sink interface {
	Add(e tarball.Entry, content io.Reader) error
}

// toolFrom takes one file, or a folder with all below it, out of a .tar.gz.
func toolFrom(archive io.Reader, file string, to sink) error {
	zip, err := gzip.NewReader(bufio.NewReader(archive))
	if err != nil {
		return fmt.Errorf("read archive: %w: the address of a plain program goes without file", err)
	}
	found := false
	var others []string
	limits := tarball.Limits{Entries: 200_000, Bytes: 4 << 30, FileBytes: env.MaxTool}
	err = tarball.Read(zip, limits, func(e tarball.Entry, content io.Reader) error {
		rest, below := strings.CutPrefix(e.Path, file+"/")
		switch {
		case e.Path == file && e.Kind == tarball.Dir:
			return nil
		case e.Path == file && e.Kind == tarball.File:
			found = true
			return to.Add(tarball.Entry{Kind: tarball.File, Mode: 0o755, Size: e.Size}, content)
		case below:
			found = true
			out, err := toolEntry(e, rest, file)
			if err != nil {
				return err
			}
			return to.Add(out, content)
		}
		if len(others) < 5 {
			others = append(others, e.Path)
		}
		return nil
	})
	if err == nil && !found {
		err = fmt.Errorf("the archive has no %s: it has %s", file, strings.Join(others, ", "))
	}
	return err
}

// toolEntry is an entry of a folder that is taken out of an archive, free of
// what depends on who packed it.
func toolEntry(e tarball.Entry, name, folder string) (tarball.Entry, error) {
	out := tarball.Entry{Path: name, Kind: e.Kind, Mode: 0o755, Size: e.Size}
	switch e.Kind {
	case tarball.File:
		if e.Mode&0o111 == 0 {
			out.Mode = 0o644
		}
	case tarball.Symlink:
		to := path.Join(path.Dir(name), e.Link)
		if path.IsAbs(e.Link) || to == ".." || strings.HasPrefix(to, "../") {
			return out, fmt.Errorf("symlink to %q leads out of the folder", e.Link)
		}
		out.Mode, out.Link = 0o777, e.Link
	case tarball.Hardlink:
		to, ok := strings.CutPrefix(e.Link, folder+"/")
		if !ok {
			return out, fmt.Errorf("hard link to %q leads out of the folder", e.Link)
		}
		out.Link = to
	case tarball.Dir:
	default:
		return out, errors.New("neither a file, a folder nor a link")
	}
	return out, nil
}
