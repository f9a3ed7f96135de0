package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/env"
)

// Format is the dialect of an image's documents.
type Format string

// The formats. Docker exists for runtimes that need a health check or predate
// OCI.
const (
	OCI    Format = "oci"
	Docker Format = "docker"
)

// The media types of both formats.
const (
	ociIndex     = "application/vnd.oci.image.index.v1+json"
	ociManifest  = "application/vnd.oci.image.manifest.v1+json"
	ociConfig    = "application/vnd.oci.image.config.v1+json"
	ociLayer     = "application/vnd.oci.image.layer.v1.tar"
	ociLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip"
	ociLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd"

	dockerList      = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest  = "application/vnd.docker.distribution.manifest.v2+json"
	dockerConfig    = "application/vnd.docker.container.image.v1+json"
	dockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
)

// Annotation keys of the OCI image specification that retort uses.
const (
	AnnotationCreated  = "org.opencontainers.image.created"
	AnnotationTitle    = "org.opencontainers.image.title"
	AnnotationVersion  = "org.opencontainers.image.version"
	AnnotationRevision = "org.opencontainers.image.revision"
	AnnotationSource   = "org.opencontainers.image.source"
	AnnotationRefName  = "org.opencontainers.image.ref.name"
)

// Spec is what an image says besides its layers.
type Spec struct {
	Platform env.Platform
	// Created is the commit's time (SOURCE_DATE_EPOCH), in whole seconds.
	Created time.Time
	Format  Format // default OCI
	Codec   Codec  // default Gzip

	User         string   // numeric uid or uid:gid; required
	Env          []string // KEY=value, in this order
	Entrypoint   []string
	Cmd          []string
	WorkingDir   string   // absolute
	ExposedPorts []string // 4000, 4000/tcp, 4001/udp
	Volumes      []string // absolute paths
	StopSignal   string   // SIGTERM
	Health       *Health  // Docker format only
	Labels       map[string]string
	// Annotations of the manifest; in the Docker format, which has none, they
	// become labels. AnnotationCreated is always added.
	Annotations map[string]string

	// Jobs is how many layers are compressed at once; default 1. It does not
	// change the result.
	Jobs int
}

// Health is a command by which the runtime asks whether the program works.
type Health struct {
	Test        []string // argv
	Interval    time.Duration
	Timeout     time.Duration
	StartPeriod time.Duration
	Retries     int
}

// ImageLayer is a layer of an image, lowest first.
type ImageLayer struct {
	Name      string // what it is for: "erts", "application"; shown by inspect
	CreatedBy string // one line for the image's history
	Tree      Tree
}

// Image is a complete image but for the bytes of its layers, which the Blobs
// that it was assembled with hold. It is immutable.
type Image struct {
	Platform  env.Platform
	Format    Format
	Codec     Codec
	Manifest  []byte // canonical JSON
	MediaType string // of the manifest
	Digest    digest.Digest
	Config    []byte // canonical JSON
	Layers    []Blob // lowest first
}

// ConfigDigest is the digest of Config, which Docker calls the image id.
func (m Image) ConfigDigest() digest.Digest { return digest.FromBytes(m.Config) }

// Size is what a registry stores for the image: manifest, configuration and
// every distinct layer.
func (m Image) Size() int64 {
	size := int64(len(m.Manifest) + len(m.Config))
	seen := make(map[digest.Digest]bool)
	for _, b := range m.Layers {
		if !seen[b.Digest] {
			size += b.Size
		}
		seen[b.Digest] = true
	}
	return size
}

// Assemble makes an image of layers. A layer which blobs has compressed before
// is not read again. Layers without entries are left out.
func Assemble(ctx context.Context, spec Spec, layers []ImageLayer, blobs Blobs) (_ Image, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("assemble image for %s: %w", spec.Platform, err)
		}
	}()
	if spec.Format == "" {
		spec.Format = OCI
	}
	if spec.Codec == "" {
		spec.Codec = Gzip
	}
	if err := spec.check(); err != nil {
		return Image{}, err
	}
	var full []ImageLayer
	for _, l := range layers {
		if len(l.Tree.Entries()) > 0 {
			full = append(full, l)
		}
	}
	if len(full) == 0 {
		return Image{}, errors.New("no layers")
	}
	packed := make([]Blob, len(full))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(max(1, spec.Jobs))
	for i, l := range full {
		group.Go(func() error {
			b, err := compress(gctx, l.Tree, spec.Codec, blobs)
			if err != nil {
				return fmt.Errorf("layer %s: %w", l.Name, err)
			}
			packed[i] = b
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return Image{}, err
	}
	return document(spec, full, packed)
}

func compress(ctx context.Context, t Tree, c Codec, blobs Blobs) (Blob, error) {
	id, err := TreeID(t.Entries())
	if err != nil {
		return Blob{}, err
	}
	b, ok, err := blobs.Lookup(ctx, id, c)
	if err != nil || ok {
		return b, err
	}
	return blobs.Put(ctx, id, c, func(w io.Writer) (Blob, error) { return pack(ctx, w, t, c) })
}

func (s Spec) check() error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if s.Platform != env.LinuxAMD64 && s.Platform != env.LinuxARM64 {
		bad("platform %q: want one machine's", s.Platform)
	}
	if s.Created.Unix() < 0 || s.Created.IsZero() {
		bad("creation time %s: want the commit's", s.Created)
	}
	if s.Format != OCI && s.Format != Docker {
		bad("format %q: want oci or docker", s.Format)
	} else if _, err := s.Codec.MediaType(s.Format); err != nil {
		problems = append(problems, err)
	}
	if !numericUser(s.User) {
		bad("user %q: want uid or uid:gid in digits", s.User)
	}
	seen := make(map[string]bool)
	for _, kv := range s.Env {
		key, _, ok := strings.Cut(kv, "=")
		if !ok || key == "" || strings.ContainsRune(kv, 0) {
			bad("environment %q: want KEY=value", kv)
		}
		if seen[key] {
			bad("environment: %s twice", key)
		}
		seen[key] = true
	}
	for _, p := range append([]string{s.WorkingDir}, s.Volumes...) {
		if p != "" && (!strings.HasPrefix(p, "/") || strings.Contains(p, "/../")) {
			bad("path %q: want an absolute one", p)
		}
	}
	for _, p := range s.ExposedPorts {
		if _, err := port(p); err != nil {
			problems = append(problems, err)
		}
	}
	if s.Health != nil && s.Format != Docker {
		bad("health check: OCI images have none; format docker has")
	}
	if s.Health != nil && len(s.Health.Test) == 0 {
		bad("health check: no command")
	}
	if len(s.Entrypoint) == 0 && len(s.Cmd) == 0 {
		bad("no entrypoint")
	}
	return errors.Join(problems...)
}

func numericUser(s string) bool {
	uid, gid, both := strings.Cut(s, ":")
	return number(uid) && (!both || number(gid))
}

func number(s string) bool {
	return s != "" && len(s) <= 10 && strings.Trim(s, "0123456789") == ""
}

// port returns the canonical form number/protocol.
func port(s string) (string, error) {
	n, proto, ok := strings.Cut(s, "/")
	if !ok {
		proto = "tcp"
	}
	if !number(n) || len(n) > 5 || (proto != "tcp" && proto != "udp" && proto != "sctp") {
		return "", fmt.Errorf("port %q: want number/tcp, /udp or /sctp", s)
	}
	return n + "/" + proto, nil
}
