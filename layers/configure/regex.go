package configure

import (
	"regexp"
	"strings"
)

// compilePOSIX makes a Go expression of a POSIX basic (or extended) one, with
// the GNU extensions that scripts use.
func compilePOSIX(expr string, extended, fold bool) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString("(?s")
	if fold {
		b.WriteByte('i')
	}
	b.WriteByte(')')
	start := true // where * is a letter and ^ an anchor in basic expressions
	for i := 0; i < len(expr); i++ {
		ch := expr[i]
		switch {
		case ch == '[':
			end := bracketEnd(expr, i)
			if end < 0 {
				b.WriteString(`\[`)
				break
			}
			b.WriteString(bracket(expr[i : end+1]))
			i = end
		case ch == '\\' && i+1 < len(expr):
			i++
			start = posixEscape(&b, expr[i], extended)
			continue
		case !extended && strings.IndexByte("(){}|+?", ch) >= 0,
			!extended && ch == '*' && start,
			!extended && ch == '^' && !start,
			!extended && ch == '$' && i+1 < len(expr) && !strings.HasPrefix(expr[i+1:], `\)`) && !strings.HasPrefix(expr[i+1:], `\|`):
			b.WriteString(`\` + string(ch))
		case !extended && ch == '^':
			b.WriteByte(ch)
			continue
		case extended && ch == '{' && !interval(expr[i:]):
			b.WriteString(`\{`)
		default:
			b.WriteByte(ch)
		}
		start = false
	}
	return regexp.Compile(b.String())
}

// interval says that an extended expression's brace starts a repetition.
func interval(s string) bool {
	end := strings.IndexByte(s, '}')
	return end > 1 && strings.Trim(s[1:end], "0123456789,") == ""
}

// posixEscape writes what a backslash and a letter mean; it reports whether a
// sub-expression starts.
func posixEscape(b *strings.Builder, ch byte, extended bool) bool {
	switch {
	case !extended && strings.IndexByte("(|", ch) >= 0:
		b.WriteByte(ch)
		return true
	case !extended && strings.IndexByte("){}+?", ch) >= 0:
		b.WriteByte(ch)
	case strings.IndexByte("wWsSbB", ch) >= 0:
		b.WriteString(`\` + string(ch))
	case ch == '<' || ch == '>':
		b.WriteString(`\b`)
	case ch == 'n':
		b.WriteString(`\n`)
	case ch == 't':
		b.WriteString(`\t`)
	case ch == '`':
		b.WriteString(`\A`)
	case ch == '\'':
		b.WriteString(`\z`)
	default:
		b.WriteString(regexp.QuoteMeta(string(ch)))
	}
	return false
}

// bracketEnd finds the end of the bracket expression that starts at i.
func bracketEnd(s string, i int) int {
	j := i + 1
	if j < len(s) && s[j] == '^' {
		j++
	}
	if j < len(s) && s[j] == ']' {
		j++
	}
	for j < len(s) {
		if s[j] == ']' {
			return j
		}
		if s[j] == '[' && j+1 < len(s) && strings.IndexByte(":.=", s[j+1]) >= 0 {
			if end := strings.Index(s[j+2:], string(s[j+1])+"]"); end >= 0 {
				j += end + 4
				continue
			}
		}
		j++
	}
	return -1
}

// bracket quotes what Go reads differently inside brackets.
func bracket(s string) string {
	body, negated := s[1:len(s)-1], ""
	if strings.HasPrefix(body, "^") {
		body, negated = body[1:], "^"
	}
	var b strings.Builder
	b.WriteString("[" + negated)
	for i := 0; i < len(body); i++ {
		switch ch := body[i]; {
		case ch == '[' && i+1 < len(body) && body[i+1] == ':':
			end := strings.Index(body[i:], ":]")
			if end < 0 {
				b.WriteString(`\[`)
				continue
			}
			b.WriteString(body[i : i+end+2])
			i += end + 1
		case ch == '\\' && i+1 < len(body) && (body[i+1] == 'n' || body[i+1] == 't'):
			b.WriteString(body[i : i+2])
			i++
		case ch == '\\' || ch == '[' || ch == ']' || ch == '^' || ch == '&' || ch == '~':
			b.WriteString(`\` + string(ch))
		default:
			b.WriteByte(ch)
		}
	}
	return b.String() + "]"
}
