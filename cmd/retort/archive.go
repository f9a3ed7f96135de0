package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
	"github.com/retort-build/retort/layers"
	"github.com/retort-build/retort/registry"
)

// The release's tar.gz is a row of gzip members (RFC 1952, section 2.2: a file
// is a series of them), one for each folder of lib and one for each stretch
// between. A member depends on its own files alone, so after an edit only the
// application's own is compressed again; the rest comes from the store.

// tarEnd is the length of the end-of-archive marker: two zero blocks.
const tarEnd = 1024

// A segment is a run of entries that go into one gzip member.
type segment struct {
	name    string
	entries []tarball.Entry
}

// segments splits entries, in order, wherever the folder of lib or the top
// folder changes. A hard link starts no segment of its own: it may point back.
func segments(entries []tarball.Entry) []segment {
	var out []segment
	for _, e := range entries {
		name := part(e.Path)
		if len(out) == 0 || out[len(out)-1].name != name {
			out = append(out, segment{name: name})
		}
		last := &out[len(out)-1]
		last.entries = append(last.entries, e)
	}
	return out
}

func part(path string) string {
	fields := strings.SplitN(path, "/", 3)
	if fields[0] == "lib" && len(fields) > 1 {
		return "lib/" + fields[1]
	}
	return fields[0]
}

// writeArchive writes the release's tar.gz to path and returns its digest. The
// file appears complete or not at all.
func (s *session) writeArchive(ctx context.Context, path string, release layers.Layer) (digest.Digest, error) {
	entries, err := s.store.Entries(ctx, release)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.Kind == tarball.Hardlink {
			return "", fmt.Errorf("write %s: the release has a hard link, %s", path, e.Path)
		}
	}
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(temp.Name())
	defer temp.Close()
	sum := digest.SHA256.Digester()
	out := io.MultiWriter(temp, sum.Hash())
	for _, seg := range append(segments(entries), segment{name: "end"}) {
		if err := s.writeSegment(ctx, out, release, seg); err != nil {
			return "", fmt.Errorf("write %s: %w", path, err)
		}
	}
	if err := temp.Chmod(0o644); err != nil {
		return "", err
	}
	if err := temp.Close(); err != nil {
		return "", err
	}
	return sum.Digest(), os.Rename(temp.Name(), path)
}

// writeSegment copies a segment's gzip member, which it makes if the store has
// none.
func (s *session) writeSegment(ctx context.Context, w io.Writer, release layers.Layer, seg segment) error {
	text, err := json.Marshal(seg.entries)
	if err != nil {
		return err
	}
	blobs := storeBlobs{s.store}
	key := valueKey("release archive member", string(registry.Gzip), string(text))
	d := digest.Digest("")
	if value, err := s.store.Value(ctx, key); err == nil {
		d = digest.Digest(value)
	}
	if has, err := hasBlob(ctx, s.store, d); err != nil {
		return err
	} else if !has {
		d, _, err = blobs.ingest(ctx, func(w io.Writer) error { return s.packSegment(ctx, w, release, seg) })
		if err != nil {
			return err
		}
		if err := s.store.PutValue(ctx, key, []byte(d)); err != nil {
			return err
		}
	}
	r, err := blobs.Open(ctx, d)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(w, r)
	return err
}

func hasBlob(ctx context.Context, store *layers.Store, d digest.Digest) (bool, error) {
	if d.Validate() != nil {
		return false, nil
	}
	return store.HasBlob(ctx, d)
}

// packSegment compresses a segment; the last one, without entries, is the
// archive's end marker.
func (s *session) packSegment(ctx context.Context, w io.Writer, release layers.Layer, seg segment) error {
	z, err := registry.Gzip.NewWriter(w)
	if err != nil {
		return err
	}
	if len(seg.entries) == 0 {
		if _, err := z.Write(make([]byte, tarEnd)); err != nil {
			return err
		}
		return z.Close()
	}
	cut := &withoutEnd{to: z}
	err = tarball.Write(cut, seg.entries, tarball.Epoch, func(e tarball.Entry) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return s.store.OpenFile(release, e.Path)
	})
	if err != nil {
		return err
	}
	return z.Close()
}

// withoutEnd passes on all but the last tarEnd bytes.
type withoutEnd struct {
	to   io.Writer
	held []byte
}

func (w *withoutEnd) Write(p []byte) (int, error) {
	w.held = append(w.held, p...)
	if n := len(w.held) - tarEnd; n > 0 {
		if _, err := w.to.Write(w.held[:n]); err != nil {
			return 0, err
		}
		w.held = append(w.held[:0], w.held[n:]...)
	}
	return len(p), nil
}
