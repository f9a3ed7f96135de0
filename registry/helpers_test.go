package registry

import (
	"math/rand/v2"
	"testing"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/tarball"
)

// corpus is text-like data that is the same everywhere: words of a fixed
// pseudo-random order, and a stretch that does not compress.
func corpus(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"spawn ", "receive ", "after ", "gen_server:", "call(", "\n\tok", "{error, ", "reason}", "\x00\x01\x02", "beam"}
	out := make([]byte, 0, size+16)
	for len(out) < size {
		if len(out)%7 == 0 {
			out = append(out, byte(r.Uint32()))
		}
		out = append(out, words[r.IntN(len(words))]...)
	}
	return out[:size]
}

func mustFiles(t testing.TB, files ...FileOf) Tree {
	t.Helper()
	tree, err := Files(files...)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func text(p, content string) FileOf { return FileOf{plainFile(p), content} }

func program(p, content string) FileOf {
	f := text(p, content)
	f.Mode = 0o755
	return f
}

func paths(t Tree) []string {
	var out []string
	for _, e := range t.Entries() {
		if e.Kind != tarball.Dir {
			out = append(out, e.Path)
		}
	}
	return out
}

func smallSpec() Spec {
	return Spec{
		Platform: env.LinuxAMD64, Created: commitTime, User: "65532:65532",
		Env: []string{"LANG=C.UTF-8"}, Entrypoint: []string{"/app/run"}, WorkingDir: "/app",
		ExposedPorts: []string{"4000"}, StopSignal: "SIGTERM",
		Labels:      map[string]string{"Config": "a label may be called anything"},
		Annotations: map[string]string{AnnotationTitle: "small <image> & co"},
	}
}

func smallLayers(t testing.TB) []ImageLayer {
	return []ImageLayer{
		{Name: "base", CreatedBy: "retort: base", Tree: mustFiles(t,
			text("etc/passwd", "root:x:0:0::/root:/bin/false\n"),
			text(statusDir+"/libc6", "Package: libc6\nStatus: install ok installed\nMaintainer: A <a@example.org>\nArchitecture: amd64\nVersion: 2.41-12\nDescription: C library\n"))},
		{Name: "application", CreatedBy: "retort: app", Tree: mustFiles(t, program("app/run", string(corpus(50_000))))},
	}
}

func smallImage(t testing.TB, spec Spec) (Image, *DirBlobs) {
	t.Helper()
	blobs, err := NewDirBlobs(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	image, err := Assemble(t.Context(), spec, smallLayers(t), blobs)
	if err != nil {
		t.Fatal(err)
	}
	return image, blobs
}
