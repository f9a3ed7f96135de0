package registry

import (
	"bytes"
	stdgzip "compress/gzip"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
)

func compressed(t testing.TB, c Codec, data []byte, chunk int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := c.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 {
		n := min(chunk, len(data))
		if _, err := w.Write(data[:n]); err != nil {
			t.Fatal(err)
		}
		data = data[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// If this fails after an update of a compressor or of Go, the codec's name is
// no longer true: give the new bytes a new name, and keep the old or drop it.
func TestCodecsKeepTheirBytes(t *testing.T) {
	golden := map[Codec]map[int]digest.Digest{
		Gzip: {0: goldenGzip0, 1: goldenGzip1, 700_000: goldenGzip700k},
		Zstd: {0: goldenZstd0, 1: goldenZstd1, 700_000: goldenZstd700k},
	}
	for codec, sizes := range golden {
		for size, want := range sizes {
			data := corpus(size)
			for _, chunk := range []int{1 << 20, 4096, 999} {
				if got := digest.FromBytes(compressed(t, codec, data, chunk)); got != want {
					t.Errorf("%s of %d bytes in writes of %d: %s, want %s", codec, size, chunk, got, want)
				}
			}
		}
	}
}

func TestCodecsDoNotDependOnProcessors(t *testing.T) {
	data := corpus(400_000)
	for _, codec := range []Codec{Gzip, Zstd} {
		want := compressed(t, codec, data, 1<<16)
		old := runtime.GOMAXPROCS(1)
		got := compressed(t, codec, data, 1<<16)
		runtime.GOMAXPROCS(old)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: one processor gives other bytes", codec)
		}
	}
}

func TestGzipHeaderSaysNothing(t *testing.T) {
	got := compressed(t, Gzip, []byte("x"), 1)[:10]
	want := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255}
	if !bytes.Equal(got, want) {
		t.Errorf("header % x, want % x", got, want)
	}
}

func TestUnknownCodec(t *testing.T) {
	if _, err := Codec("gzip").NewWriter(io.Discard); err == nil {
		t.Error("a codec without an implementation was accepted")
	}
	if _, err := Zstd.MediaType(Docker); err == nil {
		t.Error("the Docker format has no zstd layers")
	}
}

func TestDecompress(t *testing.T) {
	data := corpus(100_000)
	gz, zs := compressed(t, Gzip, data, 1<<20), compressed(t, Zstd, data, 1<<20)
	var named bytes.Buffer
	w := stdgzip.NewWriter(&named)
	w.Name = "layer.tar"
	_, _ = w.Write(data)
	_ = w.Close()
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0}, zs...)
	concat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	tests := []struct {
		name, compression string
		blob              []byte
		limit             int64
		err               string
	}{
		{"plain", "", data, 1 << 20, ""},
		{"gzip", "gzip", gz, 100_000, ""},
		{"zstd", "zstd", zs, 100_000, ""},
		{"plain bomb", "", data, 99_999, "larger"},
		{"gzip bomb", "gzip", gz, 99_999, "larger"},
		{"zstd bomb", "zstd", zs, 99_999, "larger"},
		{"gzip, trailing byte", "gzip", concat(gz, []byte{0}), 1 << 20, "behind the end"},
		{"gzip, second member", "gzip", concat(gz, gz), 1 << 20, "behind the end"},
		{"gzip with a name", "gzip", named.Bytes(), 1 << 20, "name"},
		{"gzip, cut short", "gzip", gz[:len(gz)-1], 1 << 20, "EOF"},
		{"gzip, wrong checksum", "gzip", concat(gz[:len(gz)-8], []byte{1, 2, 3, 4}, gz[len(gz)-4:]), 1 << 20, "checksum"},
		{"zstd, trailing byte", "zstd", concat(zs, []byte{0}), 1 << 20, "behind the end"},
		{"zstd, second frame", "zstd", concat(zs, zs), 1 << 20, "behind the end"},
		{"zstd, skippable frame first", "zstd", skippable, 1 << 20, "magic"},
		{"zstd, cut short", "zstd", zs[:len(zs)-1], 1 << 20, "EOF"},
		{"no gzip", "gzip", data, 1 << 20, "gzip"},
		{"no zstd", "zstd", data, 1 << 20, "magic"},
		{"unknown", "bzip2", data, 1 << 20, "bzip2"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := decompressAll(test.blob, test.compression, test.limit)
			switch {
			case test.err == "" && err != nil:
				t.Fatal(err)
			case test.err == "" && !bytes.Equal(got, data):
				t.Errorf("got %d other bytes", len(got))
			case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
				t.Errorf("error %v, want one with %q", err, test.err)
			}
		})
	}
}

func decompressAll(blob []byte, compression string, limit int64) ([]byte, error) {
	r, err := Decompress(bytes.NewReader(blob), compression, limit)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func FuzzDecompress(f *testing.F) {
	data := corpus(2000)
	f.Add(compressed(f, Gzip, data, 1<<20), true)
	f.Add(compressed(f, Zstd, data, 1<<20), false)
	best, _ := zstd.NewWriter(nil, zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	f.Add(best.EncodeAll(data, nil), false)
	f.Fuzz(func(t *testing.T, blob []byte, gz bool) {
		compression := map[bool]string{true: "gzip", false: "zstd"}[gz]
		const limit = 1 << 20
		got, err := decompressAll(blob, compression, limit)
		if int64(len(got)) > limit+1 || err == nil && len(got) > limit {
			t.Errorf("%d bytes are more than %d", len(got), limit)
		}
		if err != nil {
			if errors.Is(err, ErrTooLarge) != (len(got) > limit) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			return
		}
		// What is accepted is exact: one more byte is not.
		if _, err := decompressAll(append(bytes.Clone(blob), 0), compression, limit); err == nil {
			t.Error("a trailing byte was accepted")
		}
	})
}
