package registry

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
	"github.com/retort-build/retort/layers/deb"
)

// contents is what reading a layer blob to its end found.
type contents struct {
	digest      digest.Digest
	size        int64
	compression string
	diffID      digest.Digest
	tarSize     int64
	files       int
	packages    []PackageReport
	biggest     []FileReport
}

const (
	statusDir    = "var/lib/dpkg/status.d"
	biggestFiles = 10
)

// scan reads a layer. The caller compares digests.
func scan(ctx context.Context, r io.Reader, compression string) (contents, error) {
	out := contents{compression: compression}
	packed, plain := digest.SHA256.Digester(), digest.SHA256.Digester()
	packedSize, plainSize := &counter{}, &counter{}
	blob := io.TeeReader(tarball.WithContext(ctx, r), io.MultiWriter(packed.Hash(), packedSize))
	tar, err := Decompress(blob, compression, maxLayerSize)
	if err != nil {
		return out, err
	}
	defer tar.Close()
	limits := tarball.Limits{Bytes: maxLayerSize}
	err = tarball.Read(io.TeeReader(tar, io.MultiWriter(plain.Hash(), plainSize)), limits, func(e tarball.Entry, content io.Reader) error {
		return out.tally(e, content)
	})
	if err != nil {
		return out, err
	}
	out.digest, out.size = packed.Digest(), packedSize.n
	out.diffID, out.tarSize = plain.Digest(), plainSize.n
	return out, nil
}

func (c *contents) tally(e tarball.Entry, content io.Reader) error {
	if e.Kind != tarball.File {
		if e.Kind != tarball.Dir {
			c.files++
		}
		return nil
	}
	c.files++
	c.biggest = append(c.biggest, FileReport{e.Path, e.Size})
	slices.SortFunc(c.biggest, func(a, b FileReport) int {
		if a.Size != b.Size {
			return int(max(-1, min(1, b.Size-a.Size)))
		}
		return strings.Compare(a.Path, b.Path)
	})
	c.biggest = c.biggest[:min(len(c.biggest), biggestFiles)]
	if path.Dir(e.Path) != statusDir || path.Ext(e.Path) == ".md5sums" || e.Size > maxScript {
		return nil
	}
	stanza, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	control, err := deb.ParseControl(stanza)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Path, err)
	}
	c.packages = append(c.packages, PackageReport{control.Name, control.Version})
	return nil
}

// dirSource is an OCI image layout directory. No link leads out of it.
type dirSource struct{ root *os.Root }

func (s dirSource) open(p string) (*os.File, error) {
	f, err := s.root.Open(p)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(err, fmt.Errorf("%s is no regular file", p))
	}
	return f, nil
}

func (s dirSource) file(p string) ([]byte, error) {
	f, err := s.open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err == nil && len(data) > maxDocument {
		err = fmt.Errorf("%s has more than %d bytes", p, maxDocument)
	}
	return data, err
}

func (s dirSource) layer(ctx context.Context, d digest.Digest, compression string) (contents, error) {
	f, err := s.open(blobPath(d))
	if err != nil {
		return contents{}, err
	}
	defer f.Close()
	return scan(ctx, f, compression)
}

// archive is what one pass over an archive found.
type archive struct {
	docs   map[string][]byte
	layers map[digest.Digest]contents
}

// maxDocuments bounds the memory which the documents of an archive take.
const maxDocuments = 64 << 20

func readArchive(ctx context.Context, r io.Reader) (*archive, error) {
	a := &archive{docs: make(map[string][]byte), layers: make(map[digest.Digest]contents)}
	left := maxDocuments
	err := tarball.Read(r, tarball.Limits{Entries: 4096, Depth: 8}, func(e tarball.Entry, content io.Reader) error {
		switch {
		case e.Kind == tarball.Dir:
			return nil
		case e.Kind != tarball.File:
			return fmt.Errorf("%s is no regular file", e.Path)
		}
		in := bufio.NewReader(content)
		magic, _ := in.Peek(4)
		compression, isLayer := sniff(e.Path, magic)
		if isLayer {
			got, err := scan(ctx, in, compression)
			if err != nil {
				return fmt.Errorf("%s: %w", e.Path, err)
			}
			if e.Path != blobPath(got.digest) {
				return fmt.Errorf("%s holds %s", e.Path, got.digest)
			}
			a.layers[got.digest] = got
			return nil
		}
		if left -= int(min(e.Size, maxDocuments+1)); left < 0 || e.Size > maxDocument {
			return fmt.Errorf("%s: documents of more than %d bytes", e.Path, maxDocument)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		a.docs[e.Path] = data
		return nil
	})
	if err != nil {
		return nil, err
	}
	if a.docs["oci-layout"] == nil {
		return nil, errors.New("the archive holds no OCI image layout")
	}
	return a, nil
}

// sniff tells layers from documents, which are JSON objects.
func sniff(p string, magic []byte) (compression string, isLayer bool) {
	switch {
	case !strings.HasPrefix(p, "blobs/"), bytes.HasPrefix(magic, []byte("{")):
		return "", false
	case bytes.HasPrefix(magic, []byte{0x1f, 0x8b}):
		return "gzip", true
	case bytes.HasPrefix(magic, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return "zstd", true
	}
	return "", true
}

func (a *archive) file(p string) ([]byte, error) {
	data, ok := a.docs[p]
	if !ok {
		return nil, notExist(p)
	}
	return data, nil
}

func (a *archive) layer(_ context.Context, d digest.Digest, _ string) (contents, error) {
	got, ok := a.layers[d]
	if !ok {
		return contents{}, notExist(blobPath(d))
	}
	return got, nil
}

// dockerManifest verifies that manifest.json, which Docker reads, and
// index.json, which others read, name the same images.
func (r *reader) dockerManifest() error {
	raw, err := r.src.file("manifest.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var list []dockerEntry
	if err := strict(raw, &list, "Config", "RepoTags", "Layers"); err != nil {
		return err
	}
	if !reflect.DeepEqual(list, r.docker) {
		return errors.New("names other images than index.json")
	}
	return nil
}
