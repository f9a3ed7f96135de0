package hex

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// erlang parses a file of Erlang terms, each ended by a full stop, as
// file:consult reads them: atoms, binaries, strings, numbers, lists, tuples
// and maps of such.
type erlang struct {
	src string
	pos int
}

// parseErlang returns the terms of src in their order.
func parseErlang(src string) ([]term, error) {
	if !utf8.ValidString(src) {
		return nil, fmt.Errorf("not UTF-8")
	}
	p := &erlang{src: src}
	var out []term
	for {
		p.space()
		if p.pos >= len(p.src) {
			return out, nil
		}
		t, err := p.value(0)
		if err != nil {
			return nil, err
		}
		if p.space(); !p.take(".") {
			return nil, p.fault("a term without its full stop")
		}
		out = append(out, t)
	}
}

func (p *erlang) fault(format string, args ...any) error {
	return syntaxError(p.src, p.pos, format, args...)
}

func (p *erlang) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *erlang) take(s string) bool {
	if strings.HasPrefix(p.src[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *erlang) space() {
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f':
			p.pos++
		case c == '%':
			end := strings.IndexByte(p.src[p.pos:], '\n')
			if end < 0 {
				end = len(p.src) - p.pos
			}
			p.pos += end
		default:
			return
		}
	}
}

func (p *erlang) value(depth int) (t term, err error) {
	if depth > maxDepth {
		return t, errDepth
	}
	p.space()
	start := p.pos
	defer func() { t.pos, t.end = start, p.pos }()
	switch c := p.peek(); {
	case p.take("<<"):
		t.shape = stringTerm
		t.text, err = p.binary()
	case p.take("#{"):
		t.shape = mapTerm
		t.items, err = p.items("}", depth, true)
	case p.take("{"):
		t.shape = tupleTerm
		t.items, err = p.items("}", depth, false)
	case p.take("["):
		t.shape = listTerm
		t.items, err = p.items("]", depth, false)
	case c == '"':
		t.shape = charsTerm
		var runes []rune
		runes, err = p.quoted('"')
		// Adjacent string literals are one string.
		for err == nil {
			if p.space(); p.peek() != '"' {
				break
			}
			var more []rune
			more, err = p.quoted('"')
			runes = append(runes, more...)
		}
		t.text = string(runes)
	case c == '\'':
		t.shape = atomTerm
		var runes []rune
		runes, err = p.quoted('\'')
		t.text = string(runes)
	case 'a' <= c && c <= 'z':
		t.shape = atomTerm
		for isWord(p.peek()) || isDigit(p.peek()) || p.peek() == '@' {
			p.pos++
		}
		t.text = p.src[start:p.pos]
	case c == '-' || isDigit(c):
		t.shape = numberTerm
		t.text, err = p.number()
	case p.pos >= len(p.src):
		return t, p.fault("it ends too early")
	default:
		return t, p.fault("unexpected %q", c)
	}
	return t, err
}

func (p *erlang) items(closer string, depth int, pairs bool) ([]term, error) {
	var out []term
	if p.space(); p.take(closer) {
		return nil, nil
	}
	for {
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if pairs {
			if p.space(); !p.take("=>") {
				return nil, p.fault("a map's key without a value")
			}
			if v, err = p.value(depth + 1); err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		p.space()
		if p.take(closer) {
			return out, nil
		}
		if !p.take(",") {
			return nil, p.fault("neither a comma nor %q", closer)
		}
	}
}

// binary parses what follows << : strings and bytes.
func (p *erlang) binary() (string, error) {
	var b strings.Builder
	if p.space(); p.take(">>") {
		return "", nil
	}
	for {
		p.space()
		if p.peek() == '"' {
			runes, err := p.quoted('"')
			if err != nil {
				return "", err
			}
			if p.take("/utf8") {
				b.WriteString(string(runes))
			} else if err := p.latin1(&b, runes); err != nil {
				return "", err
			}
		} else {
			text, err := p.number()
			if err != nil {
				return "", err
			}
			n, err := strconv.ParseUint(text, 10, 8)
			if err != nil {
				return "", p.fault("%s is no byte", text)
			}
			b.WriteByte(byte(n))
		}
		p.space()
		if p.take(">>") {
			return b.String(), nil
		}
		if p.peek() == '"' { // io_lib prints a long binary as several strings
			continue
		}
		if !p.take(",") {
			return "", p.fault("neither a comma nor \">>\"")
		}
	}
}

func (p *erlang) latin1(b *strings.Builder, runes []rune) error {
	for _, r := range runes {
		if r > 0xff {
			return p.fault("a character above 255 in a binary without /utf8")
		}
		b.WriteByte(byte(r))
	}
	return nil
}

func (p *erlang) number() (string, error) {
	start := p.pos
	p.take("-")
	for isDigit(p.peek()) || p.peek() == 'e' {
		p.pos++
	}
	// A full stop followed by a digit is a decimal point, else the term's end.
	if p.peek() == '.' && p.pos+1 < len(p.src) && isDigit(p.src[p.pos+1]) {
		p.pos++
		for isDigit(p.peek()) || p.peek() == 'e' || p.peek() == '-' || p.peek() == '+' {
			p.pos++
		}
	}
	text := p.src[start:p.pos]
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		return "", p.fault("%q is no number", text)
	}
	return text, nil
}

func (p *erlang) quoted(quote byte) ([]rune, error) {
	p.pos++
	var out []rune
	for p.pos < len(p.src) {
		if p.src[p.pos] == quote {
			p.pos++
			return out, nil
		}
		r, size := utf8.DecodeRuneInString(p.src[p.pos:])
		p.pos += size
		if r == '\\' {
			var err error
			if r, err = p.escape(); err != nil {
				return nil, err
			}
			if r < 0 {
				continue
			}
		}
		out = append(out, r)
	}
	return nil, p.fault("a %c without its pair", quote)
}

// escape returns the character of an escape sequence, -1 for a line's end.
func (p *erlang) escape() (rune, error) {
	r, size := utf8.DecodeRuneInString(p.src[p.pos:])
	if size == 0 {
		return 0, p.fault("it ends too early")
	}
	p.pos += size
	switch {
	case r == '\n':
		return -1, nil
	case r == 'x':
		return p.hex()
	case '0' <= r && r <= '7':
		n := r - '0'
		for i := 0; i < 2 && '0' <= p.peek() && p.peek() <= '7'; i++ {
			n = n*8 + rune(p.peek()-'0')
			p.pos++
		}
		return n, nil
	case r == '^':
		c := p.peek()
		if c < '@' || c > '_' {
			return 0, p.fault("an unknown control character")
		}
		p.pos++
		return rune(c - '@'), nil
	}
	if r < utf8.RuneSelf && r != '0' {
		if e, ok := elixirEscapes[byte(r)]; ok && r != 'a' {
			return rune(e), nil
		}
	}
	return r, nil
}

func (p *erlang) hex() (rune, error) {
	text := ""
	if p.take("{") {
		end := strings.IndexByte(p.src[p.pos:], '}')
		if end < 1 || end > 6 {
			return 0, p.fault("a character's number without an end")
		}
		text = p.src[p.pos : p.pos+end]
		p.pos += end + 1
	} else if p.pos+2 <= len(p.src) {
		text = p.src[p.pos : p.pos+2]
		p.pos += 2
	}
	n, err := strconv.ParseUint(text, 16, 32)
	if err != nil || !utf8.ValidRune(rune(n)) {
		return 0, p.fault("%q is no character", text)
	}
	return rune(n), nil
}
