package env

import (
	"errors"
	"strings"
	"unicode"

	"github.com/BurntSushi/toml"
)

// parseTOML reads TOML text into plain Go values and the line of each key.
func parseTOML(data []byte) (map[string]any, map[string]int, error) {
	lines, end, err := scanTOML(data)
	if err != nil {
		return nil, nil, err
	}
	var out map[string]any
	if _, err := toml.Decode(string(data[:end]), &out); err != nil {
		return nil, nil, syntaxError(err)
	}
	if end < len(data) {
		return nil, nil, Error{Line: 1 + strings.Count(string(data[:end-1]), "\n"), Err: errors.New("not TOML")}
	}
	return out, lines, nil
}

// syntaxError keeps the position and the cause of the parser's message.
func syntaxError(err error) error {
	var p toml.ParseError
	if !errors.As(err, &p) {
		return Error{Err: err}
	}
	msg := p.Message
	if msg == "" {
		msg = err.Error()
	}
	return Error{Line: max(p.Position.Line, 0), Key: printable(p.LastKey), Err: errors.New(printable(msg))}
}

// printable cuts what the parser quotes from the file, and takes out what
// could steer a terminal.
func printable(s string) string {
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
