package tarball

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Limits bound what Read accepts. A zero field means the default.
type Limits struct {
	Entries   int   // number of entries; default 1,000,000
	Bytes     int64 // content of all files; default 16 GiB
	FileBytes int64 // content of one file; default 8 GiB
	Depth     int   // components of a path; default 128
	// Loose takes what many an npm package holds: names with a part "." or an
	// empty one, which Read leaves out, and files and folders that come again,
	// of which the caller takes the last.
	Loose bool
}

const (
	maxExtended = 1 << 20  // bytes of a PAX header or of a GNU long name
	maxTrailer  = 16 << 20 // zero bytes after the end marker; GNU tar pads to its blocking factor
)

func (l Limits) withDefaults() Limits {
	if l.Entries == 0 {
		l.Entries = 1_000_000
	}
	if l.Bytes == 0 {
		l.Bytes = 16 << 30
	}
	if l.FileBytes == 0 {
		l.FileBytes = 8 << 30
	}
	if l.Depth == 0 {
		l.Depth = 128
	}
	return l
}

// Read reads a foreign tar to the end of r and calls fn for each entry in the
// archive's order. The entry is well formed but for Digest, which is empty
// because the content is not read yet; content yields exactly Size bytes and is
// valid during the call. What fn leaves unread is skipped.
//
// The archive's root ("./") is passed over. Refused, among others: names that
// are absolute or not clean, control characters and bad UTF-8, duplicate names,
// entries below non-directories, hard links to anything but an earlier file,
// devices, FIFOs, sparse files, sizes that PAX and ustar headers state
// differently, unknown entry types, and bytes other than zero behind the end.
// An error of fn is returned wrapped.
func Read(r io.Reader, limits Limits, fn func(e Entry, content io.Reader) error) error {
	a := archive{r: bufio.NewReaderSize(r, 128<<10), limits: limits.withDefaults(), kinds: make(map[string]node)}
	for {
		more, err := a.next(fn)
		if err != nil {
			return fmt.Errorf("read tar at byte %d: %w", a.offset, err)
		}
		if !more {
			return nil
		}
	}
}

// node is what the archive said about a path.
type node struct {
	kind    Kind
	implied bool // a directory named only by what lies below it
}

type archive struct {
	r       io.Reader
	limits  Limits
	kinds   map[string]node
	offset  int64
	entries int
	bytes   int64
}

// next handles one entry with all its extension headers. It reports false at
// the end of the archive.
func (a *archive) next(fn func(Entry, io.Reader) error) (bool, error) {
	var ext extensions
	for {
		var block [blockSize]byte
		if err := a.fill(block[:]); err != nil {
			return false, err
		}
		if block == [blockSize]byte{} {
			if ext.any() {
				return false, errors.New("extended header without an entry")
			}
			return false, a.end()
		}
		h, err := parseHeader(block[:])
		if err != nil {
			return false, err
		}
		switch h.kind {
		case typePAX, typeGlobal, typeLongName, typeLongLink:
			if err := a.extend(&ext, h); err != nil {
				return false, err
			}
			continue
		}
		return true, a.entry(h, ext, fn)
	}
}

// extend reads the body of an extension header into ext.
func (a *archive) extend(ext *extensions, h header) error {
	if h.size > maxExtended {
		return fmt.Errorf("extended header of %d bytes", h.size)
	}
	body := make([]byte, h.size+padding(h.size))
	if err := a.fill(body); err != nil {
		return err
	}
	return ext.add(h.kind, body[:h.size])
}

func (a *archive) entry(h header, ext extensions, fn func(Entry, io.Reader) error) error {
	if a.entries++; a.entries > a.limits.Entries {
		return fmt.Errorf("more than %d entries", a.limits.Entries)
	}
	e, root, err := ext.entry(h, a.limits.Loose)
	if err != nil || root {
		return err
	}
	if err := a.place(e); err != nil {
		return err
	}
	if e.Size > a.limits.FileBytes {
		return fmt.Errorf("entry %q: larger than %d bytes", e.Path, a.limits.FileBytes)
	}
	if a.bytes += e.Size; a.bytes > a.limits.Bytes {
		return fmt.Errorf("entry %q: files larger than %d bytes in all", e.Path, a.limits.Bytes)
	}
	body := &content{a: a, left: e.Size}
	if err := fn(e, body); err != nil {
		return fmt.Errorf("entry %q: %w", e.Path, err)
	}
	if body.err != nil {
		return fmt.Errorf("entry %q: %w", e.Path, body.err)
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return fmt.Errorf("entry %q: %w", e.Path, err)
	}
	var pad [blockSize]byte
	return a.fill(pad[:padding(e.Size)])
}

// place checks e against what came before it.
func (a *archive) place(e Entry) error {
	if depth := strings.Count(e.Path, "/") + 1; depth > a.limits.Depth {
		return fmt.Errorf("entry %q: deeper than %d", e.Path, a.limits.Depth)
	}
	again := func(old node) bool {
		return a.limits.Loose && e.Kind == old.kind && (e.Kind == File || e.Kind == Dir)
	}
	if old, ok := a.kinds[e.Path]; ok && (!old.implied || e.Kind != Dir) && !again(old) {
		return fmt.Errorf("entry %q: duplicate", e.Path)
	}
	for up := path.Dir(e.Path); up != "."; up = path.Dir(up) {
		old, ok := a.kinds[up]
		if ok && old.kind != Dir {
			return fmt.Errorf("entry %q: %q is not a directory", e.Path, up)
		}
		if ok {
			break
		}
		a.kinds[up] = node{kind: Dir, implied: true}
	}
	if e.Kind == Hardlink && a.kinds[e.Link].kind != File {
		// A link to a link is a link to that link's file, which Normalise
		// finds.
		if a.kinds[e.Link].kind != Hardlink {
			return fmt.Errorf("entry %q: hard link to %q, which is not an earlier file", e.Path, e.Link)
		}
	}
	a.kinds[e.Path] = node{kind: e.Kind}
	return nil
}

// end reads what follows the first zero block: a second one, and padding.
func (a *archive) end() error {
	var block [blockSize]byte
	if err := a.fill(block[:]); err != nil {
		return err
	}
	if block != [blockSize]byte{} {
		return errors.New("lone zero block")
	}
	buf := make([]byte, 32<<10)
	var trailer int64
	for {
		n, err := a.r.Read(buf)
		a.offset += int64(n)
		if trailer += int64(n); trailer > maxTrailer {
			return fmt.Errorf("more than %d bytes after the end", maxTrailer)
		}
		if len(bytes.TrimLeft(buf[:n], "\x00")) > 0 {
			return errors.New("data after the end")
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (a *archive) fill(b []byte) error {
	n, err := io.ReadFull(a.r, b)
	a.offset += int64(n)
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// content is the body of one file. It turns an early end into an error and
// keeps it, so that fn cannot swallow it.
type content struct {
	a    *archive
	left int64
	err  error
}

func (c *content) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.a.r.Read(p)
	c.left -= int64(n)
	c.a.offset += int64(n)
	if err == io.EOF && c.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == io.EOF {
		err = nil // the next call reports it
	}
	c.err = err
	return n, err
}
