package hex

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
)

// Want is what a package's tarball must be.
type Want struct {
	Name    string
	Version string
	Inner   digest.Digest // "" when only the outer one is known
	Outer   digest.Digest // required
}

// Sink takes the files of a package, in the tarball's order. Their digests are
// not filled in, and parent folders may come late or never: tarball.Normalise
// orders and completes them. Content is valid during the call.
type Sink interface {
	Add(e tarball.Entry, content io.Reader) error
}

// ChecksumError says that a tarball is not the locked one.
type ChecksumError struct {
	Package   string // NAME-VERSION
	Which     string // "outer", "inner" or "CHECKSUM"
	Want, Got digest.Digest
}

func (e *ChecksumError) Error() string {
	return fmt.Sprintf("verify %s: %s checksum: want %s, got %s", e.Package, e.Which, e.Want, e.Got)
}

// Bounds of a tarball. hex.pm takes 16 MiB packed and 128 MiB unpacked;
// private repositories may take more.
const (
	maxTarball  = 256 << 20
	maxUnpacked = 2 << 30
	maxFiles    = 200_000
)

// Verify checks the checksums of a tarball of size bytes and what its metadata
// says against want, and returns the metadata.
func Verify(ctx context.Context, r io.ReaderAt, size int64, want Want) (*Metadata, error) {
	p, err := open(ctx, r, size, want)
	if err != nil {
		return nil, wrap("verify", want, err)
	}
	return p.metadata, nil
}

// Unpack verifies a tarball and gives its files to sink, owned by 0:0, with
// mode 0755 if the package has them executable and 0644 else. The sink gets
// nothing unless every checksum holds. A file .hex at the top is left out: it
// is Mix's marker, which [Marker] makes.
func Unpack(ctx context.Context, r io.ReaderAt, size int64, want Want, sink Sink) (*Metadata, error) {
	p, err := open(ctx, r, size, want)
	if err != nil {
		return nil, wrap("unpack", want, err)
	}
	if err := p.unpack(ctx, sink); err != nil {
		return nil, wrap("unpack", want, err)
	}
	return p.metadata, nil
}

func wrap(verb string, want Want, err error) error {
	var sum *ChecksumError
	if errors.As(err, &sum) {
		return err
	}
	return fmt.Errorf("%s %s-%s: %w", verb, want.Name, want.Version, err)
}

// parts is a verified tarball.
type parts struct {
	metadata *Metadata
	contents *io.SectionReader
}

func open(ctx context.Context, r io.ReaderAt, size int64, want Want) (*parts, error) {
	if want.Outer == "" {
		return nil, errors.New("no outer checksum to verify it with")
	}
	if size < 0 || size > maxTarball {
		return nil, fmt.Errorf("larger than %d bytes", maxTarball)
	}
	outer, err := sum(ctx, sha256.New(), io.NewSectionReader(r, 0, size))
	if err != nil {
		return nil, err
	}
	name := want.Name + "-" + want.Version
	if outer != want.Outer {
		return nil, &ChecksumError{Package: name, Which: "outer", Want: want.Outer, Got: outer}
	}
	f, err := split(r, size)
	if err != nil {
		return nil, err
	}
	if string(f.version) != "3" {
		return nil, fmt.Errorf("tarball version %.20q: only 3 is known", f.version)
	}
	h := sha256.New()
	h.Write(f.version)
	h.Write(f.metadata)
	inner, err := sum(ctx, h, f.contents)
	if err != nil {
		return nil, err
	}
	stated, err := checksum(term{shape: stringTerm, text: strings.TrimSpace(string(f.checksum))})
	if err != nil {
		return nil, fmt.Errorf("CHECKSUM: %w", err)
	}
	if stated != inner {
		return nil, &ChecksumError{Package: name, Which: "CHECKSUM", Want: stated, Got: inner}
	}
	if want.Inner != "" && want.Inner != inner {
		return nil, &ChecksumError{Package: name, Which: "inner", Want: want.Inner, Got: inner}
	}
	m, err := ParseMetadata(f.metadata)
	if err != nil {
		return nil, err
	}
	if m.Name != want.Name || m.Version != want.Version {
		return nil, fmt.Errorf("metadata.config is that of %s-%s", m.Name, m.Version)
	}
	return &parts{metadata: m, contents: io.NewSectionReader(f.contents, 0, f.contents.Size())}, nil
}

