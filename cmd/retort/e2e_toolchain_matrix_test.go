package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// toolchainMatrix builds the cells of a matrix from one lock. Each is what the
// same versions give in a manifest of their own, and one that fails does not keep
// the others from being built.
func (k *kit) toolchainMatrix(t *testing.T) {
	cells := []triple{
		{otp: "25.2.3", elixir: "1.14.0", openssl: "3.5.7"},
		{otp: "25.2.3", elixir: "1.18.3", openssl: "3.5.7"},
		{otp: "27.3.4.1", elixir: "1.18.3", openssl: "3.5.7"},
	}
	s := cells[2].app(t)
	s.manifest += "[matrix]\notp = [\"25.2.3\", \"27.3.4.1\"]\nelixir = [\"1.14.0\", \"1.18.3\"]\n"
	o := k.online(s)
	o.dir = s.write(t, folder(t), writeOptions{})
	k.must(t, o, "lock")
	o.mirror = ""

	type report struct {
		Exit  int
		Cells []cellResult
	}
	build := func(t *testing.T, code int) report {
		t.Helper()
		r := k.run(t, o, "build", "--matrix", "--json")
		var out report
		if err := json.Unmarshal([]byte(r.stdout), &out); err != nil || r.code != code || out.Exit != code {
			t.Fatalf("want exit status %d: %v: %s", code, err, r)
		}
		if len(out.Cells) != len(cells) {
			t.Fatalf("%d cells: %s", len(out.Cells), r)
		}
		return out
	}
	for _, c := range build(t, exitDone).Cells {
		i := slices.IndexFunc(cells, func(tr triple) bool { return c.Cell == "otp="+tr.otp+",elixir="+tr.elixir })
		if i < 0 {
			t.Fatalf("unexpected cell %s", c.Cell)
		}
		if c.Exit != exitDone || c.Build == nil {
			t.Fatalf("cell %s: %+v", c.Cell, c)
		}
		_, alone := k.fromSource(t, cells[i])
		want, paths := k.build(t, alone)
		for _, out := range c.Build.Outputs {
			switch {
			case out.Kind == "release" && out.Digest != want.release:
				t.Errorf("cell %s: the release differs from what its versions give alone:\n%s", c.Cell, diffArchives(t, out.Path, paths[0]))
			case out.Kind == "image" && !slices.Equal(imageLayers(t, out.Path), imageLayers(t, paths[1])): // of another commit
				t.Errorf("cell %s: the image's layers differ from what its versions give alone", c.Cell)
			}
		}
	}
	write(t, filepath.Join(o.dir, "lib", "only.ex"), "if System.otp_release() == \"25\", do: raise \"OTP 25 will not do\"\n")
	for _, c := range build(t, exitBuild).Cells {
		want := exitDone
		if strings.HasPrefix(c.Cell, "otp=25") {
			want = exitBuild
		}
		if c.Exit != want {
			t.Errorf("cell %s: exit status %d, want %d", c.Cell, c.Exit, want)
		}
	}
	if with := k.must(t, o, "build", "--with", "otp=27.3.4.1,elixir=1.18.3"); !strings.Contains(with.stdout, ".tar.gz sha256:") {
		t.Errorf("build of one cell: %s", with)
	}
}
