package configure

import "strings"

// compareVersions orders Debian versions as deb-version(7) does.
func compareVersions(a, b string) int {
	ea, a := splitEpoch(a)
	eb, b := splitEpoch(b)
	if c := compareDigits(ea, eb); c != 0 {
		return c
	}
	ua, ra := splitRevision(a)
	ub, rb := splitRevision(b)
	if c := comparePart(ua, ub); c != 0 {
		return c
	}
	return comparePart(ra, rb)
}

func splitEpoch(v string) (epoch, rest string) {
	if e, r, ok := strings.Cut(v, ":"); ok {
		return e, r
	}
	return "", v
}

func splitRevision(v string) (upstream, revision string) {
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return v[:i], v[i+1:]
	}
	return v, ""
}

// comparePart compares runs of other characters and of digits in turn.
func comparePart(a, b string) int {
	for a != "" || b != "" {
		i, j := span(a, false), span(b, false)
		if c := compareText(a[:i], b[:j]); c != 0 {
			return c
		}
		a, b = a[i:], b[j:]
		i, j = span(a, true), span(b, true)
		if c := compareDigits(a[:i], b[:j]); c != 0 {
			return c
		}
		a, b = a[i:], b[j:]
	}
	return 0
}

func span(s string, digits bool) int {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9') == digits {
		i++
	}
	return i
}

func compareText(a, b string) int {
	for i := 0; i < len(a) || i < len(b); i++ {
		if x, y := weight(a, i), weight(b, i); x != y {
			if x < y {
				return -1
			}
			return 1
		}
	}
	return 0
}

// weight puts a tilde before the end, and letters before everything else.
func weight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case s[i] >= 'A' && s[i] <= 'Z', s[i] >= 'a' && s[i] <= 'z':
		return int(s[i])
	}
	return int(s[i]) + 256
}

func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		if len(a) < len(b) {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}

// versionHolds evaluates dpkg --compare-versions. An empty version is earlier
// than any, or later for the operators that end in -nl.
func versionHolds(a, op, b string) (holds, ok bool) {
	base, nl := strings.CutSuffix(op, "-nl")
	c := 0
	switch {
	case a != "" && b != "":
		c = compareVersions(a, b)
	case a == b:
	case (a == "") != nl:
		c = -1
	default:
		c = 1
	}
	switch base {
	case "lt", "<<":
		return c < 0, true
	case "le", "<", "<=":
		return c <= 0, true
	case "eq", "=":
		return c == 0, true
	case "ne":
		return c != 0, true
	case "ge", ">", ">=":
		return c >= 0, true
	case "gt", ">>":
		return c > 0, true
	}
	return false, false
}
