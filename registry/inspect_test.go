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

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/internal/tarball"
)

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
