package env

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// maxDepth bounds the parts of a key and the nesting of arrays and tables. The
// deepest key of a manifest has six parts. Without a bound a few bytes keep
// the TOML parser busy for a minute: BurntSushi/toml v1.6.0 needs 28 s for a
// key of 20000 parts and 72 s for as many nested inline tables.
const maxDepth = 12

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// joinKey appends a key to the path of its table.
func joinKey(path, key string) string {
	if !bareKey.MatchString(key) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// scanner walks over TOML text without making values: it finds the line of
// each key, which the TOML parser does not tell, and stops at nesting that the
// parser cannot bear.
type scanner struct {
	data  []byte
	pos   int
	table string
	lines map[string]int
	last  int // where the line number was last counted
	line  int // line of last
}

// scanTOML gives the line of each table and key. ok is false if the text
// cannot be TOML from the offset end on; then only the text up to there may
// be shown to the parser, which will say what is wrong.
func scanTOML(data []byte) (lines map[string]int, end int, err error) {
	s := scanner{data: data, lines: make(map[string]int), line: 1}
	for {
		s.skipSpace()
		if s.pos == len(data) {
			return s.lines, len(data), nil
		}
		start := s.pos
		ok, err := s.statement()
		if err != nil {
			return nil, 0, err
		}
		if !ok {
			return s.lines, lineEnd(data, max(s.pos, start)), nil
		}
	}
}

func lineEnd(data []byte, from int) int {
	if i := bytes.IndexByte(data[from:], '\n'); i >= 0 {
		return from + i + 1
	}
	return len(data)
}

// skipSpace passes white space, ends of lines and comments.
func (s *scanner) skipSpace() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		case '#':
			s.pos = lineEnd(s.data, s.pos)
		default:
			return
		}
	}
}

func (s *scanner) statement() (bool, error) {
	line := s.lineAt(s.pos)
	if s.peek() == '[' {
		s.pos++
		if s.peek() == '[' {
			s.pos++
		}
		path, ok, err := s.key("", line)
		if !ok || err != nil || s.peek() != ']' {
			return false, err
		}
		s.table = path
		s.pos = lineEnd(s.data, s.pos)
		return true, nil
	}
	_, ok, err := s.key(s.table, line)
	if !ok || err != nil || s.peek() != '=' {
		return false, err
	}
	s.pos++
	return s.value()
}

// note keeps the first line on which a path occurs.
func (s *scanner) note(path string, line int) {
	if s.lines[path] == 0 {
		s.lines[path] = line
	}
}

// lineAt counts lines; pos never goes back.
func (s *scanner) lineAt(pos int) int {
	s.line += bytes.Count(s.data[s.last:pos], []byte("\n"))
	s.last = pos
	return s.line
}

func (s *scanner) peek() byte {
	for s.pos < len(s.data) && (s.data[s.pos] == ' ' || s.data[s.pos] == '\t') {
		s.pos++
	}
	if s.pos == len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

// key reads a dotted key, joins it to the path of a table and notes the line of
// each of its parts.
func (s *scanner) key(path string, line int) (string, bool, error) {
	for parts := 1; ; parts++ {
		if parts > maxDepth {
			return "", false, s.tooDeep(s.pos)
		}
		part, ok := s.keyPart()
		if !ok {
			return "", false, nil
		}
		path = joinKey(path, part)
		s.note(path, line)
		if s.peek() != '.' {
			return path, true, nil
		}
		s.pos++
	}
}

func (s *scanner) keyPart() (string, bool) {
	c := s.peek()
	start := s.pos
	if c == '"' || c == '\'' {
		if !s.skipString() {
			return "", false
		}
		raw := string(s.data[start:s.pos])
		if unquoted, err := strconv.Unquote(raw); c == '"' && err == nil {
			return unquoted, true
		}
		return raw[1 : len(raw)-1], true
	}
	// Outside ASCII the parser decides whether it is a key.
	for s.pos < len(s.data) && (s.data[s.pos] >= 0x80 || bareKey.Match(s.data[s.pos:s.pos+1])) {
		s.pos++
	}
	return string(s.data[start:s.pos]), s.pos > start
}

// skipString passes a string of one of the four kinds. It reports false where
// the string does not end.
func (s *scanner) skipString() bool {
	q := s.data[s.pos]
	if triple := bytes.Repeat([]byte{q}, 3); bytes.HasPrefix(s.data[s.pos:], triple) {
		s.pos += 3
		for ; s.pos < len(s.data); s.pos++ {
			switch {
			case s.data[s.pos] == '\\' && q == '"':
				s.pos++
			case bytes.HasPrefix(s.data[s.pos:], triple):
				s.pos += 3
				// Up to two quotes may stand before the closing three.
				for range 2 {
					if s.pos < len(s.data) && s.data[s.pos] == q {
						s.pos++
					}
				}
				return true
			}
		}
		s.pos = len(s.data)
		return false
	}
	for s.pos++; s.pos < len(s.data); s.pos++ {
		switch c := s.data[s.pos]; {
		case c == '\n':
			return false
		case c == '\\' && q == '"':
			s.pos++
		case c == q:
			s.pos++
			return true
		}
	}
	s.pos = len(s.data)
	return false
}

// value passes the value of a key, up to the end of its last line.
func (s *scanner) value() (bool, error) {
	depth, dots := 0, 0
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case '"', '\'':
			if !s.skipString() {
				return false, nil
			}
			continue
		case '#':
			s.pos = lineEnd(s.data, s.pos) - 1
			if s.data[s.pos] != '\n' {
				s.pos++
			}
			continue
		case '[', '{':
			depth++
			dots = 0
		case ']', '}':
			depth--
		case ',', '=':
			dots = 0
		case '.':
			dots++
		case '\n':
			if depth == 0 {
				return true, nil
			}
		}
		if depth > maxDepth || dots > maxDepth {
			return false, s.tooDeep(s.pos)
		}
		if depth < 0 {
			return false, nil
		}
		s.pos++
	}
	return true, nil
}

func (s *scanner) tooDeep(pos int) error {
	return Error{Line: s.lineAt(pos), Err: fmt.Errorf("nested deeper than %d", maxDepth)}
}

// lineOf finds the line of a key path, or of the nearest table around it.
func lineOf(lines map[string]int, path string) int {
	for path != "" {
		if n := lines[path]; n > 0 {
			return n
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return 0
		}
		path = path[:i]
	}
	return 0
}
