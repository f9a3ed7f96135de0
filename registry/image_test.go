package registry

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
)

func TestImageIsTheSameEverywhere(t *testing.T) {
	docker := smallSpec()
	docker.Format = Docker
	docker.Health = &Health{Test: []string{"/app/run", "ping"}, Interval: 30 * time.Second}
	zst := smallSpec()
	zst.Codec = Zstd
	for _, test := range []struct {
		name string
		spec Spec
		want digest.Digest
	}{{"oci", smallSpec(), goldenOCI}, {"zstd", zst, goldenZstdImage}, {"docker", docker, goldenDocker}} {
		for jobs := range 3 {
			test.spec.Jobs = jobs
			test.spec.Created = commitTime.In(time.FixedZone("", 3600*jobs))
			image, _ := smallImage(t, test.spec)
			if image.Digest != test.want {
				t.Errorf("%s, %d jobs: digest %s, want %s\n%s\n%s", test.name, jobs, image.Digest, test.want, image.Manifest, image.Config)
			}
		}
	}
}

func TestDocumentsAreCanonical(t *testing.T) {
	image, _ := smallImage(t, smallSpec())
	for _, raw := range [][]byte{image.Manifest, image.Config} {
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		again, err := canonical(v)
		if err != nil {
			t.Fatal(err)
		}
		if string(again) != string(raw) {
			t.Errorf("not canonical:\n%s\n%s", raw, again)
		}
	}
	if !strings.Contains(string(image.Manifest), "small <image> & co") {
		t.Error("HTML escapes in the manifest")
	}
	if !strings.Contains(string(image.Config), `"4000/tcp":{}`) {
		t.Errorf("port without protocol: %s", image.Config)
	}
}

func TestArm64IsV8(t *testing.T) {
	spec := smallSpec()
	spec.Platform = env.LinuxARM64
	image, _ := smallImage(t, spec)
	if !strings.Contains(string(image.Config), `"variant":"v8"`) {
		t.Errorf("configuration without variant: %s", image.Config)
	}
}

// unread fails if the content of a tree is asked for.
type unread struct {
	Tree
	t *testing.T
}

func (u unread) Open(p string) (io.ReadCloser, error) {
	u.t.Errorf("%s was read again", p)
	return u.Tree.Open(p)
}

func TestNoTreeIsCompressedTwice(t *testing.T) {
	image, blobs := smallImage(t, smallSpec())
	layers := smallLayers(t)
	for i := range layers {
		layers[i].Tree = unread{layers[i].Tree, t}
	}
	later := smallSpec()
	later.Created = commitTime.Add(time.Hour)
	again, err := Assemble(t.Context(), later, layers, blobs)
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest == image.Digest {
		t.Error("another commit time gives the same image")
	}
	for i := range image.Layers {
		if again.Layers[i] != image.Layers[i] {
			t.Errorf("layer %d changed with the commit's time", i)
		}
	}
}

func TestAssembleRefuses(t *testing.T) {
	tests := map[string]func(*Spec){
		"platform":      func(s *Spec) { s.Platform = env.Any },
		"creation time": func(s *Spec) { s.Created = time.Time{} },
		"user \"\"":     func(s *Spec) { s.User = "" },
		"user \"app\"":  func(s *Spec) { s.User = "app" },
		"environment":   func(s *Spec) { s.Env = []string{"A=1", "A=2"} },
		"want KEY":      func(s *Spec) { s.Env = []string{"A"} },
		"path":          func(s *Spec) { s.Volumes = []string{"data"} },
		"port":          func(s *Spec) { s.ExposedPorts = []string{"http"} },
		"health check":  func(s *Spec) { s.Health = &Health{Test: []string{"x"}} },
		"no entrypoint": func(s *Spec) { s.Entrypoint = nil },
		"format":        func(s *Spec) { s.Format = "rocket" },
		"codec":         func(s *Spec) { s.Format, s.Codec = Docker, Zstd },
	}
	for want, change := range tests {
		spec := smallSpec()
		change(&spec)
		blobs, _ := NewDirBlobs(t.TempDir())
		if _, err := Assemble(t.Context(), spec, smallLayers(t), blobs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", want, err)
		}
	}
	blobs, _ := NewDirBlobs(t.TempDir())
	if _, err := Assemble(t.Context(), smallSpec(), nil, blobs); err == nil {
		t.Error("an image without layers was assembled")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Assemble(ctx, smallSpec(), smallLayers(t), blobs); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestTreesThatLieAreNotPacked(t *testing.T) {
	layers := smallLayers(t)
	entries := layers[1].Tree.Entries()
	layers[1].Tree = Opened(entries, func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("something else")), nil
	})
	blobs, _ := NewDirBlobs(t.TempDir())
	if _, err := Assemble(t.Context(), smallSpec(), layers, blobs); err == nil {
		t.Fatal("content of another digest was packed")
	}
	id, _ := TreeID(entries)
	if _, ok, _ := blobs.Lookup(t.Context(), id, Gzip); ok {
		t.Error("a blob that failed is remembered")
	}
}

func TestV1(t *testing.T) {
	for _, format := range []Format{OCI, Docker} {
		spec := smallSpec()
		spec.Format = format
		image, blobs := smallImage(t, spec)
		v, err := image.V1(func(d digest.Digest) (io.ReadCloser, error) { return blobs.Open(t.Context(), d) })
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(v); err != nil {
			t.Error(err)
		}
		if d, _ := v.Digest(); d.String() != image.Digest.String() {
			t.Errorf("digest %s, want %s", d, image.Digest)
		}
	}
}
