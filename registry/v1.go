package registry

import (
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
)

// V1 is the image as go-containerregistry has it, for pushing. open gives the
// bytes of a layer.
func (m Image) V1(open func(digest.Digest) (io.ReadCloser, error)) (v1.Image, error) {
	image, err := partial.CompressedToImage(compressedImage{m, open})
	if err != nil {
		return nil, fmt.Errorf("present image %s: %w", m.Digest, err)
	}
	return image, nil
}

type compressedImage struct {
	image Image
	open  func(digest.Digest) (io.ReadCloser, error)
}

func (c compressedImage) RawConfigFile() ([]byte, error) { return c.image.Config, nil }
func (c compressedImage) RawManifest() ([]byte, error)   { return c.image.Manifest, nil }
func (c compressedImage) MediaType() (types.MediaType, error) {
	return types.MediaType(c.image.MediaType), nil
}

func (c compressedImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, b := range c.image.Layers {
		if b.Digest.String() == h.String() {
			return compressedLayer{c, b}, nil
		}
	}
	return nil, errors.New("image has no layer " + h.String())
}

type compressedLayer struct {
	compressedImage
	blob Blob
}

func (l compressedLayer) Digest() (v1.Hash, error) { return v1.NewHash(l.blob.Digest.String()) }
func (l compressedLayer) DiffID() (v1.Hash, error) { return v1.NewHash(l.blob.DiffID.String()) }
func (l compressedLayer) Size() (int64, error)     { return l.blob.Size, nil }

func (l compressedLayer) Compressed() (io.ReadCloser, error) { return l.open(l.blob.Digest) }

func (l compressedLayer) MediaType() (types.MediaType, error) {
	media, err := l.image.Codec.MediaType(l.image.Format)
	return types.MediaType(media), err
}
