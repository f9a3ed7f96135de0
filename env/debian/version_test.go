package debian_test

import (
	"os/exec"
	"testing"

	"github.com/retort-build/retort/env/debian"
)

// ascending are versions from old to new; those in one row are equal.
var ascending = [][]string{
	{"0~~"}, {"0~~a"}, {"0~"}, {"0", "00", "0:0", "0-0", "000:0-00"}, {"0a"}, {"0+"},
	{"1.0~alpha"}, {"1.0~beta1~svn1"}, {"1.0~beta1"}, {"1.0~rc1"}, {"1.0", "1.00", "01.0-0"},
	{"1.0-0.1"}, {"1.0-1~bpo1"}, {"1.0-1"}, {"1.0-1+b1"}, {"1.0-1+deb12u1"}, {"1.0-1.1"}, {"1.0-2"}, {"1.0-10"},
	{"1.0a"}, {"1.0+dfsg-1"}, {"1.0+really1"}, {"1.0-1-1"}, {"1.0.0"}, {"1.0.1"},
	{"1.1~dfsg"}, {"1.1"}, {"1.9"}, {"1.10"}, {"2-z"}, {"2.00000000000000000001"},
	{"2.99999999999999999999"}, {"2.100000000000000000000"}, {"1:0"}, {"1:0.1-1"}, {"2:0"}, {"10:0"},
}

func TestCompareVersions(t *testing.T) {
	for i, a := range ascending {
		for j, b := range ascending {
			for _, va := range a {
				for _, vb := range b {
					want := sign(i - j)
					if i != j && (va == "1.0-1-1" || vb == "1.0-1-1") {
						// Of 1.0-1 with revision 1: its place is checked against dpkg below.
						continue
					}
					if got := sign(debian.CompareVersions(va, vb)); got != want {
						t.Errorf("%s against %s: %d, want %d", va, vb, got, want)
					}
				}
			}
		}
	}
}

// TestCompareVersionsDpkg asks dpkg about every pair.
func TestCompareVersionsDpkg(t *testing.T) {
	e2e(t)
	for _, a := range ascending {
		for _, b := range ascending {
			op := map[int]string{-1: "lt", 0: "eq", 1: "gt"}[sign(debian.CompareVersions(a[0], b[0]))]
			if err := exec.CommandContext(t.Context(), "dpkg", "--compare-versions", a[0], op, b[0]).Run(); err != nil {
				t.Errorf("dpkg denies %s %s %s", a[0], op, b[0])
			}
		}
	}
}

func sign(n int) int { return max(-1, min(n, 1)) }

func TestCheckVersion(t *testing.T) {
	for _, v := range []string{"1", "1:27.3.4.1+dfsg-1+deb13u1", "0.35~", "2:1.0-1-1", "a", "1.0:2-3"} {
		err := debian.CheckVersion(v)
		if bad := v == "1.0:2-3"; (err != nil) != bad {
			t.Errorf("%s: %v", v, err)
		}
	}
	for _, v := range []string{"", ":", ":1", "1:", "x:1", "+1:2", "1-", "-1", "1 2", "1/2", "1-2:3", "1\n", "é", "9999999999:1", "1-a_b"} {
		if debian.CheckVersion(v) == nil {
			t.Errorf("%q is accepted", v)
		}
	}
}

func TestUpstreamVersion(t *testing.T) {
	for v, want := range map[string]string{
		"1:27.3.4.1+dfsg-1+deb13u1": "27.3.4.1",
		"1:25.2.3+dfsg-1":           "25.2.3",
		"1.18.3.dfsg-1.1":           "1.18.3",
		"1.14.0.dfsg-2":             "1.14.0",
		"1.20.4+dfsg-1":             "1.20.4",
		"3.24.0-1":                  "3.24.0",
		"3.5.7-1~deb13u2":           "3.5.7",
		"2.0.6-2":                   "2.0.6",
		"1.3+dfsg2-1":               "1.3",
		"1.3~ds1-1":                 "1.3",
		"1:1.3.dfsg+really1.3.2-3":  "1.3.dfsg+really1.3.2",
		"dfsg-1":                    "dfsg",
		"1.0":                       "1.0",
	} {
		if got := debian.UpstreamVersion(v); got != want {
			t.Errorf("%s: %s, want %s", v, got, want)
		}
	}
}

func FuzzCompareVersions(f *testing.F) {
	for i := range ascending {
		f.Add(ascending[i][0], ascending[(i+7)%len(ascending)][0], ascending[(i+19)%len(ascending)][0])
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, ba := debian.CompareVersions(a, b), debian.CompareVersions(b, a)
		if sign(ab) != -sign(ba) || debian.CompareVersions(a, a) != 0 {
			t.Errorf("%q and %q: %d and %d", a, b, ab, ba)
		}
		if debian.CheckVersion(a) == nil && debian.CheckVersion(b) == nil && debian.CheckVersion(c) == nil &&
			ab <= 0 && debian.CompareVersions(b, c) <= 0 && debian.CompareVersions(a, c) > 0 {
			t.Errorf("%q <= %q <= %q, but not the first and the last", a, b, c)
		}
		debian.UpstreamVersion(a)
	})
}
