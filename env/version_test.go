package env_test

import (
	"math/rand"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/env"
)

func TestCompareVersions(t *testing.T) {
	for tool, inOrder := range map[string][]string{
		"otp":     {"17.0-rc1", "17.0", "25.2.3", "25.3.2.9", "25.3.2.13", "27.0-rc1", "27.0-rc2", "27.0-rc10", "27.0", "27.0.1", "27.3", "27.3.4", "27.3.4.1", "28.0"},
		"elixir":  {"0.5.0", "1.0.0-rc1", "1.0.0", "1.9.4", "1.10.0", "1.18.3", "1.19.0-dev", "1.19.0-rc.0", "1.19.0-rc.2", "1.19.0-rc.10", "1.19.0"},
		"openssl": {"0.9.8", "0.9.8z", "0.9.8za", "0.9.8zh", "1.0.2u", "1.1.0", "1.1.1", "1.1.1a", "1.1.1w", "3.0.0-alpha17", "3.0.0-beta1", "3.0.0", "3.0.20", "3.5.7", "4.0.0"},
		"rebar3":  {"3.0.0-beta.3", "3.0.0-beta.4", "3.0.0", "3.24.0"},
	} {
		got := slices.Clone(inOrder)
		rand.New(rand.NewSource(1)).Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		slices.SortFunc(got, env.CompareVersions)
		if diff := cmp.Diff(inOrder, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tool, diff)
		}
	}
}

func TestNewestMatching(t *testing.T) {
	versions := []string{"27.3", "27.3.4.1", "27.3.4", "28.0-rc1", "27.10", "2.7", "26.2", "28.0-rc2", "1.1.1", "1.1.1w", "1.1.1k", "1.1.0l", "3.6.0-beta1"}
	for _, tt := range []struct{ want, version string }{
		{"27", "27.10"},
		{"27.3", "27.3"}, // there is a release of that name
		{"27.3.4", "27.3.4"},
		{"27.3.4.1", "27.3.4.1"},
		{"2", "2.7"},
		{"28", ""},
		{"28.0", ""},
		{"28.0-rc1", "28.0-rc1"},
		{"28.0-rc", ""},
		{"3.6", ""},
		{"1.1", "1.1.1w"},
		{"1.1.1", "1.1.1"},
		{"1.1.0", "1.1.0l"},
		{"27.", ""},
		{"", ""},
		{"99", ""},
	} {
		got, ok := env.NewestMatching(versions, tt.want)
		if got != tt.version || ok != (tt.version != "") {
			t.Errorf("%q: got %q, %t, want %q", tt.want, got, ok, tt.version)
		}
	}
}

func TestNearest(t *testing.T) {
	versions := []string{"25.2.3", "26.2.5", "27.0-rc1", "27.0", "27.3", "27.3.4", "27.3.4.1", "27.3.4.2", "28.0", "29.1"}
	for _, tt := range []struct {
		want    string
		nearest []string
	}{
		{"27.3.4.9", []string{"27.3.4.2", "27.3.4.1", "27.3.4", "27.3", "27.0"}},
		{"27.4", []string{"27.3.4.2", "27.3.4.1", "27.3.4", "27.3", "27.0"}},
		{"30", []string{"29.1", "28.0", "27.3.4.2", "27.3.4.1", "27.3.4"}},
		{"27.0-rc2", []string{"27.0-rc1", "27.0", "27.3.4.2", "27.3.4.1", "27.3.4"}},
	} {
		if diff := cmp.Diff(tt.nearest, env.Nearest(versions, tt.want)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.want, diff)
		}
	}
	if got := env.Nearest(nil, "27"); got != nil {
		t.Errorf("of none: got %v", got)
	}
}

// FuzzCompareVersions holds the order to its laws, for names of any form.
func FuzzCompareVersions(f *testing.F) {
	f.Add("27.0-rc1", "27.0", "1.1.1w")
	f.Add("aa", "rc", "z")
	f.Add("0.00", "0.0", "-")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ab, bc, ac := env.CompareVersions(a, b), env.CompareVersions(b, c), env.CompareVersions(a, c)
		if ab != -env.CompareVersions(b, a) {
			t.Errorf("%q and %q: %d both ways", a, b, ab)
		}
		if (ab == 0) != (a == b) {
			t.Errorf("%q and %q: %d", a, b, ab)
		}
		if ab < 0 && bc < 0 && ac >= 0 {
			t.Errorf("%q < %q < %q, but not the first and the last", a, b, c)
		}
		if got, ok := env.NewestMatching([]string{a, b, c}, a); !ok || got != a {
			t.Errorf("%q of its own list: got %q", a, got)
		}
		_ = env.Nearest([]string{a, b}, c)
	})
}
