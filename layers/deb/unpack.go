package deb

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/retort-build/retort/internal/tarball"
)

const (
	// The largest control.tar of trixie unpacks to 6 MiB (symbols and md5sums).
	maxControl = 64 << 20
	maxEntries = 1 << 20
	// Installed-Size counts KiB of content; tar headers, long names and
	// rounding come on top. The slack serves packages of many small files.
	slackSize = 64 << 20
	maxData   = 32 << 30

	infoDir   = "var/lib/dpkg/info"
	statusDir = "var/lib/dpkg/status.d"
)

// Options tell how a package is unpacked. The zero value is useful.
type Options struct {
	// Rewrite moves paths below bin, sbin, lib and lib64 to usr, as dpkg does
	// on a merged-/usr system. Releases before trixie need it.
	Rewrite bool
	// Jobs bounds how many blocks of one package are decompressed at a time;
	// zero means one.
	Jobs int
	// Want is what the package must call itself. Empty fields match anything.
	Want Identity
}

// Identity is what tells one binary package from another.
type Identity struct {
	Name         string
	Version      string
	Architecture string
}

// Sink takes the entries of a layer. Add is called by one goroutine at a time
// and reads content, which is nil for all kinds but files, before it returns;
// an error stops the unpacking and is returned wrapped.
type Sink interface {
	Add(e tarball.Entry, content io.Reader) error
}

// Unpack adds the entries of the package in r to the sink, parents first, and
// returns its control data. The sink has seen an unknown part of the entries
// when there is an error.
func Unpack(ctx context.Context, r io.ReaderAt, size int64, opt Options, sink Sink) (*Control, error) {
	c, err := unpack(ctx, r, size, opt, sink)
	if err != nil {
		what := "package"
		if opt.Want.Name != "" {
			what = opt.Want.Name
		}
		return nil, fmt.Errorf("unpack %s: %w", what, err)
	}
	return c, nil
}

