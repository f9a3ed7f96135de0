package registry

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/opencontainers/go-digest"
)

// Report says what the images of a layout or an archive hold.
type Report struct {
	Images []ImageReport `json:"images"`
}

// ImageReport is one image, verified down to the last file.
type ImageReport struct {
	Ref         string            `json:"ref,omitempty"`
	Platform    string            `json:"platform"`
	Digest      digest.Digest     `json:"digest"`
	MediaType   string            `json:"mediaType"`
	Created     string            `json:"created,omitempty"`
	User        string            `json:"user,omitempty"`
	Entrypoint  []string          `json:"entrypoint,omitempty"`
	Cmd         []string          `json:"cmd,omitempty"`
	Env         []string          `json:"env,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Size        int64             `json:"size"`    // compressed, all layers
	TarSize     int64             `json:"tarSize"` // uncompressed, all layers
	Layers      []LayerReport     `json:"layers"`
}

// LayerReport is one layer of an image.
type LayerReport struct {
	Name      string          `json:"name,omitempty"`
	CreatedBy string          `json:"createdBy,omitempty"`
	Digest    digest.Digest   `json:"digest"`
	DiffID    digest.Digest   `json:"diffID"`
	MediaType string          `json:"mediaType"`
	Size      int64           `json:"size"`
	TarSize   int64           `json:"tarSize"`
	Files     int             `json:"files"`
	Packages  []PackageReport `json:"packages,omitempty"`
	Biggest   []FileReport    `json:"biggest,omitempty"`
}

// PackageReport is a Debian package that a layer has files and the record of.
type PackageReport struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// FileReport is a file and its size.
type FileReport struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
}

// Bounds on foreign images.
const (
	maxManifests = 64
	maxLayers    = 512
	maxLayerSize = 32 << 30
)

// Inspect reads an OCI image layout directory, or an archive that
// WriteDockerArchive wrote, and verifies all of it: every size and digest, that
// media types agree, that layers have the DiffIDs of the configuration, and
// that layers and documents can be understood in one way only.
func Inspect(ctx context.Context, path string) (Report, error) {
	report, err := inspect(ctx, path)
	if err != nil {
		return Report{}, fmt.Errorf("inspect %s: %w", path, err)
	}
	return report, nil
}

func inspect(ctx context.Context, path string) (Report, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Report{}, err
	}
	if info.IsDir() {
		root, err := os.OpenRoot(path)
		if err != nil {
			return Report{}, err
		}
		defer root.Close()
		return readImages(ctx, dirSource{root})
	}
	f, err := os.Open(path)
	if err != nil {
		return Report{}, err
	}
	defer f.Close()
	src, err := readArchive(ctx, f)
	if err != nil {
		return Report{}, err
	}
	return readImages(ctx, src)
}

// A source is where the files of a layout lie.
type source interface {
	// file returns a small file of the layout, fs.ErrNotExist if it is absent.
	file(path string) ([]byte, error)
	// layer reads a layer blob to its end and verifies nothing.
	layer(ctx context.Context, d digest.Digest, compression string) (contents, error)
}

func readImages(ctx context.Context, src source) (Report, error) {
	r := reader{src: src}
	version, err := src.file("oci-layout")
	if err != nil {
		return Report{}, err
	}
	var layout struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := strict(version, &layout, "imageLayoutVersion"); err != nil {
		return Report{}, fmt.Errorf("oci-layout: %w", err)
	}
	if layout.Version != "1.0.0" {
		return Report{}, fmt.Errorf("oci-layout: version %q, want 1.0.0", layout.Version)
	}
	raw, err := src.file("index.json")
	if err != nil {
		return Report{}, err
	}
	if err := r.index(ctx, raw, "", "", true); err != nil {
		return Report{}, fmt.Errorf("index.json: %w", err)
	}
	if err := r.dockerManifest(); err != nil {
		return Report{}, fmt.Errorf("manifest.json: %w", err)
	}
	return r.report, nil
}

type reader struct {
	src    source
	report Report
	// what manifest.json must say of each image
	docker []dockerEntry
}

// documentKeys are the fields that the decoding of documents reads.
var documentKeys = []string{
	"schemaVersion", "mediaType", "digest", "size", "annotations", "platform", "architecture", "os", "variant",
	"layers", "manifests", "artifactType", "subject",
}

// index reads the images that an index lists.
func (r *reader) index(ctx context.Context, raw []byte, mediaType, ref string, top bool) error {
	var doc struct {
		indexJSON
		Layers []any `json:"layers"`
		Config any   `json:"config"`
	}
	if err := strict(raw, &doc, append(documentKeys, "config")...); err != nil {
		return err
	}
	switch {
	case doc.SchemaVersion != 2:
		return fmt.Errorf("schema version %d, want 2", doc.SchemaVersion)
	case doc.Layers != nil || doc.Config != nil:
		return errors.New("an index and a manifest at once")
	case mediaType != "" && doc.MediaType != "" && doc.MediaType != mediaType:
		return fmt.Errorf("media type %q, but its descriptor says %q", doc.MediaType, mediaType)
	case len(doc.Manifests) > maxManifests:
		return fmt.Errorf("%d manifests are more than %d", len(doc.Manifests), maxManifests)
	}
	for _, d := range doc.Manifests {
		name := ref
		if top {
			name = d.Annotations["io.containerd.image.name"]
			if name == "" {
				name = d.Annotations[AnnotationRefName]
			}
		}
		if err := r.described(ctx, d, name, top); err != nil {
			return fmt.Errorf("%s: %w", d.Digest, err)
		}
	}
	return nil
}

func (r *reader) described(ctx context.Context, d descriptorJSON, ref string, top bool) error {
	if len(r.report.Images) >= maxManifests {
		return fmt.Errorf("more than %d images", maxManifests)
	}
	raw, err := r.blob(d)
	if err != nil {
		return err
	}
	switch d.MediaType {
	case ociIndex, dockerList:
		if !top {
			return errors.New("an index in an index")
		}
		return r.index(ctx, raw, d.MediaType, ref, false)
	case ociManifest, dockerManifest:
		return r.manifest(ctx, raw, d, ref)
	}
	return fmt.Errorf("media type %q is no image", d.MediaType)
}

// blob returns a document after verifying that it is what a descriptor says.
func (r *reader) blob(d descriptorJSON) ([]byte, error) {
	if err := checkDigest(d.Digest); err != nil {
		return nil, err
	}
	raw, err := r.src.file(blobPath(d.Digest))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) != d.Size {
		return nil, fmt.Errorf("%s has %d bytes, want %d", d.Digest, len(raw), d.Size)
	}
	if got := digest.FromBytes(raw); got != d.Digest {
		return nil, fmt.Errorf("%s holds %s", d.Digest, got)
	}
	return raw, nil
}

func (r *reader) manifest(ctx context.Context, raw []byte, d descriptorJSON, ref string) error {
	var doc struct {
		manifestJSON
		Manifests []any `json:"manifests"`
	}
	if err := strict(raw, &doc, append(documentKeys, "config")...); err != nil {
		return err
	}
	switch {
	case doc.SchemaVersion != 2:
		return fmt.Errorf("schema version %d, want 2", doc.SchemaVersion)
	case doc.Manifests != nil:
		return errors.New("an index and a manifest at once")
	case doc.MediaType != "" && doc.MediaType != d.MediaType:
		return fmt.Errorf("media type %q, but its descriptor says %q", doc.MediaType, d.MediaType)
	case len(doc.Layers) > maxLayers:
		return fmt.Errorf("%d layers are more than %d", len(doc.Layers), maxLayers)
	}
	wantConfig := map[string]string{ociManifest: ociConfig, dockerManifest: dockerConfig}[d.MediaType]
	if doc.Config.MediaType != wantConfig {
		return fmt.Errorf("configuration has media type %q, want %q", doc.Config.MediaType, wantConfig)
	}
	rawConfig, err := r.blob(doc.Config)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	var config configJSON
	if err := strict(rawConfig, &config, configKeys...); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	image := ImageReport{
		Ref: ref, Digest: d.Digest, MediaType: d.MediaType, Created: config.Created,
		Platform: config.OS + "/" + config.Architecture,
		User:     config.Config.User, Entrypoint: config.Config.Entrypoint, Cmd: config.Config.Cmd,
		Env: config.Config.Env, Labels: config.Config.Labels, Annotations: doc.Annotations,
	}
	if p := d.Platform; p != nil && p.OS+"/"+p.Architecture != image.Platform {
		return fmt.Errorf("the index says %s/%s, the configuration %s", p.OS, p.Architecture, image.Platform)
	}
	if image.Layers, err = r.layers(ctx, doc.Layers, config); err != nil {
		return err
	}
	entry := dockerEntry{Config: blobPath(doc.Config.Digest), RepoTags: []string{ref}}
	for _, l := range image.Layers {
		image.Size += l.Size
		image.TarSize += l.TarSize
		entry.Layers = append(entry.Layers, blobPath(l.Digest))
	}
	r.docker = append(r.docker, entry)
	r.report.Images = append(r.report.Images, image)
	return nil
}

// configKeys are the fields of a configuration that are read. Those of the
// inner object are capitalised, so "config" and "Config" cannot be confused
// there.
var configKeys = []string{
	"architecture", "os", "variant", "created", "config", "rootfs", "history", "type", "diff_ids",
	"created_by", "comment", "empty_layer", "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes",
	"WorkingDir", "Labels", "StopSignal", "Healthcheck",
}

var compressionOf = map[string]string{
	ociLayer: "", ociLayerGzip: "gzip", ociLayerZstd: "zstd", dockerLayerGzip: "gzip",
}

func (r *reader) layers(ctx context.Context, list []descriptorJSON, config configJSON) ([]LayerReport, error) {
	if len(config.RootFS.DiffIDs) != len(list) {
		return nil, fmt.Errorf("%d layers, but the configuration has %d", len(list), len(config.RootFS.DiffIDs))
	}
	history := slices.DeleteFunc(config.History, func(h historyJSON) bool { return h.EmptyLayer })
	if len(history) != 0 && len(history) != len(list) {
		return nil, fmt.Errorf("%d layers, but a history of %d", len(list), len(history))
	}
	out := []LayerReport{}
	for i, d := range list {
		compression, ok := compressionOf[d.MediaType]
		if !ok {
			return nil, fmt.Errorf("layer %d: media type %q", i, d.MediaType)
		}
		if err := checkDigest(d.Digest); err != nil {
			return nil, fmt.Errorf("layer %d: %w", i, err)
		}
		got, err := r.src.layer(ctx, d.Digest, compression)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", d.Digest, err)
		}
		if got.digest != d.Digest || got.size != d.Size {
			return nil, fmt.Errorf("layer %s of %d bytes: holds %s of %d", d.Digest, d.Size, got.digest, got.size)
		}
		if got.compression != compression {
			return nil, fmt.Errorf("layer %s: media type %q, but the compression is %q", d.Digest, d.MediaType, got.compression)
		}
		if want := config.RootFS.DiffIDs[i]; got.diffID != want {
			return nil, fmt.Errorf("layer %s: DiffID %s, but the configuration says %s", d.Digest, got.diffID, want)
		}
		l := LayerReport{
			Digest: d.Digest, DiffID: got.diffID, MediaType: d.MediaType, Size: got.size, TarSize: got.tarSize,
			Files: got.files, Packages: got.packages, Biggest: got.biggest,
		}
		if len(history) > 0 {
			l.Name, l.CreatedBy = history[i].Comment, history[i].CreatedBy
		}
		out = append(out, l)
	}
	return out, nil
}
