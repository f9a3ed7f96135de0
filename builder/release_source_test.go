package builder

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// xzRelease is p-1/ with the file f ("hi\n"), as GNU tar and xz 5.4 write it.
const xzRelease = "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4An/AE1dADgLQiMOfkxRG7LMSRi0PlTfQMsRT6sZVKoTRosUz7NodTu+WoY6tIpRPtbXAg7+LhKrRBeIRMDKEukQI/Jud0WjJWQ+rOl0PDtfUV8AAAAAAFLGX6jL43dtAAFpgBQAAAAV+jOCscRn+wIAAAAABFla"

func unzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSourceTree(t *testing.T) {
	release := packed(t, [2]string{"p-1/", ""}, [2]string{"p-1/configure", "#!"}, [2]string{"p-1/lib/", ""}, [2]string{"p-1/lib/l", "-> ../configure"})
	tree := taken{"configure": "f 644 #!", "lib": "d 755 ", "lib/l": "l 777 ../configure"}
	xz, err := base64.StdEncoding.DecodeString(xzRelease)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		archive []byte
		want    taken
		err     string
	}{
		{"gzip", release, tree, ""},
		{"plain", unzipped(t, release), tree, ""},
		{"xz", xz, taken{"f": "f 644 hi\n"}, ""},
		{"two folders", packed(t, [2]string{"a/", ""}, [2]string{"a/x", "1"}, [2]string{"b/x", "1"}), nil, "b/x lies beside the folder a"},
		{"no folder", packed(t, [2]string{"configure", "#!"}), nil, "configure is no folder"},
		{"empty", packed(t), nil, "the archive is empty"},
		{"link out", packed(t, [2]string{"a/", ""}, [2]string{"a/l", "-> ../../etc"}), nil, "leads out of the folder"},
		{"zip", []byte("PK\x03\x04....."), nil, "a zip archive: want a tar archive"},
		{"cut short", release[:len(release)-20], nil, "unexpected EOF"},
		{"no archive", []byte("<html>not found</html>"), nil, "read tar"},
	} {
		got := taken{}
		err := sourceTree(bytes.NewReader(tt.archive), got)
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.err)
		}
		if diff := cmp.Diff(tt.want, got); tt.want != nil && diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func FuzzSourceTree(f *testing.F) {
	release := packed(f, [2]string{"p-1/", ""}, [2]string{"p-1/configure", "#!"}, [2]string{"p-1/l", "-> configure"})
	f.Add(release)
	f.Add(unzipped(f, release))
	xz, _ := base64.StdEncoding.DecodeString(xzRelease)
	f.Add(xz)
	f.Fuzz(func(t *testing.T, data []byte) {
		got := taken{}
		if sourceTree(bytes.NewReader(data), got) != nil {
			return
		}
		for name := range got {
			if at := path.Join("top", name); !strings.HasPrefix(at, "top/") {
				t.Fatalf("%q", name)
			}
		}
	})
}
