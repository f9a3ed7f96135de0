package registry

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-build/retort/internal/tarball"
	"github.com/retort-build/retort/layers"
)

func TestImagesOfTheStore(t *testing.T) {
	store, err := layers.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	w, err := store.NewWriter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(tarball.Entry{Path: "app/run", Kind: tarball.File, Mode: 0o4755, UID: 7, GID: 8, Size: 2}, strings.NewReader("hi")); err != nil {
		t.Fatal(err)
	}
	layer, err := w.Commit(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := StoreTree(t.Context(), store, layer)
	if err != nil {
		t.Fatal(err)
	}
	blobs := NewStoreBlobs(store)
	list := []ImageLayer{{Name: "application", Tree: tree}}
	image, err := Assemble(t.Context(), smallSpec(), list, blobs)
	if err != nil {
		t.Fatal(err)
	}
	if image.Layers[0].DiffID != layer.DiffID || image.Layers[0].TarSize != layer.Size {
		t.Errorf("the image's layer is %+v, the store's %+v", image.Layers[0], layer)
	}
	list[0].Tree = unread{tree, t}
	again, err := Assemble(t.Context(), smallSpec(), list, blobs)
	if err != nil || again.Digest != image.Digest {
		t.Errorf("again: %s, %v, want %s", again.Digest, err, image.Digest)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	if err := WriteLayout(t.Context(), dir, []Tagged{{"x", []Image{image}}}, blobs); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(t.Context(), dir); err != nil {
		t.Error(err)
	}
	if err := WriteDockerArchive(t.Context(), io.Discard, []Tagged{{"x:1", []Image{image}}}, blobs); err != nil {
		t.Error(err)
	}
}