func unpack(ctx context.Context, r io.ReaderAt, size int64, opt Options, sink Sink) (*Control, error) {
	ar, err := openArchive(r, size)
	if err != nil {
		return nil, err
	}
	members, err := readControl(ctx, ar.control)
	if err != nil {
		return nil, fmt.Errorf("control.tar: %w", err)
	}
	stanza, ok := members["control"]
	if !ok {
		return nil, fmt.Errorf("control.tar: no control file")
	}
	c, err := ParseControl(stanza.content)
	if err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	if err := c.check(opt.Want); err != nil {
		return nil, fmt.Errorf("control: %w", err)
	}
	delete(members, "control")
	c.Members = slices.Sorted(maps.Keys(members))

	sums, err := parseSums(members["md5sums"].content)
	if err != nil {
		return nil, fmt.Errorf("md5sums: %w", err)
	}
	d := &data{sink: sink, rewrite: opt.Rewrite, sums: sums, kinds: make(map[string]tarball.Kind)}
	err = decompress(ctx, ar.data, dataLimit(c), opt.Jobs, func(plain io.Reader) error {
		return tarball.Read(plain, tarball.Limits{Entries: maxEntries}, d.add)
	})
	if err != nil {
		return nil, fmt.Errorf("data.tar: %w", err)
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	return c, d.addInfo(c, members)
}

func dataLimit(c *Control) int64 {
	limit := c.InstalledSize<<10 + c.InstalledSize<<9 + slackSize
	return min(limit, maxData)
}

// controlMember is a file of control.tar.
type controlMember struct {
	mode    uint32
	content []byte
}

func readControl(ctx context.Context, m member) (map[string]controlMember, error) {
	members := make(map[string]controlMember)
	err := decompress(ctx, m, maxControl, 1, func(plain io.Reader) error {
		return tarball.Read(plain, tarball.Limits{Entries: 1024}, func(e tarball.Entry, content io.Reader) error {
			if e.Kind != tarball.File || strings.Contains(e.Path, "/") {
				return fmt.Errorf("%s: want a plain file", e.Path)
			}
			// Members become file names behind the package's.
			if strings.ContainsFunc(e.Path, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
				return fmt.Errorf("bad member name %q", e.Path)
			}
			if _, dup := members[e.Path]; dup {
				return fmt.Errorf("%s: twice", e.Path)
			}
			b, err := io.ReadAll(content)
			if err != nil {
				return err
			}
			members[e.Path] = controlMember{e.Mode & 0o777, b}
			return nil
		})
	})
	return members, err
}

// data passes the entries of data.tar on.
type data struct {
	sink    Sink
	rewrite bool
	sums    map[string][16]byte     // what is left to be checked, by path as packaged
	kinds   map[string]tarball.Kind // what went to the sink
}

func (d *data) add(e tarball.Entry, content io.Reader) error {
	packaged := e.Path
	if e.Kind != tarball.File {
		content = nil
	}
	if d.rewrite {
		e = rewrite(e)
	}
	if old, seen := d.kinds[e.Path]; seen {
		// Both lib and usr/lib of a package become usr/lib.
		if old == tarball.Dir && e.Kind == tarball.Dir {
			return nil
		}
		return fmt.Errorf("%s: twice", e.Path)
	}
	if e.Kind == tarball.Hardlink && d.kinds[e.Link] != tarball.File {
		return fmt.Errorf("%s: hard link to %s, which is no earlier file", e.Path, e.Link)
	}
	if err := d.parents(e.Path); err != nil {
		return err
	}
	d.kinds[e.Path] = e.Kind
	sum, ok := d.sums[packaged]
	if !ok {
		return d.sink.Add(e, content)
	}
	delete(d.sums, packaged)
	switch e.Kind {
	case tarball.Hardlink: // its content was checked under the first name
		return d.sink.Add(e, nil)
	case tarball.File:
		checked := newSumReader(content)
		if err := d.sink.Add(e, checked); err != nil {
			return err
		}
		return checked.verify(packaged, sum)
	}
	return fmt.Errorf("%s: md5sums names it, but it is no file", packaged)
}

// parents adds the directories above a path that have not been there yet, and
// refuses a path below anything but directories.
func (d *data) parents(p string) error {
	dir := path.Dir(p)
	if dir == "." {
		return nil
	}
	if kind, seen := d.kinds[dir]; seen {
		if kind != tarball.Dir {
			return fmt.Errorf("%s: %s is no directory", p, dir)
		}
		return nil
	}
	if err := d.parents(dir); err != nil {
		return err
	}
	d.kinds[dir] = tarball.Dir
	return d.sink.Add(tarball.Entry{Path: dir, Kind: tarball.Dir, Mode: 0o755}, nil)
}

// finish reports a file that md5sums promised and data.tar lacks.
func (d *data) finish() error {
	if len(d.sums) == 0 {
		return nil
	}
	missing := slices.Min(slices.Collect(maps.Keys(d.sums)))
	return fmt.Errorf("md5sums: %s is not in data.tar", missing)
}

// addInfo adds the package's entry in dpkg's database.
func (d *data) addInfo(c *Control, members map[string]controlMember) error {
	for _, name := range c.Members {
		m := members[name]
		e := tarball.Entry{Path: path.Join(infoDir, c.Name+"."+name), Kind: tarball.File, Mode: m.mode}
		if err := d.addFile(e, m.content); err != nil {
			return err
		}
	}
	e := tarball.Entry{Path: path.Join(statusDir, c.Name), Kind: tarball.File, Mode: 0o644}
	return d.addFile(e, c.Stanza)
}

func (d *data) addFile(e tarball.Entry, content []byte) error {
	e.Size = int64(len(content))
	if _, seen := d.kinds[e.Path]; seen {
		return fmt.Errorf("%s: twice", e.Path)
	}
	if err := d.parents(e.Path); err != nil {
		return err
	}
	d.kinds[e.Path] = e.Kind
	return d.sink.Add(e, bytes.NewReader(content))
}

// rewrite moves an entry, and what a hard link names, below usr. The targets
// of symbolic links stay: they are resolved from where the merged link leads.
func rewrite(e tarball.Entry) tarball.Entry {
	// A package that ships the link itself is merged already.
	if e.Kind == tarball.Dir || strings.Contains(e.Path, "/") {
		e.Path = merged(e.Path)
	}
	if e.Kind == tarball.Hardlink {
		e.Link = merged(e.Link)
	}
	return e
}

func merged(p string) string {
	first, _, _ := strings.Cut(p, "/")
	switch first {
	case "bin", "sbin", "lib", "lib64":
		return "usr/" + p
	}
	return p
}