// files are the four members of the outer tar.
type files struct {
	version, checksum, metadata []byte
	contents                    *io.SectionReader
}

// split finds the members. It uses archive/tar, which unlike tarball.Read
// promises no more buffering than the blocks it hands out, because a member's
// place is needed: contents.tar.gz is read twice and never held in memory.
func split(r io.ReaderAt, size int64) (files, error) {
	var f files
	small := map[string]*[]byte{"VERSION": &f.version, "CHECKSUM": &f.checksum, "metadata.config": &f.metadata}
	src := io.NewSectionReader(r, 0, size)
	members := tar.NewReader(src)
	for {
		h, err := members.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return f, err
		}
		if h.Typeflag != tar.TypeReg || len(h.PAXRecords) > 0 {
			return f, fmt.Errorf("member %.100q: not a plain file", h.Name)
		}
		if h.Name == "contents.tar.gz" && f.contents == nil {
			at, err := src.Seek(0, io.SeekCurrent)
			if err != nil || h.Size > size-at {
				return f, io.ErrUnexpectedEOF
			}
			f.contents = io.NewSectionReader(r, at, h.Size)
			continue
		}
		to := small[h.Name]
		if to == nil || *to != nil || h.Size > maxMetadata {
			return f, fmt.Errorf("member %.100q: unknown, twice or larger than %d bytes", h.Name, maxMetadata)
		}
		if *to, err = io.ReadAll(members); err != nil {
			return f, err
		}
	}
	if f.version == nil || f.checksum == nil || f.metadata == nil || f.contents == nil {
		return f, errors.New("a member of VERSION, CHECKSUM, metadata.config, contents.tar.gz is missing")
	}
	return f, nil
}

func (p *parts) unpack(ctx context.Context, sink Sink) error {
	zip, err := gzip.NewReader(tarball.WithContext(ctx, p.contents))
	if err != nil {
		return fmt.Errorf("contents.tar.gz: %w", err)
	}
	limits := tarball.Limits{Entries: maxFiles, Bytes: maxUnpacked, FileBytes: maxUnpacked}
	err = tarball.Read(tarball.WithContext(ctx, zip), limits, func(e tarball.Entry, body io.Reader) error {
		if e.Path == ".hex" {
			return nil
		}
		out, err := plain(e)
		if err != nil {
			return err
		}
		return sink.Add(out, body)
	})
	if err != nil {
		return fmt.Errorf("contents.tar.gz: %w", err)
	}
	return nil
}

// plain strips an entry of all that depends on who packed it.
func plain(e tarball.Entry) (tarball.Entry, error) {
	out := tarball.Entry{Path: e.Path, Kind: e.Kind, Size: e.Size, Link: e.Link}
	switch e.Kind {
	case tarball.File:
		out.Mode = 0o644
		if e.Mode&0o111 != 0 {
			out.Mode = 0o755
		}
	case tarball.Dir:
		out.Mode = 0o755
	case tarball.Symlink:
		out.Mode = 0o777
		to := path.Join(path.Dir(e.Path), e.Link)
		if path.IsAbs(e.Link) || to == ".." || strings.HasPrefix(to, "../") {
			return out, fmt.Errorf("symlink to %q leads out of the package", e.Link)
		}
	default:
		return out, errors.New("neither a file, a folder nor a symlink")
	}
	return out, nil
}

func sum(ctx context.Context, h hash.Hash, r io.Reader) (digest.Digest, error) {
	if _, err := io.Copy(h, tarball.WithContext(ctx, r)); err != nil {
		return "", err
	}
	return digest.NewDigest(digest.SHA256, h), nil
}
