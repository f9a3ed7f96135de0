package hex

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecodePackage(t *testing.T) {
	sum := func(b byte) string {
		s := make([]byte, 32)
		for i := range s {
			s[i] = b
		}
		return string(s)
	}
	// version, inner, a requirement with all fields, retired, outer, a fixed32
	// and a fixed64 that are unknown, published_at
	dependency := "\x0a\x01b\x12\x05~>1.0\x18\x01\x22\x03app\x2a\x03own"
	release := "\x0a\x051.0.0\x12\x20" + sum(0xaa) + "\x1a\x16" + dependency + "\x1a\x0a\x0a\x01c\x12\x051.0.0" + "\x22\x02\x08\x02" + "\x2a\x20" + sum(0xbb) +
		"\x7d\x00\x00\x00\x00\x79\x00\x00\x00\x00\x00\x00\x00\x00\x3a\x02\x08\x01"
	payload := "\x0a" + string([]byte{byte(len(release)&0x7f | 0x80), byte(len(release) >> 7)}) + release + "\x12\x01a\x1a\x04acme"
	got, err := decodePackage([]byte(payload), "hexpm:acme", "a")
	if err != nil {
		t.Fatal(err)
	}
	want := []Release{{
		Version: "1.0.0", Inner: sha(sumA), Outer: sha(sumB), Retired: true,
		Requires: []Requirement{
			{Name: "b", App: "app", Version: "~>1.0", Optional: true, Repo: "own"},
			{Name: "c", App: "c", Version: "1.0.0", Repo: "hexpm:acme"},
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for i := range payload {
		if got, err := decodePackage([]byte(payload[:i]), "hexpm:acme", "a"); err == nil {
			t.Errorf("cut at %d: %+v", i, got)
		}
	}
}

func TestChoose(t *testing.T) {
	releases := []Release{{Version: "1.0.0"}, {Version: "1.10.0"}, {Version: "1.9.0"}, {Version: "1.11.0", Retired: true}, {Version: "2.0.0-rc.1"}}
	for requirement, want := range map[string]string{
		"~> 1.0": "1.10.0", "~> 1.9.0": "1.9.0", "": "1.10.0", "1.11.0": "1.11.0", "2.0.0-rc.1": "2.0.0-rc.1", "> 2.0.0": "", "~> 1.11": "",
	} {
		got, err := choose(releases, []Requirement{{Version: requirement}})
		if got.Version != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", requirement, got.Version, err, want)
		}
	}
}

func FuzzDecodePackage(f *testing.F) {
	f.Add([]byte("\x12\x01a\x1a\x05hexpm"))
	f.Add([]byte("\x0a\x07\x0a\x051.0.0\x12\x01a\x1a\x05hexpm"))
	f.Fuzz(func(t *testing.T, data []byte) {
		releases, err := decodePackage(data, "hexpm", "a")
		if err != nil {
			return
		}
		for _, r := range releases {
			if !semver.MatchString(r.Version) {
				t.Errorf("%+v", r)
			}
		}
		_, _ = gunzip(data)
	})
}
