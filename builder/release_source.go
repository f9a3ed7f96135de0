package builder

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/therootcompany/xz"

	"github.com/retort-build/retort/internal/tarball"
	"github.com/retort-build/retort/layers"
)

// The bounds of a source release: OpenSSL's has 20,000 files and 300 MB.
const (
	maxSourceFiles = 200_000
	maxSourceBytes = 4 << 30
	maxSourceDict  = 128 << 20 // xz -9 asks for 64 MiB
)

// unpackSource unpacks a source release: a tar archive, compressed or not, all of
// which lies in one folder. The layer has what is in the folder.
func (b *Builder) unpackSource(ctx context.Context, key layers.Key, r *layers.Recipe, idle func()) (layers.Layer, error) {
	blob, err := b.Store.OpenBlob(ctx, r.Archive.Digest)
	if err != nil {
		return layers.Layer{}, err
	}
	defer blob.Close()
	content := tarball.WithContext(ctx, io.NewSectionReader(blob, 0, blob.Size()))
	return b.write(ctx, key, idle, func(w *layers.Writer) error {
		return sourceTree(content, w)
	})
}

// sourceTree gives what lies in the one top folder of a source release to sink.
func sourceTree(archive io.Reader, to sink) error {
	plain, err := decoder(bufio.NewReaderSize(archive, 64<<10))
	if err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	folder := ""
	limits := tarball.Limits{Entries: maxSourceFiles, Bytes: maxSourceBytes}
	err = tarball.Read(plain, limits, func(e tarball.Entry, content io.Reader) error {
		top, rest, _ := strings.Cut(e.Path, "/")
		if folder == "" {
			folder = top
		}
		switch {
		case top != folder:
			return fmt.Errorf("%s lies beside the folder %s: a source release has one folder at its top", e.Path, folder)
		case rest == "" && e.Kind != tarball.Dir:
			return fmt.Errorf("%s is no folder: a source release has one folder at its top", e.Path)
		case rest == "":
			return nil
		}
		out, err := toolEntry(e, rest, folder)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
		return to.Add(out, content)
	})
	if err == nil && folder == "" {
		err = errors.New("the archive is empty")
	}
	return err
}

// decoder reads what an archive's first bytes say it is compressed with.
func decoder(r *bufio.Reader) (io.Reader, error) {
	magic, err := r.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return gzip.NewReader(r)
	case bytes.HasPrefix(magic, []byte("\xfd7zXZ\x00")):
		return xz.NewReader(r, maxSourceDict)
	case bytes.HasPrefix(magic, []byte("BZh")):
		return bzip2.NewReader(r), nil
	case bytes.HasPrefix(magic, []byte("PK\x03\x04")):
		return nil, errors.New("a zip archive: want a tar archive, plain or with gzip, xz or bzip2")
	}
	return r, nil
}
