package env

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// CompareVersions orders two versions of one upstream tool as OTP (27.0-rc1,
// 27.3.4.1), Elixir (1.19.0-rc.0), OpenSSL (1.1.1w, 3.6.0-beta1), Hex and rebar3
// number their releases: numbers before words, a version with more parts after
// the shorter one, and what has a dash before the release that it leads to.
func CompareVersions(a, b string) int {
	releaseA, preA, isPreA := strings.Cut(a, "-")
	releaseB, preB, isPreB := strings.Cut(b, "-")
	if c := compareParts(releaseA, releaseB, byLength); c != 0 {
		return c
	}
	if isPreA != isPreB {
		if isPreA {
			return -1
		}
		return 1
	}
	return cmp.Or(compareParts(preA, preB, cmp.Compare[string]), cmp.Compare(a, b))
}

// NewestMatching chooses a version: the one that want names, or else the newest
// that want is the beginning of: "27" of 27.3.4.1, "1.1" of 1.1.1w. What has a
// dash is chosen only where want names it in full.
func NewestMatching(versions []string, want string) (string, bool) {
	if slices.Contains(versions, want) {
		return want, true
	}
	newest, ok := "", false
	for _, v := range versions {
		if Stable(v) && begins(v, want) && (!ok || CompareVersions(v, newest) > 0) {
			newest, ok = v, true
		}
	}
	return newest, ok
}

// Stable says whether a version is a release and no candidate for one.
func Stable(version string) bool { return !strings.Contains(version, "-") }

// begins says whether want names the first parts of a version.
func begins(version, want string) bool {
	rest, ok := strings.CutPrefix(version, want)
	if !ok || want == "" {
		return false
	}
	// OpenSSL's letters follow the last number without a dot.
	return strings.HasPrefix(rest, ".") || rest != "" && isLetter(rest[0]) && isDigit(want[len(want)-1])
}

const maxNearest = 5

// Nearest returns up to five versions to offer to whoever asked for one that is
// not there: those that agree with it in most parts, the closest number first.
// Candidates for a release are offered only for another such.
func Nearest(versions []string, want string) []string {
	type near struct {
		version  string
		shared   int
		distance uint64
	}
	parts := split(want)
	var all []near
	for _, v := range versions {
		if !Stable(v) && Stable(want) {
			continue
		}
		n := near{version: v}
		n.shared, n.distance = distance(split(v), parts)
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b near) int {
		return cmp.Or(cmp.Compare(b.shared, a.shared), cmp.Compare(a.distance, b.distance), CompareVersions(b.version, a.version))
	})
	var out []string
	for _, n := range all[:min(len(all), maxNearest)] {
		out = append(out, n.version)
	}
	return out
}

// distance says in how many parts two versions agree, and how far apart the
// first numbers are that differ.
func distance(a, b []string) (shared int, apart uint64) {
	for shared < min(len(a), len(b)) && a[shared] == b[shared] {
		shared++
	}
	x, y := number(a, shared), number(b, shared)
	return shared, max(x, y) - min(x, y)
}

// number is the i-th part, as far as it is one.
func number(parts []string, i int) uint64 {
	if i >= len(parts) {
		return 0
	}
	n, _ := strconv.ParseUint(parts[i], 10, 64) // what is too large counts as the largest
	return n
}

// split takes a version apart into numbers and words.
func split(s string) []string {
	var parts []string
	start := 0
	flush := func(end int) {
		if end > start {
			parts = append(parts, s[start:end])
		}
	}
	for i := range len(s) {
		switch {
		case !isDigit(s[i]) && !isLetter(s[i]):
			flush(i)
			start = i + 1
		case i > start && isDigit(s[i]) != isDigit(s[i-1]):
			flush(i)
			start = i
		}
	}
	flush(len(s))
	return parts
}

func compareParts(a, b string, word func(a, b string) int) int {
	return slices.CompareFunc(split(a), split(b), func(a, b string) int {
		numA, numB := isDigit(a[0]), isDigit(b[0])
		switch {
		case numA && !numB:
			return -1
		case numB && !numA:
			return 1
		case numA:
			return byLength(strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0"))
		}
		return word(a, b)
	})
}

// byLength orders numbers by value, and OpenSSL's letters, where zh follows z.
func byLength(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
