package hex

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// version is a semantic version. Build metadata does not order.
type version struct {
	numbers [3]uint64
	pre     []string
	parts   int // of numbers that were written: 2 only in requirements
}

// parseVersion parses a semantic version; partial admits MAJOR.MINOR and MAJOR.
func parseVersion(s string, partial bool) (version, error) {
	v := version{}
	core, _, _ := strings.Cut(s, "+")
	core, pre, isPre := strings.Cut(core, "-")
	if isPre {
		v.pre = strings.Split(pre, ".")
	}
	parts := strings.Split(core, ".")
	v.parts = len(parts)
	if len(parts) > 3 || len(parts) < 3 && !partial {
		return v, fmt.Errorf("%q is no version", s)
	}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 63)
		if err != nil {
			return v, fmt.Errorf("%q is no version", s)
		}
		v.numbers[i] = n
	}
	return v, nil
}

// compare orders by semver's precedence.
func (v version) compare(w version) int {
	for i := range v.numbers {
		if c := cmp.Compare(v.numbers[i], w.numbers[i]); c != 0 {
			return c
		}
	}
	switch {
	case len(v.pre) == 0 && len(w.pre) == 0:
		return 0
	case len(v.pre) == 0:
		return 1
	case len(w.pre) == 0:
		return -1
	}
	for i := range min(len(v.pre), len(w.pre)) {
		if c := compareIdentifier(v.pre[i], w.pre[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(v.pre), len(w.pre))
}

// compareIdentifier orders parts of a pre-release: numbers before words.
func compareIdentifier(a, b string) int {
	m, errA := strconv.ParseUint(a, 10, 63)
	n, errB := strconv.ParseUint(b, 10, 63)
	switch {
	case errA == nil && errB == nil:
		return cmp.Compare(m, n)
	case errA == nil:
		return -1
	case errB == nil:
		return 1
	}
	return cmp.Compare(a, b)
}

// comparison is one condition of a requirement: an operator and its version.
type comparison struct {
	operator string
	version  version
}

// requirement is comparisons joined by "and" (inner) and "or" (outer).
type requirement [][]comparison

var operators = []string{"==", "!=", ">=", "<=", "~>", ">", "<"}

const maxRequirement = 1024

// parseRequirement parses a requirement as Elixir's Version and rebar3 write
// them: "~> 1.2 and != 1.2.3 or >= 2.0.0". An empty one admits all.
func parseRequirement(s string) (requirement, error) {
	if len(s) > maxRequirement {
		return nil, fmt.Errorf("requirement longer than %d bytes", maxRequirement)
	}
	if strings.TrimSpace(s) == "" {
		return requirement{nil}, nil
	}
	spaced := s
	for _, op := range []string{"~>", "==", "!=", ">=", "<="} {
		spaced = strings.ReplaceAll(spaced, op, " "+op+" ")
	}
	words := strings.Fields(spaced)
	out := requirement{nil}
	for len(words) > 0 {
		c, rest, err := parseComparison(words)
		if err != nil {
			return nil, fmt.Errorf("requirement %q: %w", s, err)
		}
		out[len(out)-1] = append(out[len(out)-1], c)
		if len(rest) == 0 {
			return out, nil
		}
		switch rest[0] {
		case "and":
		case "or":
			out = append(out, nil)
		default:
			return nil, fmt.Errorf("requirement %q: unexpected %q", s, rest[0])
		}
		words = rest[1:]
	}
	return nil, fmt.Errorf("requirement %q: it ends too early", s)
}

func parseComparison(words []string) (comparison, []string, error) {
	c := comparison{operator: "=="}
	word := words[0]
	for _, op := range operators {
		if rest, ok := strings.CutPrefix(word, op); ok {
			c.operator, word = op, rest
			break
		}
	}
	words = words[1:]
	if word == "" {
		if len(words) == 0 {
			return c, nil, fmt.Errorf("an operator without a version")
		}
		word, words = words[0], words[1:]
	}
	var err error
	c.version, err = parseVersion(word, true)
	return c, words, err
}

// admits reports whether v satisfies the requirement. A pre-release does so
// only where the requirement itself names one.
func (r requirement) admits(v version) bool {
	for _, all := range r {
		ok, pre := true, len(v.pre) == 0
		for _, c := range all {
			ok = ok && c.admits(v)
			pre = pre || len(c.version.pre) > 0
		}
		if ok && pre {
			return true
		}
	}
	return false
}

func (c comparison) admits(v version) bool {
	order := v.compare(c.version)
	switch c.operator {
	case "==":
		return order == 0
	case "!=":
		return order != 0
	case ">":
		return order > 0
	case "<":
		return order < 0
	case ">=":
		return order >= 0
	case "<=":
		return order <= 0
	}
	// ~> fixes all written parts but the last.
	if order < 0 {
		return false
	}
	for i := range max(c.version.parts-1, 1) {
		if v.numbers[i] != c.version.numbers[i] {
			return false
		}
	}
	return true
}
