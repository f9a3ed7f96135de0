package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/tarball"
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

// rewrite changes a JSON document of a layout and everything above it that
// holds its digest, so that only the rule in question is broken.
func rewrite(t *testing.T, dir, name string, change func(map[string]any)) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	change(v)
	again, err := canonical(v)
	if err != nil {
		t.Fatal(err)
	}
	substitute(t, dir, name, raw, again)
}

func substitute(t *testing.T, dir, name string, before, after []byte) {
	t.Helper()
	if !strings.HasPrefix(name, "blobs/") {
		if err := os.WriteFile(filepath.Join(dir, name), after, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	next := blobPath(digest.FromBytes(after))
	if err := os.WriteFile(filepath.Join(dir, next), after, 0o644); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "blobs/sha256/*"))
	for _, f := range append(files, filepath.Join(dir, "index.json")) {
		raw, _ := os.ReadFile(f)
		if !bytes.HasPrefix(raw, []byte("{")) || !bytes.Contains(raw, []byte(digest.FromBytes(before))) || f == filepath.Join(dir, next) {
			continue
		}
		var v map[string]any
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		redirect(v, string(digest.FromBytes(before)), string(digest.FromBytes(after)), len(after))
		again, _ := canonical(v)
		rel, _ := filepath.Rel(dir, f)
		substitute(t, dir, rel, raw, again)
		return
	}
}

func redirect(v any, from, to string, size int) {
	switch v := v.(type) {
	case map[string]any:
		if v["digest"] == from {
			v["digest"], v["size"] = to, size
		}
		for _, below := range v {
			redirect(below, from, to, size)
		}
	case []any:
		for _, below := range v {
			redirect(below, from, to, size)
		}
	}
}

func TestInspectRefuses(t *testing.T) {
	manifestOf := func(m Image) string { return blobPath(m.Digest) }
	configOf := func(m Image) string { return blobPath(m.ConfigDigest()) }
	raw := func(t *testing.T, dir, name string, change func(string) string) {
		before, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		substitute(t, dir, name, before, []byte(change(string(before))))
	}
	tests := []struct {
		name string
		do   func(t *testing.T, dir string, m Image)
		err  string
	}{
		{"a rotten layer", func(t *testing.T, dir string, m Image) {
			name := filepath.Join(dir, blobPath(m.Layers[1].Digest))
			data, _ := os.ReadFile(name)
			data[len(data)/2] ^= 1
			_ = os.WriteFile(name, data, 0o644)
		}, "layer"},
		{"a rotten manifest", func(t *testing.T, dir string, m Image) {
			_ = os.WriteFile(filepath.Join(dir, manifestOf(m)), bytes.ToUpper(m.Manifest), 0o644)
		}, "holds"},
		{"bytes behind a layer", func(t *testing.T, dir string, m Image) {
			data, _ := os.ReadFile(filepath.Join(dir, blobPath(m.Layers[1].Digest)))
			substitute(t, dir, blobPath(m.Layers[1].Digest), data, append(bytes.Clone(data), 0))
		}, "behind the end"},
		{"a missing blob", func(t *testing.T, dir string, m Image) { _ = os.Remove(filepath.Join(dir, configOf(m))) }, "no such file"},
		{"a link out of the layout", func(t *testing.T, dir string, m Image) {
			name := filepath.Join(dir, configOf(m))
			_ = os.Remove(name)
			_ = os.WriteFile(filepath.Join(filepath.Dir(dir), "config"), m.Config, 0o644)
			_ = os.Symlink(filepath.Join(filepath.Dir(dir), "config"), name)
		}, "escapes"},
		{"a digest that is a path", func(t *testing.T, dir string, m Image) {
			raw(t, dir, "index.json", func(s string) string { return strings.ReplaceAll(s, m.Digest.Encoded(), "../../etc/passwd") })
		}, "digest"},
		{"a digest in capitals", func(t *testing.T, dir string, m Image) {
			raw(t, dir, "index.json", func(s string) string {
				return strings.ReplaceAll(s, m.Digest.Encoded(), strings.ToUpper(m.Digest.Encoded()))
			})
		}, "digest"},
		{"an index that is a manifest too", func(t *testing.T, dir string, _ Image) {
			rewrite(t, dir, "index.json", func(v map[string]any) { v["layers"] = []any{} })
		}, "at once"},
		{"a manifest that is an index too", func(t *testing.T, dir string, m Image) {
			rewrite(t, dir, manifestOf(m), func(v map[string]any) { v["manifests"] = []any{} })
		}, "at once"},
		{"another media type inside", func(t *testing.T, dir string, m Image) {
			rewrite(t, dir, manifestOf(m), func(v map[string]any) { v["mediaType"] = dockerManifest })
		}, "media type"},
		{"another media type of the configuration", func(t *testing.T, dir string, m Image) {
			rewrite(t, dir, manifestOf(m), func(v map[string]any) { v["config"].(map[string]any)["mediaType"] = dockerConfig })
		}, "media type"},
		{"a layer of another compression", func(t *testing.T, dir string, m Image) {
			rewrite(t, dir, manifestOf(m), func(v map[string]any) {
				v["layers"].([]any)[0].(map[string]any)["mediaType"] = ociLayerZstd
			})
		}, "magic"},
		{"a key twice", func(t *testing.T, dir string, m Image) {
			raw(t, dir, manifestOf(m), func(s string) string { return strings.Replace(s, "{", `{"schemaVersion":2,`, 1) })
		}, "twice"},
		{"a key in another case", func(t *testing.T, dir string, m Image) {
			raw(t, dir, manifestOf(m), func(s string) string { return strings.Replace(s, `"layers"`, `"Layers"`, 1) })
		}, `want "layers"`},
		{"two documents in one", func(t *testing.T, dir string, m Image) {
			raw(t, dir, manifestOf(m), func(s string) string { return s + "{}" })
		}, "more than one"},
		{"fewer DiffIDs than layers", func(t *testing.T, dir string, m Image) {
			rewrite(t, dir, configOf(m), func(v map[string]any) {
				fs := v["rootfs"].(map[string]any)
				fs["diff_ids"] = fs["diff_ids"].([]any)[:1]
			})
		}, "layers"},
		{"DiffIDs in another order", func(t *testing.T, dir string, m Image) {
			rewrite(t, dir, configOf(m), func(v map[string]any) {
				ids := v["rootfs"].(map[string]any)["diff_ids"].([]any)
				ids[0], ids[1] = ids[1], ids[0]
			})
		}, "DiffID"},
		{"another platform than the index says", func(t *testing.T, dir string, m Image) {
			rewrite(t, dir, configOf(m), func(v map[string]any) { v["architecture"] = "arm64" })
		}, "linux/arm64"},
		{"another layout version", func(t *testing.T, dir string, _ Image) {
			rewrite(t, dir, "oci-layout", func(v map[string]any) { v["imageLayoutVersion"] = "2.0.0" })
		}, "version"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir, image := writtenLayout(t)
			test.do(t, dir, image)
			_, err := Inspect(t.Context(), dir)
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want one with %q", err, test.err)
			}
		})
	}
}

