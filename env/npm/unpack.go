package npm

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
)

// The bounds of a tarball.
const (
	MaxTarball  = 512 << 20
	maxUnpacked = 4 << 30
	maxFiles    = 200_000
)

// Want is what a package's tarball must be.
type Want struct {
	Integrity   digest.Digest // sha512, required
	Executables []string      // files that are made executable
}

// Sink takes the files of a package, in the tarball's order. Content is valid
// during the call.
type Sink interface {
	Add(e tarball.Entry, content io.Reader) error
}

// Unpack verifies a tarball of size bytes and gives its files to sink as npm
// would leave them: without the first part of their paths, owned by 0:0, mode
// 0755 if executable and 0644 else. Links are passed over, as npm does; of
// files of one name the last is taken. The sink gets nothing unless the
// integrity holds.
func Unpack(ctx context.Context, r io.ReaderAt, size int64, want Want, sink Sink) error {
	if want.Integrity.Validate() != nil || want.Integrity.Algorithm() != digest.SHA512 {
		return errors.New("no sha512 to verify it with")
	}
	if size < 0 || size > MaxTarball {
		return fmt.Errorf("tarball larger than %d bytes", MaxTarball)
	}
	got, err := digest.SHA512.FromReader(tarball.WithContext(ctx, io.NewSectionReader(r, 0, size)))
	if err != nil {
		return err
	}
	if got != want.Integrity {
		return fmt.Errorf("wrong integrity: want %s, got %s", want.Integrity, got)
	}
	archive := func() io.Reader { return tarball.WithContext(ctx, io.NewSectionReader(r, 0, size)) }
	last := map[string]int{} // of the entries with a name the one that is left
	err = eachFile(archive(), func(i int, name string, _ tarball.Entry, _ io.Reader) error {
		last[name] = i
		return nil
	})
	if err != nil {
		return err
	}
	return eachFile(archive(), func(i int, name string, e tarball.Entry, body io.Reader) error {
		if last[name] != i {
			return nil
		}
		if e.Kind == tarball.Dir {
			return sink.Add(tarball.Entry{Path: name, Kind: tarball.Dir, Mode: 0o755}, nil)
		}
		out := tarball.Entry{Path: name, Kind: tarball.File, Mode: 0o644, Size: e.Size}
		if e.Mode&0o111 != 0 {
			out.Mode = 0o755
		}
		if !slices.Contains(want.Executables, name) {
			return sink.Add(out, body)
		}
		out.Mode, out.Size = 0o755, 0
		return sink.Add(out, unixLine(body))
	})
}

// eachFile calls f for each file and folder of a tarball, with its number and the name
// that npm gives it.
func eachFile(r io.Reader, f func(i int, name string, e tarball.Entry, body io.Reader) error) error {
	zip, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return fmt.Errorf("read tarball: %w", err)
	}
	i, ignores := 0, map[string]bool{}
	limits := tarball.Limits{Entries: maxFiles, Bytes: maxUnpacked, FileBytes: maxUnpacked, Loose: true}
	return tarball.Read(zip, limits, func(e tarball.Entry, body io.Reader) error {
		_, name, below := strings.Cut(e.Path, "/")
		i++
		switch {
		case below && e.Kind == tarball.Dir:
			return f(i, name, e, body)
		case !below || e.Kind != tarball.File:
			return nil
		}
		switch folder, base := path.Split(name); base {
		case ".npmignore":
			ignores[name] = true
		case ".gitignore": // npm packs it under the other name
			name = folder + ".npmignore"
			if ignores[name] {
				return nil
			}
		}
		return f(i, name, e, body)
	})
}

// windowsLine is a first line that the kernel would take for a program whose
// name ends in a carriage return.
var windowsLine = regexp.MustCompile(`\A#![^\n]+\r\n`)

// unixLine is a program's text with a first line that works.
func unixLine(body io.Reader) io.Reader {
	r := bufio.NewReaderSize(body, 2048)
	head, _ := r.Peek(2048) // an error comes again when it is read
	line := windowsLine.Find(head)
	if line == nil {
		return r
	}
	_, _ = r.Discard(len(line))
	return io.MultiReader(bytes.NewReader(line[:len(line)-2]), strings.NewReader("\n"), r)
}
