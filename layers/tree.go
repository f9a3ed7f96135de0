package layers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
)

// treeLine is one line of a tree file: an entry, with attribute values in
// base64, because they need not be text.
type treeLine struct {
	Path   string            `json:"p"`
	Kind   string            `json:"k"`
	Mode   uint32            `json:"m"`
	UID    int               `json:"u,omitempty"`
	GID    int               `json:"g,omitempty"`
	Size   int64             `json:"s,omitempty"`
	Digest digest.Digest     `json:"d,omitempty"`
	Link   string            `json:"l,omitempty"`
	Xattrs map[string][]byte `json:"x,omitempty"`
}

// writeTree writes a tree file: the layer, then its entries, a line each.
func writeTree(w io.Writer, l Layer, entries []tarball.Entry) error {
	b := bufio.NewWriterSize(w, 64<<10)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(l); err != nil {
		return err
	}
	for _, e := range entries {
		line := treeLine{
			Path: e.Path, Kind: string(rune(e.Kind)), Mode: e.Mode, UID: e.UID, GID: e.GID,
			Size: e.Size, Digest: e.Digest, Link: e.Link,
		}
		for name, value := range e.Xattrs {
			if line.Xattrs == nil {
				line.Xattrs = make(map[string][]byte)
			}
			line.Xattrs[name] = []byte(value)
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return b.Flush()
}

// readTree reads a tree file. It checks everything but the contents of files.
func readTree(raw []byte, id digest.Digest) (Layer, []tarball.Entry, error) {
	head, rest, ok := bytes.Cut(raw, []byte("\n"))
	if !ok {
		return Layer{}, nil, errors.New("tree file: no first line")
	}
	l, err := decodeLayer(head)
	if err != nil {
		return Layer{}, nil, fmt.Errorf("tree file: %w", err)
	}
	if l.DiffID != id {
		return Layer{}, nil, fmt.Errorf("tree file is that of %s", l.DiffID)
	}
	entries := make([]tarball.Entry, 0, bytes.Count(rest, []byte("\n")))
	for len(rest) > 0 {
		text, more, ok := bytes.Cut(rest, []byte("\n"))
		var line treeLine
		if !ok {
			return Layer{}, nil, errors.New("tree file: cut off")
		}
		if err := json.Unmarshal(text, &line); err != nil {
			return Layer{}, nil, fmt.Errorf("tree file: %w", err)
		}
		if len(line.Kind) != 1 {
			return Layer{}, nil, fmt.Errorf("tree file: kind %q", line.Kind)
		}
		e := tarball.Entry{
			Path: line.Path, Kind: tarball.Kind(line.Kind[0]), Mode: line.Mode, UID: line.UID, GID: line.GID,
			Size: line.Size, Digest: line.Digest, Link: line.Link,
		}
		for name, value := range line.Xattrs {
			if e.Xattrs == nil {
				e.Xattrs = make(map[string]string)
			}
			e.Xattrs[name] = string(value)
		}
		entries = append(entries, e)
		rest = more
	}
	if err := tarball.Check(entries); err != nil {
		return Layer{}, nil, fmt.Errorf("tree file: %w", err)
	}
	if size := tarball.Size(entries); size != l.Size {
		return Layer{}, nil, fmt.Errorf("tree file: size %d, want %d", size, l.Size)
	}
	return l, entries, nil
}
