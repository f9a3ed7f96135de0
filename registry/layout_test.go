package registry

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/env"
)

func writtenLayout(t *testing.T) (dir string, image Image) {
	t.Helper()
	image, blobs := smallImage(t, smallSpec())
	dir = filepath.Join(t.TempDir(), "layout")
	if err := WriteLayout(t.Context(), dir, []Tagged{{"shop:1.0", []Image{image}}}, blobs); err != nil {
		t.Fatal(err)
	}
	return dir, image
}

func TestLayoutReadsBack(t *testing.T) {
	dir, image := writtenLayout(t)
	report, err := Inspect(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Images) != 1 {
		t.Fatalf("%d images, want 1", len(report.Images))
	}
	m := report.Images[0]
	if m.Digest != image.Digest || m.Ref != "shop:1.0" || m.Platform != "linux/amd64" || m.User != "65532:65532" {
		t.Errorf("got %+v", m)
	}
	if d := cmp.Diff([]PackageReport{{"libc6", "2.41-12"}}, m.Layers[0].Packages); d != "" {
		t.Errorf("packages (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]FileReport{{"app/run", 50_000}}, m.Layers[1].Biggest); d != "" {
		t.Errorf("biggest files (-want +got):\n%s", d)
	}
	for i, l := range m.Layers {
		if l.Digest != image.Layers[i].Digest || l.DiffID != image.Layers[i].DiffID || l.TarSize != image.Layers[i].TarSize {
			t.Errorf("layer %d: %+v, want %+v", i, l, image.Layers[i])
		}
	}
	var text, js bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"application", "libc6", "2.41-12", "/app/run", "50.0 kB", image.Digest.String()} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("text lacks %q:\n%s", want, text.String())
		}
	}
	if err := report.WriteJSON(&js); err != nil {
		t.Fatal(err)
	}
	var again Report
	if err := json.Unmarshal(js.Bytes(), &again); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(report, again); d != "" {
		t.Errorf("JSON (-want +got):\n%s", d)
	}
}

func TestLayoutIsReplacedWhole(t *testing.T) {
	dir, _ := writtenLayout(t)
	spec := smallSpec()
	spec.Codec = Zstd
	image, blobs := smallImage(t, spec)
	if err := WriteLayout(t.Context(), dir, []Tagged{{"shop:2.0", []Image{image}}}, blobs); err != nil {
		t.Fatal(err)
	}
	report, err := Inspect(t.Context(), dir)
	if err != nil || len(report.Images) != 1 || report.Images[0].Digest != image.Digest {
		t.Errorf("got %+v, %v", report, err)
	}
	list, _ := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
	if len(list) != 4 {
		t.Errorf("%d blobs, want those of the new image: 4", len(list))
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "precious"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteLayout(t.Context(), other, []Tagged{{"x", []Image{image}}}, blobs); err == nil {
		t.Error("a directory of something else was replaced")
	}
}

func TestLayoutDoesNotTrustBlobs(t *testing.T) {
	image, blobs := smallImage(t, smallSpec())
	if err := os.WriteFile(blobs.blob(image.Layers[0].Digest), []byte("rotten"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	if err := WriteLayout(t.Context(), dir, []Tagged{{"x", []Image{image}}}, blobs); err == nil {
		t.Error("a damaged blob was written")
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("half a layout is there")
	}
}

func TestPlatformsShareOneReference(t *testing.T) {
	spec := smallSpec()
	amd, blobs := smallImage(t, spec)
	spec.Platform = env.LinuxARM64
	arm, err := Assemble(t.Context(), spec, smallLayers(t), blobs)
	if err != nil {
		t.Fatal(err)
	}
	one, _, d1, err := Index([]Image{amd, arm})
	if err != nil {
		t.Fatal(err)
	}
	two, _, d2, _ := Index([]Image{arm, amd})
	if !bytes.Equal(one, two) || d1 != d2 {
		t.Error("the index depends on the order of its images")
	}
	if _, _, _, err := Index([]Image{amd, amd}); err == nil {
		t.Error("two images for one platform were accepted")
	}
	dir := filepath.Join(t.TempDir(), "layout")
	if err := WriteLayout(t.Context(), dir, []Tagged{{"shop:1.0", []Image{arm, amd}}}, blobs); err != nil {
		t.Fatal(err)
	}
	report, err := Inspect(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range report.Images {
		got = append(got, m.Ref+" "+m.Platform)
	}
	if d := cmp.Diff([]string{"shop:1.0 linux/amd64", "shop:1.0 linux/arm64"}, got); d != "" {
		t.Errorf("images (-want +got):\n%s", d)
	}
	if err := WriteDockerArchive(t.Context(), io.Discard, []Tagged{{"shop:1.0", []Image{arm, amd}}}, blobs); err == nil {
		t.Error("an archive cannot choose a platform")
	}
}

func writtenArchive(t testing.TB, spec Spec) []byte {
	t.Helper()
	image, blobs := smallImage(t, spec)
	var out bytes.Buffer
	if err := WriteDockerArchive(t.Context(), &out, []Tagged{{"registry.example/shop:1.0", []Image{image}}}, blobs); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestArchiveReadsBack(t *testing.T) {
	for _, format := range []Format{OCI, Docker} {
		spec := smallSpec()
		spec.Format = format
		archive := writtenArchive(t, spec)
		if !bytes.Equal(archive, writtenArchive(t, spec)) {
			t.Error("two archives of one image differ")
		}
		name := filepath.Join(t.TempDir(), "image.tar")
		if err := os.WriteFile(name, archive, 0o644); err != nil {
			t.Fatal(err)
		}
		report, err := Inspect(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		image, _ := smallImage(t, spec)
		if len(report.Images) != 1 || report.Images[0].Digest != image.Digest || report.Images[0].Ref != "registry.example/shop:1.0" {
			t.Errorf("got %+v", report)
		}
	}
}
