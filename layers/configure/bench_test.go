package configure

import (
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkRootfs makes the whole tree of set T from packages on disk: every
// package unpacked into a directory, two at a time, largest first, and the
// configuration layer.
func BenchmarkRootfs(b *testing.B) {
	o := benchOracle(b)
	for b.Loop() {
		o.ours = filepath.Join(b.TempDir(), "ours")
		if err := os.Mkdir(o.ours, 0o755); err != nil {
			b.Fatal(err)
		}
		in := o.unpack(b, false)
		if _, err := Layer(b.Context(), in, &memSink{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLayer configures set T, which is unpacked already.
func BenchmarkLayer(b *testing.B) {
	in := benchOracle(b).unpack(b, false)
	for b.Loop() {
		if _, err := Layer(b.Context(), in, &memSink{}); err != nil {
			b.Fatal(err)
		}
	}
}

func benchOracle(b *testing.B) oracle {
	if os.Getenv("RETORT_E2E") != "1" {
		b.Skip("needs root, mmdebstrap and a mirror; set RETORT_E2E=1")
	}
	return makeOracle(b, "trixie-T", "trixie", setT)
}
