package debian

import (
	"strings"
	"testing"

	"github.com/retort-build/retort/env"
)

const sourcesIndex = `Package: erlang
Binary: erlang-base
Version: 1:27.3.4.1+dfsg-1
Checksums-Sha256:
 0834643ef1e17886d5e334a39527d8429bcf50613b86d59d4757466f32984b7e 47613664 erlang_27.3.4.1+dfsg.orig.tar.xz
Directory: pool/main/e/erlang

Package: bash
Directory: ../../etc
`

func TestReadTarballs(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"path up", "pool/main/e/erlang", "../x", `source package "erlang" before line 7: bad path "../x/erlang_27`},
		{"digest", "0834643e", "0834643X", `bad digest "0834643X`},
		{"size", "47613664", "0", `bad size "0" of erlang_27`},
		{"huge", "47613664", "47613664000", `bad size "47613664000"`},
		{"line", "47613664", "4 7", `checksums: line "0834643e`},
		{"version", "1:27.3", ":27.3", `version ":27.3.4.1+dfsg-1" has an empty epoch`},
		{"field", "Binary: ", "Binary ", "line 2: not a field"},
	} {
		err := readTarballs(strings.NewReader(strings.Replace(sourcesIndex, tt.old, tt.new, 1)), func(env.Source) error { return nil })
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

func FuzzTarballs(f *testing.F) {
	f.Add(sourcesIndex)
	f.Add("Package: openssl\nVersion: 3.5.7-1\nDirectory: pool/o\nChecksums-Sha256:\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		err := readTarballs(strings.NewReader(text), func(s env.Source) error {
			path := s.URL
			if !isPoolPath(path) || s.Size <= 0 || s.Size > env.MaxSource || s.Digest.Validate() != nil || sourcePackages[s.Tool] == "" {
				t.Fatalf("%+v", s)
			}
			return nil
		})
		if err != nil && err.Error() == "" {
			t.Fatal("an error without words")
		}
	})
}
