package debian

import (
	"fmt"
	"strings"
)

// CompareVersions orders two Debian versions as Debian Policy 5.6.12 does: it
// is negative when a is older than b, positive when newer, 0 when equal.
func CompareVersions(a, b string) int {
	ea, ua, ra := splitVersion(a)
	eb, ub, rb := splitVersion(b)
	if c := compareNumbers(ea, eb); c != 0 {
		return c
	}
	if c := compareParts(ua, ub); c != 0 {
		return c
	}
	return compareParts(ra, rb)
}

// CheckVersion says what is wrong with the form of a Debian version.
func CheckVersion(v string) error {
	epoch, upstream, revision := splitVersion(v)
	switch {
	case strings.Contains(v, ":") && epoch == "":
		return fmt.Errorf("version %q has an empty epoch", v)
	case strings.Trim(epoch, "0123456789") != "":
		return fmt.Errorf("version %q has an epoch that is no number", v)
	case len(epoch) > 9:
		return fmt.Errorf("version %q has too great an epoch", v)
	case upstream == "":
		return fmt.Errorf("version %q has no upstream part", v)
	case strings.HasSuffix(v, "-"):
		return fmt.Errorf("version %q has an empty revision", v)
	}
	for _, r := range upstream {
		if !isDigit(byte(r)) && !isLetter(byte(r)) && !strings.ContainsRune(".+-~:", r) {
			return fmt.Errorf("version %q has %q in its upstream part", v, r)
		}
	}
	for _, r := range revision {
		if !isDigit(byte(r)) && !isLetter(byte(r)) && !strings.ContainsRune(".+~", r) {
			return fmt.Errorf("version %q has %q in its revision", v, r)
		}
	}
	return nil
}

// UpstreamVersion strips from a Debian version what is Debian's: the epoch,
// the revision, and the mark of a tarball that was repacked ("+dfsg", ".dfsg",
// "~ds2").
func UpstreamVersion(v string) string {
	_, upstream, _ := splitVersion(v)
	for _, mark := range []string{"dfsg", "ds"} {
		i := strings.LastIndex(upstream, mark)
		if i < 2 || !strings.ContainsRune("+.~-", rune(upstream[i-1])) {
			continue
		}
		if strings.Trim(upstream[i+len(mark):], "0123456789.") == "" {
			return upstream[:i-1]
		}
	}
	return upstream
}

// splitVersion cuts [epoch:]upstream[-revision].
func splitVersion(v string) (epoch, upstream, revision string) {
	if i := strings.IndexByte(v, ':'); i >= 0 {
		epoch, v = v[:i], v[i+1:]
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		return epoch, v[:i], v[i+1:]
	}
	return epoch, v, ""
}

// compareParts compares an upstream version or a revision: by turns a stretch
// of non-digits in the order of rank, and a number.
func compareParts(a, b string) int {
	for a != "" || b != "" {
		var na, nb string
		na, a = cutWhile(a, false)
		nb, b = cutWhile(b, false)
		for i := 0; i < len(na) || i < len(nb); i++ {
			if c := rank(na, i) - rank(nb, i); c != 0 {
				return c
			}
		}
		na, a = cutWhile(a, true)
		nb, b = cutWhile(b, true)
		if c := compareNumbers(na, nb); c != 0 {
			return c
		}
	}
	return 0
}

// rank orders bytes: a tilde before the end of the part, then letters, then
// all else.
func rank(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case isLetter(s[i]):
		return int(s[i])
	}
	return int(s[i]) + 256
}

// compareNumbers compares decimal numbers of any length; none is 0.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

func cutWhile(s string, digits bool) (head, tail string) {
	i := 0
	for i < len(s) && isDigit(s[i]) == digits {
		i++
	}
	return s[:i], s[i:]
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
