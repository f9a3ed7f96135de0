package layers

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/retort-build/retort/internal/tarball"
)

func TestVerify(t *testing.T) {
	// damage gets the layer, its record, the blob and the view.
	type things struct{ layer, record, blob, view, value string }
	tests := []struct {
		name   string
		damage func(things)
		want   string // kind: what, of one problem
	}{
		{"nothing", func(things) {}, ""},
		{"content", func(x things) {
			must(t, os.WriteFile(x.layer+"/fs/bin/a", []byte("A"), 0o644), setEpoch(x.layer+"/fs/bin/a"))
		}, `layer: write tar: file "bin/a": digest mismatch`},
		{"cut off", func(x things) { must(t, os.Truncate(x.layer+"/fs/bin/a", 0)) }, `layer: file "bin/a"`},
		{"missing file", func(x things) { must(t, os.Remove(x.layer+"/fs/bin/s")) }, `layer: missing file "bin/s"`},
		{"extra file", func(x things) { must(t, os.WriteFile(x.layer+"/fs/more", nil, 0o644)) }, `layer: extra file "more"`},
		{"extra directory", func(x things) { must(t, os.MkdirAll(x.layer+"/fs/more/x", 0o755)) }, `layer: extra file "more"`},
		{"mode", func(x things) { must(t, os.Chmod(x.layer+"/fs/bin/a", 0o755)) }, `layer: file "bin/a": has mode`},
		{"setuid", func(x things) { must(t, os.Chmod(x.layer+"/fs/bin/a", 0o644|os.ModeSetuid)) }, `layer: file "bin/a": has mode`},
		{"time", func(x things) {
			must(t, os.Chtimes(x.layer+"/fs", time.Now(), time.Now()), os.Chtimes(x.layer+"/fs/bin", time.Now(), time.Now()))
		}, `layer: file "bin": has time`},
		{"link", func(x things) {
			must(t, os.Remove(x.layer+"/fs/bin/s"), os.Symlink("b", x.layer+"/fs/bin/s"), setEpoch(x.layer+"/fs/bin/s"))
		}, `layer: file "bin/s": leads to "b", want "a"`},
		{"kind", func(x things) { must(t, os.Remove(x.layer+"/fs/bin/s"), os.Mkdir(x.layer+"/fs/bin/s", 0o755)) }, `layer: file "bin/s": is a d`},
		{"split hard link", func(x things) {
			must(t, os.Remove(x.layer+"/fs/bin/h"), os.WriteFile(x.layer+"/fs/bin/h", []byte("a"), 0o644), setEpoch(x.layer+"/fs/bin/h"))
		}, `layer: file "bin/h": is not the same file`},
		{"tree", func(x things) { must(t, os.Truncate(x.layer+"/tree", 300)) }, "layer: tree file"},
		{"no tree", func(x things) { must(t, os.Remove(x.layer+"/tree")) }, "layer: open"},
		{"beside", func(x things) { must(t, os.WriteFile(x.layer+"/x", nil, 0o644)) }, `layer: holds "x"`},
		{"layer gone", func(x things) { must(t, os.RemoveAll(x.layer)) }, "record: leads to layer"},
		{"record", func(x things) { must(t, os.Truncate(x.record, 10)) }, "record: damaged record"},
		{"blob", func(x things) { must(t, os.Chmod(x.blob, 0o600), os.WriteFile(x.blob, []byte("BLOB"), 0o644)) }, "blob: has digest"},
		{"value", func(x things) { must(t, os.Truncate(x.value, 70)) }, "value: damaged record"},
		{"view file gone", func(x things) { must(t, os.Remove(x.view+"/fs/bin/a")) }, `view: missing file "bin/a"`},
		{"view copy", func(x things) {
			must(t, os.Remove(x.view+"/fs/bin/a"), os.WriteFile(x.view+"/fs/bin/a", []byte("b"), 0o644),
				setEpoch(x.view+"/fs/bin/a"), os.Remove(x.view+"/fs/bin/h"), os.Link(x.view+"/fs/bin/a", x.view+"/fs/bin/h"), setEpoch(x.view+"/fs/bin"))
		}, `view: write tar: file "bin/a": digest mismatch`},
		{"view list", func(x things) { must(t, os.WriteFile(x.view+"/list", []byte("retort view 1\n"), 0o644)) }, "view: the list is that of view"},
		{"stray name", func(x things) { must(t, os.WriteFile(x.layer+"x", nil, 0o644)) }, "layer: not a name of the store"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			key := testKey("k")
			sp := spec{"bin/a": "a", "bin/h": "=> bin/a", "bin/s": "-> a"}
			l := addLayer(t, s, key, sp)
			d := putBlob(t, s, "blob")
			must(t, s.PutValue(t.Context(), key, []byte("value")))
			dir, err := s.View(t.Context(), []ViewLayer{{Layer: l}})
			must(t, err)
			tt.damage(things{
				layer: s.path(layersDir, l.DiffID.Encoded()), record: s.path(keyPath(keysDir, key)), blob: s.blobPath(d),
				view: strings.TrimSuffix(dir, "/fs"), value: s.path(keyPath(valuesDir, key)),
			})
			r, err := s.Verify(t.Context(), VerifyOptions{Heal: true})
			must(t, err)
			var got []string
			for _, p := range r.Problems {
				got = append(got, fmt.Sprintf("%s: %s", p.Kind, p.What))
			}
			found := false
			for _, g := range got {
				found = found || strings.HasPrefix(g, tt.want)
			}
			if tt.want == "" && len(got) > 0 || tt.want != "" && (!found || !r.Healed) {
				t.Errorf("problems %q, want %q", got, tt.want)
			}
			if tt.want == "" && (r.Layers != 1 || r.Blobs != 1 || r.Records != 1 || r.Values != 1 || r.Views != 1) {
				t.Errorf("report %+v", r)
			}
			// Healed, the store is whole, and takes what is missing anew.
			if again, err := s.Verify(t.Context(), VerifyOptions{}); err != nil || len(again.Problems) > 0 {
				t.Errorf("healed: %+v, %v", again.Problems, err)
			}
			if _, err := s.Lookup(t.Context(), key); err != nil && !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
			if back := addLayer(t, s, key, sp); back != l {
				t.Errorf("layer %+v, want %+v", back, l)
			}
			if _, err := s.View(t.Context(), []ViewLayer{{Layer: l}}); err != nil {
				t.Error(err)
			}
		})
	}
}

func FuzzReadTree(f *testing.F) {
	f.Add([]byte(`{"diffID":"sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef","size":1024}` + "\n"))
	f.Add([]byte(`{"diffID":"sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef","size":1536}` + "\n" + `{"p":"a","k":"d","m":493}` + "\n"))
	const id = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, entries, err := readTree(raw, id)
		if err != nil {
			return
		}
		var b strings.Builder
		must(t, writeTree(&b, l, entries))
		l2, again, err := readTree([]byte(b.String()), id)
		if err != nil || l2 != l || len(again) != len(entries) || tarball.Check(again) != nil {
			t.Errorf("written again: %v", err)
		}
	})
}

func FuzzRecord(f *testing.F) {
	key := string(testKey("k"))
	f.Add(sealRecord(key, []byte(`{"diffID":"sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef","size":1}`)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if payload, err := openRecord(key, raw); err == nil {
			_, _ = decodeLayer(payload)
			if string(sealRecord(key, payload)) != string(raw) {
				t.Error("another form of a record")
			}
		}
		_, _ = parseViewList(raw)
	})
}
