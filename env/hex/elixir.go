package hex

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// elixir parses the literal subset of Elixir that mix.lock is written in:
// maps, tuples, lists, keywords, strings, atoms, booleans, nil and numbers.
type elixir struct {
	src string
	pos int
}

// parseElixir parses src as one literal.
func parseElixir(src string) (term, error) {
	p := &elixir{src: src}
	t, err := p.value(0)
	if err != nil {
		return term{}, err
	}
	p.space()
	if p.pos < len(p.src) {
		return term{}, p.fault("text after the end of the literal")
	}
	return t, nil
}

func (p *elixir) fault(format string, args ...any) error {
	return syntaxError(p.src, p.pos, format, args...)
}

func (p *elixir) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *elixir) take(s string) bool {
	if strings.HasPrefix(p.src[p.pos:], s) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *elixir) space() {
	for p.pos < len(p.src) {
		switch c := p.src[p.pos]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			p.pos++
		case c == '#':
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

func (p *elixir) value(depth int) (t term, err error) {
	if depth > maxDepth {
		return t, errDepth
	}
	p.space()
	start := p.pos
	defer func() { t.pos, t.end = start, p.pos }()
	switch c := p.peek(); {
	case p.take("%{"):
		t.shape = mapTerm
		t.items, err = p.mapItems(depth)
	case p.take("{"):
		t.shape = tupleTerm
		t.items, err = p.items("}", depth)
	case p.take("["):
		t.shape = listTerm
		t.items, err = p.items("]", depth)
	case c == '"':
		t.shape = stringTerm
		t.text, err = p.quoted()
	case c == ':':
		p.pos++
		t.shape = atomTerm
		t.text, err = p.atom()
	case c == '-' || isDigit(c):
		t.shape = numberTerm
		t.text, err = p.number()
	case isWord(c):
		word := p.word()
		if word != "true" && word != "false" && word != "nil" {
			p.pos = start
			return t, p.fault("%q is no literal", word)
		}
		t.shape, t.text = atomTerm, word
	case strings.HasPrefix(p.src[p.pos:], "<<<<<<<"):
		return t, p.fault("a merge conflict is unresolved")
	case p.pos >= len(p.src):
		return t, p.fault("it ends too early")
	default:
		return t, p.fault("unexpected %q", c)
	}
	return t, err
}

// key parses NAME: or "NAME": if such a key stands here, as an atom.
func (p *elixir) key() (term, bool, error) {
	start := p.pos
	var name string
	switch c := p.peek(); {
	case c == '"':
		s, err := p.quoted()
		if err != nil {
			return term{}, false, err
		}
		name = s
	case isWord(c) && !isDigit(c):
		name = p.word()
	default:
		return term{}, false, nil
	}
	end := p.pos
	// A keyword's colon touches its name and is followed by a space.
	if p.peek() != ':' || p.pos+1 >= len(p.src) || !strings.ContainsRune(" \t\r\n", rune(p.src[p.pos+1])) {
		p.pos = start
		return term{}, false, nil
	}
	p.pos++
	return term{shape: atomTerm, text: name, pos: start, end: end}, true, nil
}

// items parses values up to a closing token; keywords become 2-tuples, and
// must come last.
func (p *elixir) items(closer string, depth int) ([]term, error) {
	var out []term
	keywords := false
	for {
		p.space()
		if p.take(closer) {
			return out, nil
		}
		start := p.pos
		k, ok, err := p.key()
		if err != nil {
			return nil, err
		}
		if keywords && !ok {
			return nil, p.fault("a value after keywords")
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if ok {
			// A tuple's trailing keywords are one list, its last element.
			if keywords = true; closer == "}" {
				return nil, p.fault("keywords without brackets in a tuple")
			}
			v = term{shape: tupleTerm, items: []term{k, v}, pos: start, end: p.pos}
		}
		out = append(out, v)
		if done, err := p.comma(closer); err != nil || done {
			return out, err
		}
	}
}

func (p *elixir) mapItems(depth int) ([]term, error) {
	var out []term
	for {
		p.space()
		if p.take("}") {
			return out, nil
		}
		k, ok, err := p.key()
		if err != nil {
			return nil, err
		}
		if !ok {
			if k, err = p.value(depth + 1); err != nil {
				return nil, err
			}
			if p.space(); !p.take("=>") {
				return nil, p.fault("a map's key without a value")
			}
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, k, v)
		if done, err := p.comma("}"); err != nil || done {
			return out, err
		}
	}
}

// comma passes what separates two items and reports whether it was the end.
func (p *elixir) comma(closer string) (bool, error) {
	p.space()
	if p.take(closer) {
		return true, nil
	}
	if !p.take(",") {
		return false, p.fault("neither a comma nor %q", closer)
	}
	return false, nil
}

func (p *elixir) word() string {
	start := p.pos
	for isWord(p.peek()) || isDigit(p.peek()) || p.peek() == '@' {
		p.pos++
	}
	if c := p.peek(); c == '?' || c == '!' {
		p.pos++
	}
	return p.src[start:p.pos]
}

func (p *elixir) atom() (string, error) {
	if p.peek() == '"' {
		return p.quoted()
	}
	if !isWord(p.peek()) || isDigit(p.peek()) {
		return "", p.fault("an atom without a name")
	}
	return p.word(), nil
}

func (p *elixir) number() (string, error) {
	start := p.pos
	p.take("-")
	for isDigit(p.peek()) || p.peek() == '_' || p.peek() == '.' || p.peek() == 'e' {
		p.pos++
	}
	text := strings.ReplaceAll(p.src[start:p.pos], "_", "")
	if _, err := strconv.ParseFloat(text, 64); err != nil {
		p.pos = start
		return "", p.fault("%q is no number", text)
	}
	return text, nil
}

func (p *elixir) quoted() (string, error) {
	p.pos++
	var b strings.Builder
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		switch {
		case c == '"':
			p.pos++
			if !utf8.ValidString(b.String()) {
				return "", p.fault("a string is not UTF-8")
			}
			return b.String(), nil
		case c == '\\':
			p.pos++
			if err := p.escape(&b); err != nil {
				return "", err
			}
		case c == '#' && strings.HasPrefix(p.src[p.pos:], "#{"):
			return "", p.fault("a string with interpolation is no literal")
		default:
			b.WriteByte(c)
			p.pos++
		}
	}
	return "", p.fault("a string without an end")
}

var elixirEscapes = map[byte]byte{
	'a': 7, 'b': 8, 'd': 127, 'e': 27, 'f': 12, 'n': '\n', 'r': '\r', 's': ' ', 't': '\t', 'v': 11, '0': 0,
}

func (p *elixir) escape(b *strings.Builder) error {
	c := p.peek()
	p.pos++
	switch c {
	case 'x', 'u':
		digits := map[byte]int{'x': 2, 'u': 4}[c]
		text := ""
		if p.take("{") {
			end := strings.IndexByte(p.src[p.pos:], '}')
			if end < 1 || end > 6 {
				return p.fault("a character's number without an end")
			}
			text = p.src[p.pos : p.pos+end]
			p.pos += end + 1
		} else {
			if p.pos+digits > len(p.src) {
				return p.fault("a character's number without an end")
			}
			text = p.src[p.pos : p.pos+digits]
			p.pos += digits
		}
		n, err := strconv.ParseUint(text, 16, 32)
		if err != nil || !utf8.ValidRune(rune(n)) {
			return p.fault("%q is no character", text)
		}
		b.WriteRune(rune(n))
		return nil
	case '\n':
		return nil
	case 0:
		return p.fault("a string without an end")
	}
	if r, ok := elixirEscapes[c]; ok {
		c = r
	}
	b.WriteByte(c)
	return nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isWord(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf
}
