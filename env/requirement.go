package env

import (
	"slices"
	"strconv"
	"strings"
)

// meets reports whether a version satisfies a requirement as Elixir writes
// them, such as "~> 1.18 and != 1.18.1 or >= 2.0.0". known is false if the
// requirement is not of that form. Pre-releases are not understood.
func meets(version, requirement string) (ok, known bool) {
	v, _, valid := numbers(version)
	if !valid || requirement == "" {
		return false, false
	}
	for alternative := range strings.SplitSeq(requirement, " or ") {
		all := true
		for term := range strings.SplitSeq(alternative, " and ") {
			met, understood := comparison(v, strings.TrimSpace(term))
			if !understood {
				return false, false
			}
			all = all && met
		}
		ok = ok || all
	}
	return ok, true
}

// comparison compares with one operator and version.
func comparison(v [3]int, term string) (ok, known bool) {
	op := "=="
	for _, o := range []string{"~>", ">=", "<=", "==", "!=", ">", "<"} {
		if rest, found := strings.CutPrefix(term, o); found {
			op, term = o, strings.TrimSpace(rest)
			break
		}
	}
	want, parts, valid := numbers(term)
	if !valid || parts < 2 {
		return false, false
	}
	order := slices.Compare(v[:], want[:])
	switch op {
	case "~>":
		// All but the last part that is written must agree.
		return order >= 0 && slices.Equal(v[:parts-1], want[:parts-1]), true
	case ">=":
		return order >= 0, true
	case "<=":
		return order <= 0, true
	case "!=":
		return order != 0, true
	case ">":
		return order > 0, true
	case "<":
		return order < 0, true
	}
	return order == 0, true
}

// numbers reads a version of up to three numbers and counts them.
func numbers(s string) (v [3]int, parts int, ok bool) {
	fields := strings.Split(s, ".")
	if len(fields) > 3 {
		return v, 0, false
	}
	for i, f := range fields {
		n, err := strconv.ParseUint(f, 10, 31)
		if err != nil {
			return v, 0, false
		}
		v[i] = int(n)
	}
	return v, len(fields), true
}
