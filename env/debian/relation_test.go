package debian_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/env/debian"
)

func TestParseRelations(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []debian.Group
		err  string
	}{
		{in: "", want: nil},
		{in: " \n", want: nil},
		{in: "libc6", want: []debian.Group{{{Name: "libc6"}}}},
		{in: "libc6,", want: []debian.Group{{{Name: "libc6"}}}},
		{in: "libc6 (>= 2.38), a|b ( << 1:2-3 )", want: []debian.Group{
			{{Name: "libc6", Op: ">=", Version: "2.38"}},
			{{Name: "a"}, {Name: "b", Op: "<<", Version: "1:2-3"}}}},
		{in: "python3:any (>= 3~),\n perl:native", want: []debian.Group{
			{{Name: "python3", Arch: "any", Op: ">=", Version: "3~"}}, {{Name: "perl", Arch: "native"}}}},
		{in: "a (=1)", want: []debian.Group{{{Name: "a", Op: "=", Version: "1"}}}},
		{in: "a(>>1)[amd64 arm64]", want: []debian.Group{{{Name: "a", Op: ">>", Version: "1", Archs: []string{"amd64", "arm64"}}}}},
		{in: "a [!amd64]", want: []debian.Group{{{Name: "a", Archs: []string{"!amd64"}}}}},
		{in: "a (< 1), b (> 2)", want: []debian.Group{{{Name: "a", Op: "<=", Version: "1"}}, {{Name: "b", Op: ">=", Version: "2"}}}},
		{in: "a |", err: "not a package name"},
		{in: "| a", err: "not a package name"},
		{in: "-a", err: "not a package name"},
		{in: "a/b", err: "not a package name"},
		{in: "a b", err: "left over"},
		{in: "a (>= 1", err: "not closed"},
		{in: "a (>= )", err: "no upstream part"},
		{in: "a (1)", err: "not a comparison"},
		{in: "a (== 1)", err: "not a comparison"},
		{in: "a [", err: "architecture list"},
		{in: "a []", err: "architecture list"},
		{in: "a [amd64 !arm64]", err: "architecture list"},
		{in: "a: b", err: "not an architecture"},
		{in: "a <!nocheck>", err: "left over"},
	} {
		got, err := debian.ParseRelations(tt.in)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: error %v, want %q", tt.in, err, tt.err)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%q: %v\n%s", tt.in, err, diff)
		}
	}
}

func FuzzParseRelations(f *testing.F) {
	for _, s := range []string{"", "a", "a (>= 1) | b:any [amd64], c", "a (", "a [!x]", ",,", "|"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		groups, err := debian.ParseRelations(s)
		if err != nil {
			return
		}
		// What was understood says the same when it is written out again.
		var parts []string
		for _, g := range groups {
			parts = append(parts, g.String())
		}
		again, err := debian.ParseRelations(strings.Join(parts, ", "))
		if diff := cmp.Diff(groups, again); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", s, err, diff)
		}
	})
}
