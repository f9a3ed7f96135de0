package configure

import (
	"strconv"
	"strings"
)

// parseMode reads an octal or symbolic mode relative to a file's old one.
func parseMode(s string, old uint32) (uint32, bool) { return parseModeFor(s, old, false) }

func parseModeFor(s string, old uint32, dir bool) (uint32, bool) {
	if s == "" {
		return 0, false
	}
	if n, err := strconv.ParseUint(s, 8, 16); err == nil {
		if n > 0o7777 {
			return 0, false
		}
		// chmod keeps a directory's setuid and setgid bits unless five digits name them.
		if dir && len(s) < 5 {
			n |= uint64(old) & 0o6000
		}
		return uint32(n), true
	}
	mode := old
	for clause := range strings.SplitSeq(s, ",") {
		var ok bool
		if mode, ok = applyClause(clause, mode, dir); !ok {
			return 0, false
		}
	}
	return mode, true
}

func applyClause(clause string, mode uint32, dir bool) (uint32, bool) {
	i := strings.IndexAny(clause, "+-=")
	if i < 0 {
		return 0, false
	}
	who := clause[:i]
	if strings.Trim(who, "ugoa") != "" {
		return 0, false
	}
	if who == "" || strings.Contains(who, "a") {
		who = "ugo"
	}
	var bits, mask uint32
	for _, w := range who {
		shift := map[rune]uint32{'u': 6, 'g': 3, 'o': 0}[w]
		mask |= 0o7 << shift
		for _, p := range clause[i+1:] {
			switch p {
			case 'r':
				bits |= 4 << shift
			case 'w':
				bits |= 2 << shift
			case 'x':
				bits |= 1 << shift
			case 'X':
				if dir || mode&0o111 != 0 {
					bits |= 1 << shift
				}
			case 's':
				bits |= map[rune]uint32{'u': 0o4000, 'g': 0o2000}[w]
			case 't':
				bits |= 0o1000
			case 'u', 'g', 'o':
				from := map[rune]uint32{'u': 6, 'g': 3, 'o': 0}[p]
				bits |= (mode >> from & 7) << shift
			default:
				return 0, false
			}
		}
	}
	switch clause[i] {
	case '+':
		return mode | bits, true
	case '-':
		return mode &^ bits, true
	}
	return mode&^mask | bits, true
}
