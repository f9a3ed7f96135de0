package hex

import "testing"

func TestRequirement(t *testing.T) {
	for _, tt := range []struct {
		requirement, version string
		want                 bool
	}{
		{"1.2.3", "1.2.3", true},
		{"== 1.2.3", "1.2.4", false},
		{"!= 1.2.3", "1.2.4", true},
		{"> 1.2.3", "1.2.3", false},
		{">= 1.2.3", "1.2.3", true},
		{"< 1.2.3", "1.2.2", true},
		{"<= 1.2.3", "1.3.0", false},
		{"~> 1.2.3", "1.2.9", true},
		{"~> 1.2.3", "1.3.0", false},
		{"~> 1.2.3", "1.2.2", false},
		{"~> 1.2", "1.9.0", true},
		{"~>1.2", "2.0.0", false},
		{"~> 1.15", "1.15.0", true},
		{"~> 2.1.3-dev", "2.1.3-dev", true},
		{"~> 2.1.3-dev", "2.1.4", true},
		{"~> 1.2", "1.3.0-rc.1", false},
		{">= 1.8.0 and < 3.0.0", "2.1.0", true},
		{">=1.8.0 and <3.0.0", "3.0.0", false},
		{"~> 1.0 or ~> 2.0", "2.5.0", true},
		{"~> 1.0 and != 1.2.0 or == 3.0.0", "1.2.0", false},
		{"", "0.1.0", true},
		{"", "0.1.0-rc.1", false},
	} {
		r, err := parseRequirement(tt.requirement)
		if err != nil {
			t.Errorf("%q: %v", tt.requirement, err)
			continue
		}
		v, err := parseVersion(tt.version, false)
		if err != nil || r.admits(v) != tt.want {
			t.Errorf("%q admits %s: %v, want %v (%v)", tt.requirement, tt.version, !tt.want, tt.want, err)
		}
	}
	for _, s := range []string{"x", ">=", "1.0 and", "1.0 1.1", "1.2.3.4", "~> -1.0", "or"} {
		if r, err := parseRequirement(s); err == nil {
			t.Errorf("%q: accepted as %v", s, r)
		}
	}
}

// Each version precedes the next, as semver's own example has it.
func TestVersionOrder(t *testing.T) {
	list := []string{"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.10.0"}
	for i := range list {
		for j := range list {
			a, errA := parseVersion(list[i], false)
			b, errB := parseVersion(list[j], false)
			if errA != nil || errB != nil || a.compare(b) != compareInts(i, j) {
				t.Errorf("%s against %s: %d", list[i], list[j], a.compare(b))
			}
		}
	}
}

func compareInts(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func FuzzRequirement(f *testing.F) {
	f.Add("~> 1.2 and != 1.2.3 or >= 2.0.0-rc.1", "1.2.4")
	f.Fuzz(func(_ *testing.T, requirement, version string) {
		r, err := parseRequirement(requirement)
		v, errV := parseVersion(version, false)
		if err == nil && errV == nil {
			r.admits(v)
		}
	})
}
