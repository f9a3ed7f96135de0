package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/internal/tarball"
)

// Tagged is a reference and the image for each platform that it names.
type Tagged struct {
	Ref    string
	Images []Image // one a platform
}

// Index writes the image index of images: canonical JSON, sorted by platform.
func Index(images []Image) (raw []byte, mediaType string, d digest.Digest, err error) {
	sorted := append([]Image(nil), images...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i].Platform < sorted[j].Platform })
	index := indexJSON{SchemaVersion: 2, MediaType: ociIndex}
	for i, m := range sorted {
		if i > 0 && m.Platform == sorted[i-1].Platform {
			return nil, "", "", fmt.Errorf("make index: two images for %s", m.Platform)
		}
		if m.Format != sorted[0].Format {
			return nil, "", "", errors.New("make index: images of different formats")
		}
		if m.Format == Docker {
			index.MediaType = dockerList
		}
		index.Manifests = append(index.Manifests, m.descriptor())
	}
	raw, err = canonical(index)
	if err != nil {
		return nil, "", "", fmt.Errorf("make index: %w", err)
	}
	return raw, index.MediaType, digest.FromBytes(raw), nil
}

// layoutVersion is the content of the file oci-layout.
const layoutVersion = `{"imageLayoutVersion":"1.0.0"}`

// layoutTree is the OCI image layout of tagged images as a tree. extra is added
// at its top. mark returns annotations of a reference.
func layoutTree(ctx context.Context, tagged []Tagged, blobs Blobs, mark func(ref string) map[string]string, extra ...FileOf) (Tree, error) {
	files := []FileOf{}
	large := make(map[string]Blob)
	add := func(content []byte) {
		files = append(files, FileOf{plainFile(blobPath(digest.FromBytes(content))), string(content)})
	}
	index := indexJSON{SchemaVersion: 2, MediaType: ociIndex}
	for _, t := range tagged {
		for _, m := range t.Images {
			add(m.Manifest)
			add(m.Config)
			for _, b := range m.Layers {
				large[blobPath(b.Digest)] = b
			}
		}
		d, err := topDescriptor(t, add)
		if err != nil {
			return nil, err
		}
		d.Annotations = mark(t.Ref)
		index.Manifests = append(index.Manifests, d)
	}
	raw, err := canonical(index)
	if err != nil {
		return nil, err
	}
	files = append(files, FileOf{plainFile("index.json"), string(raw)}, FileOf{plainFile("oci-layout"), layoutVersion})
	small, err := Files(distinct(append(files, extra...))...)
	if err != nil {
		return nil, err
	}
	var entries []tarball.Entry
	for p, b := range large {
		e := plainFile(p)
		e.Size, e.Digest = b.Size, b.Digest
		entries = append(entries, e)
	}
	if entries, err = tarball.Normalise(entries); err != nil {
		return nil, err
	}
	return Merge(small, Opened(entries, func(p string) (io.ReadCloser, error) {
		b, ok := large[p]
		if !ok {
			return nil, notExist(p)
		}
		return blobs.Open(ctx, b.Digest)
	}))
}

// topDescriptor describes what a reference names: an image, or an index of
// images for several platforms, which it adds.
func topDescriptor(t Tagged, add func([]byte)) (descriptorJSON, error) {
	switch len(t.Images) {
	case 0:
		return descriptorJSON{}, fmt.Errorf("%s: no image", t.Ref)
	case 1:
		return t.Images[0].descriptor(), nil
	}
	raw, media, d, err := Index(t.Images)
	if err != nil {
		return descriptorJSON{}, fmt.Errorf("%s: %w", t.Ref, err)
	}
	add(raw)
	return descriptorJSON{MediaType: media, Digest: d, Size: int64(len(raw))}, nil
}

// distinct drops files that are listed again, such as a shared configuration.
func distinct(files []FileOf) []FileOf {
	var out []FileOf
	seen := make(map[string]bool)
	for _, f := range files {
		if !seen[f.Path] {
			out = append(out, f)
		}
		seen[f.Path] = true
	}
	return out
}

func blobPath(d digest.Digest) string { return "blobs/sha256/" + d.Encoded() }

func plainFile(p string) tarball.Entry {
	return tarball.Entry{Path: p, Kind: tarball.File, Mode: 0o644}
}

// WriteLayout writes tagged images as an OCI image layout directory. The
// directory appears complete or not at all; an image layout that is there
// already is replaced, and anything else refused.
func WriteLayout(ctx context.Context, dir string, tagged []Tagged, blobs Blobs) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write image layout %s: %w", dir, err)
		}
	}()
	mark := func(ref string) map[string]string {
		if ref == "" {
			return nil
		}
		return map[string]string{AnnotationRefName: ref}
	}
	tree, err := layoutTree(ctx, tagged, blobs, mark)
	if err != nil {
		return err
	}
	if err := replaceable(dir); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(filepath.Clean(dir)), ".layout-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, e := range tree.Entries() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeEntry(tmp, tree, e); err != nil {
			return err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := exchange(tmp, dir); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(filepath.Clean(dir)))
	if err != nil {
		return err
	}
	defer parent.Close()
	return parent.Sync()
}

// replaceable accepts a path where nothing is, an empty directory, or an image
// layout.
func replaceable(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(list) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "oci-layout")); err != nil {
		return errors.New("the directory holds something else")
	}
	return nil
}

func writeEntry(root string, t Tree, e tarball.Entry) error {
	name := filepath.Join(root, filepath.FromSlash(e.Path))
	if e.Kind == tarball.Dir {
		return os.Mkdir(name, 0o755)
	}
	r, err := t.Open(e.Path)
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := e.Digest.Algorithm().Digester()
	n, err := io.Copy(io.MultiWriter(f, sum.Hash()), r)
	if err != nil {
		return err
	}
	if n != e.Size || sum.Digest() != e.Digest {
		return fmt.Errorf("%s: want %s of %d bytes, got %s of %d", e.Path, e.Digest, e.Size, sum.Digest(), n)
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// exchange puts tmp in the place of dir. What was there is in tmp afterwards.
func exchange(tmp, dir string) error {
	err := os.Rename(tmp, dir) // works if dir is absent or empty
	if err == nil || !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
		return err
	}
	err = unix.Renameat2(unix.AT_FDCWD, tmp, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE)
	if err == nil || !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	// A file system that cannot exchange: a short time without any layout.
	old := tmp + ".old"
	if err := os.Rename(dir, old); err != nil {
		return err
	}
	defer os.RemoveAll(old)
	if err := os.Rename(tmp, dir); err != nil {
		return errors.Join(err, os.Rename(old, dir))
	}
	return nil
}

// tagOf is what follows the last colon of a reference's last component.
func tagOf(ref string) (string, bool) {
	last := ref[strings.LastIndexByte(ref, '/')+1:]
	_, tag, ok := strings.Cut(last, ":")
	return tag, ok && tag != ""
}