func TestArchiveWhoseIndicesDisagree(t *testing.T) {
	archive := writtenArchive(t, smallSpec())
	m := &memory{content: make(map[string][]byte)}
	if err := tarball.Read(bytes.NewReader(archive), tarball.Limits{}, m.Add); err != nil {
		t.Fatal(err)
	}
	var files []FileOf
	for p, data := range m.content {
		if p == "manifest.json" {
			data = bytes.Replace(data, []byte("shop:1.0"), []byte("shop:6.6"), 1)
		}
		files = append(files, text(p, string(data)))
	}
	tree := mustFiles(t, files...)
	var out bytes.Buffer
	err := tarball.Write(&out, tree.Entries(), tarball.Epoch, func(e tarball.Entry) (io.ReadCloser, error) { return tree.Open(e.Path) })
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "image.tar")
	_ = os.WriteFile(name, out.Bytes(), 0o644)
	if _, err := Inspect(t.Context(), name); err == nil || !strings.Contains(err.Error(), "manifest.json") {
		t.Errorf("error %v, want one about manifest.json", err)
	}
}

func FuzzArchive(f *testing.F) {
	f.Add(writtenArchive(f, smallSpec()))
	f.Fuzz(func(t *testing.T, data []byte) {
		src, err := readArchive(t.Context(), bytes.NewReader(data))
		if err != nil {
			return
		}
		report, err := readImages(t.Context(), src)
		if err == nil {
			_ = report.WriteText(io.Discard)
		}
	})
}

func FuzzStrict(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"layers":[{"size":1}],"annotations":{"Layers":"x"}}`))
	f.Add([]byte(`{"a":{"A":1,"a":2}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var v manifestJSON
		if strict(data, &v, append(documentKeys, "config")...) != nil {
			return
		}
		// Whatever is accepted has one meaning: writing it keeps it.
		raw, err := canonical(v)
		if err != nil {
			t.Fatal(err)
		}
		var again manifestJSON
		if err := strict(raw, &again, append(documentKeys, "config")...); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	})
}

// docs is a source whose layers are what the documents want.
type docs struct {
	files  map[string][]byte
	layers map[digest.Digest]contents
}

func (d docs) file(p string) ([]byte, error) { return (&archive{docs: d.files}).file(p) }
func (d docs) layer(_ context.Context, sum digest.Digest, _ string) (contents, error) {
	return d.layers[sum], nil
}

func FuzzDocuments(f *testing.F) {
	image, _ := smallImage(f, smallSpec())
	f.Add(image.Manifest, image.Config)
	f.Fuzz(func(t *testing.T, manifest, config []byte) {
		src := docs{map[string][]byte{}, map[digest.Digest]contents{}}
		for _, b := range image.Layers {
			src.layers[b.Digest] = contents{digest: b.Digest, size: b.Size, compression: "gzip", diffID: b.DiffID}
		}
		// A changed configuration is still the one that the manifest names.
		manifest = bytes.ReplaceAll(manifest, []byte(image.ConfigDigest()), []byte(digest.FromBytes(config)))
		src.files[blobPath(digest.FromBytes(config))] = config
		src.files[blobPath(digest.FromBytes(manifest))] = manifest
		index, err := canonical(indexJSON{SchemaVersion: 2, Manifests: []descriptorJSON{
			{MediaType: ociManifest, Digest: digest.FromBytes(manifest), Size: int64(len(manifest))},
		}})
		if err != nil {
			t.Fatal(err)
		}
		src.files["index.json"], src.files["oci-layout"] = index, []byte(layoutVersion)
		report, err := readImages(t.Context(), src)
		if err == nil && len(report.Images) != 1 {
			t.Errorf("%d images", len(report.Images))
		}
	})
}
