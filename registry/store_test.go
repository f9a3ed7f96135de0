package registry

import (
	"strings"
	"testing"

	"github.com/retort-build/retort/internal/tarball"
	"github.com/retort-build/retort/layers"
)

// A layer of the store is the same tar in an image, although its files lie on
// disk with other modes and owners.
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
	entries, err := store.Entries(t.Context(), layer)
	if err != nil {
		t.Fatal(err)
	}
	tree := Dir(store.Path(layer), entries)
	blobs, err := NewDirBlobs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	list := []ImageLayer{{Name: "application", Tree: tree}}
	image, err := Assemble(t.Context(), smallSpec(), list, blobs)
	if err != nil {
		t.Fatal(err)
	}
	if image.Layers[0].DiffID != layer.DiffID || image.Layers[0].TarSize != layer.Size {
		t.Errorf("the image's layer is %+v, the store's %+v", image.Layers[0], layer)
	}
}
