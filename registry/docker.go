package registry

import (
	"context"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
)

// dockerEntry is one image of manifest.json, the index that "docker load" reads.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// WriteDockerArchive writes images as one tar which "docker load", "podman
// load", "ctr images import" and "skopeo copy docker-archive:" read: an OCI
// image layout, with Docker's manifest.json beside its index. Each reference
// needs a tag, and names one image: an archive has no way to choose a platform.
func WriteDockerArchive(ctx context.Context, w io.Writer, tagged []Tagged, blobs Blobs) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write image archive: %w", err)
		}
	}()
	var list []dockerEntry
	for _, t := range tagged {
		if _, ok := tagOf(t.Ref); !ok {
			return fmt.Errorf("reference %q: no tag", t.Ref)
		}
		if len(t.Images) != 1 {
			return fmt.Errorf("%s: %d images, want one", t.Ref, len(t.Images))
		}
		m := t.Images[0]
		e := dockerEntry{Config: blobPath(digest.FromBytes(m.Config)), RepoTags: []string{t.Ref}}
		for _, b := range m.Layers {
			e.Layers = append(e.Layers, blobPath(b.Digest))
		}
		list = append(list, e)
	}
	raw, err := canonical(list)
	if err != nil {
		return err
	}
	mark := func(ref string) map[string]string {
		tag, _ := tagOf(ref)
		return map[string]string{"io.containerd.image.name": ref, AnnotationRefName: tag}
	}
	tree, err := layoutTree(ctx, tagged, blobs, mark, FileOf{plainFile("manifest.json"), string(raw)})
	if err != nil {
		return err
	}
	return tarball.Write(w, tree.Entries(), tarball.Epoch, func(e tarball.Entry) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return tree.Open(e.Path)
	})
}
