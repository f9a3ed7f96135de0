package hex_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/internal/tarball"
)

const goodMetadata = `{<<"name">>,<<"x">>}.{<<"version">>,<<"1.0.0">>}.{<<"build_tools">>,[<<"mix">>]}.`

// collected is a sink in memory.
type collected struct {
	entries []tarball.Entry
	content map[string]string
}

func (c *collected) Add(e tarball.Entry, r io.Reader) error {
	b, err := io.ReadAll(r)
	c.entries = append(c.entries, e)
	if c.content == nil {
		c.content = map[string]string{}
	}
	c.content[e.Path] = string(b)
	return err
}

func pack(t *testing.T, headers []tar.Header, bodies ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, h := range headers {
		h.Size = int64(len(bodies[i]))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, bodies[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name string) tar.Header { return tar.Header{Name: name, Mode: 0o600, Typeflag: tar.TypeReg} }

func zip(t *testing.T, data []byte) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// parts of a tarball; empty ones are the good ones.
type parts struct {
	version, checksum, metadata, contents string
	without                               string
	extra                                 string
}

func (p parts) build(t *testing.T) ([]byte, hex.Want) {
	t.Helper()
	if p.version == "" {
		p.version = "3"
	}
	if p.metadata == "" {
		p.metadata = goodMetadata
	}
	if p.contents == "" {
		p.contents = zip(t, pack(t, []tar.Header{file("mix.exs")}, "mix"))
	}
	inner := fmt.Sprintf("%X", sha256.Sum256([]byte(p.version+p.metadata+p.contents)))
	if p.checksum == "" {
		p.checksum = inner
	}
	var headers []tar.Header
	var bodies []string
	for _, m := range [][2]string{{"VERSION", p.version}, {"CHECKSUM", p.checksum}, {"metadata.config", p.metadata}, {"contents.tar.gz", p.contents}, {p.extra, "x"}} {
		if m[0] != p.without && m[0] != "" {
			headers, bodies = append(headers, file(m[0])), append(bodies, m[1])
		}
	}
	out := pack(t, headers, bodies...)
	return out, hex.Want{
		Name: "x", Version: "1.0.0", Outer: digest.FromBytes(out),
		Inner: digest.NewDigestFromEncoded(digest.SHA256, strings.ToLower(inner)),
	}
}

func unpack(data []byte, want hex.Want, sink hex.Sink) (*hex.Metadata, error) {
	return hex.Unpack(context.Background(), bytes.NewReader(data), int64(len(data)), want, sink)
}

func TestUnpackNormalises(t *testing.T) {
	contents := zip(t, pack(t, []tar.Header{
		{Name: "mix.exs", Mode: 0o600, Typeflag: tar.TypeReg, Uid: 501, Gid: 20, Uname: "me"},
		{Name: "bin/", Mode: 0o777, Typeflag: tar.TypeDir},
		{Name: "bin/run", Mode: 0o4711, Typeflag: tar.TypeReg, Uid: 1},
		{Name: "bin/again", Linkname: "../bin/run", Typeflag: tar.TypeSymlink, Mode: 0o755},
		{Name: ".hex", Mode: 0o644, Typeflag: tar.TypeReg},
	}, "mix", "", "run", "", "a marker of its own"))
	data, want := parts{contents: contents}.build(t)
	var sink collected
	m, err := unpack(data, want, &sink)
	if err != nil {
		t.Fatal(err)
	}
	wantEntries := []tarball.Entry{
		{Path: "mix.exs", Kind: tarball.File, Mode: 0o644, Size: 3},
		{Path: "bin", Kind: tarball.Dir, Mode: 0o755},
		{Path: "bin/run", Kind: tarball.File, Mode: 0o755, Size: 3},
		{Path: "bin/again", Kind: tarball.Symlink, Mode: 0o777, Link: "../bin/run"},
	}
	if diff := cmp.Diff(wantEntries, sink.entries); diff != "" {
		t.Error(diff)
	}
	if sink.content["bin/run"] != "run" || m.Name != "x" || m.BuildTools[0] != "mix" {
		t.Errorf("content %q, metadata %+v", sink.content, m)
	}
	if _, err := hex.Verify(context.Background(), bytes.NewReader(data), int64(len(data)), want); err != nil {
		t.Errorf("Verify: %v", err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	contents := func(h tar.Header, body string) parts {
		return parts{contents: zip(t, pack(t, []tar.Header{h}, body))}
	}
	for _, tt := range []struct {
		name  string
		parts parts
		want  string
	}{
		{"version 4", parts{version: "4"}, "only 3 is known"},
		{"CHECKSUM of something else", parts{checksum: strings.Repeat("A", 64)}, "CHECKSUM checksum: want sha256:aaaa"},
		{"CHECKSUM that is none", parts{checksum: "hello"}, "no SHA-256"},
		{"no VERSION", parts{without: "VERSION"}, "is missing"},
		{"no CHECKSUM", parts{without: "CHECKSUM"}, "is missing"},
		{"no metadata", parts{without: "metadata.config"}, "is missing"},
		{"no contents", parts{without: "contents.tar.gz"}, "is missing"},
		{"other member", parts{extra: "evil"}, `member "evil"`},
		{"member twice", parts{extra: "VERSION"}, `member "VERSION"`},
		{"contents twice", parts{extra: "contents.tar.gz"}, `member "contents.tar.gz"`},
		{"metadata of another package", parts{metadata: strings.ReplaceAll(goodMetadata, `"x"`, `"y"`)}, "that of y-1.0.0"},
		{"metadata of another version", parts{metadata: strings.ReplaceAll(goodMetadata, "1.0.0", "1.0.1")}, "that of x-1.0.1"},
		{"contents that are no gzip", parts{contents: "hello"}, "contents.tar.gz: "},
		{"path that climbs", contents(file("../evil"), "x"), "evil"},
		{"absolute path", contents(file("/evil"), "x"), "evil"},
		{"symlink that climbs", contents(tar.Header{Name: "a", Linkname: "../x", Typeflag: tar.TypeSymlink}, ""), "leads out"},
		{"absolute symlink", contents(tar.Header{Name: "a", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}, ""), "leads out"},
		{"device", contents(tar.Header{Name: "a", Typeflag: tar.TypeChar}, ""), "contents.tar.gz: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, want := tt.parts.build(t)
			_, err := unpack(data, want, &collected{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// The sink of a tarball with a wrong checksum sees nothing.
func TestUnpackChecksumsFirst(t *testing.T) {
	data, want := parts{}.build(t)
	other := digest.FromString("other")
	for name, change := range map[string]func(*hex.Want){
		"outer": func(w *hex.Want) { w.Outer = other },
		"inner": func(w *hex.Want) { w.Inner = other },
	} {
		w := want
		change(&w)
		var sink collected
		_, err := unpack(data, w, &sink)
		var sum *hex.ChecksumError
		if !errors.As(err, &sum) || sum.Which != name || sum.Want != other || sum.Package != "x-1.0.0" || len(sink.entries) > 0 {
			t.Errorf("%s: %v, %d entries", name, err, len(sink.entries))
		}
	}
	want.Outer = ""
	if _, err := unpack(data, want, &collected{}); err == nil {
		t.Error("unpacked without an outer checksum")
	}
}

func TestUnpackCancelled(t *testing.T) {
	data, want := parts{}.build(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := hex.Unpack(ctx, bytes.NewReader(data), int64(len(data)), want, &collected{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// The outer tar as it comes, under the checksum it happens to have.
func FuzzVerify(f *testing.F) {
	var t testing.T
	data, _ := parts{}.build(&t)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		want := hex.Want{Name: "x", Version: "1.0.0", Outer: digest.FromBytes(data)}
		m, err := hex.Verify(context.Background(), bytes.NewReader(data), int64(len(data)), want)
		if err == nil && m.Name != want.Name {
			t.Errorf("%+v", m)
		}
	})
}

// Contents of a tarball that is sound otherwise.
func FuzzUnpack(f *testing.F) {
	var t testing.T
	f.Add(goodMetadata, pack(&t, []tar.Header{file("mix.exs"), {Name: "a/b", Linkname: "c", Typeflag: tar.TypeSymlink}}, "mix", ""))
	f.Fuzz(func(t *testing.T, metadata string, contents []byte) {
		data, want := parts{metadata: metadata, contents: zip(t, contents)}.build(t)
		var sink collected
		if _, err := unpack(data, want, &sink); err != nil {
			return
		}
		for _, e := range sink.entries {
			if tarball.CheckPath(e.Path) != nil || e.UID != 0 || e.Kind == tarball.Hardlink {
				t.Errorf("entry %+v", e)
			}
		}
	})
}
