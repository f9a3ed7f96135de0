package hex

import (
	"errors"
	"fmt"
	"strings"
)

// shape is what a term is.
type shape uint8

const (
	atomTerm   shape = iota + 1 // text: its name; true, false and nil are atoms
	stringTerm                  // text: the bytes of a binary
	charsTerm                   // text: an Erlang "string", in UTF-8
	numberTerm                  // text: as written
	listTerm                    // items
	tupleTerm                   // items
	mapTerm                     // items: key, value, key, value ...
)

// term is one literal of Elixir or Erlang source.
type term struct {
	shape shape
	text  string
	items []term
	pos   int // of its first byte in the source
	end   int // after its last byte
}

// maxDepth bounds how deep terms nest: locks need 4 levels, metadata 5.
const maxDepth = 32

var errDepth = errors.New("terms nest too deep")

// syntaxError is a fault at a byte of a source text.
func syntaxError(src string, pos int, format string, args ...any) error {
	pos = min(pos, len(src))
	line := 1 + strings.Count(src[:pos], "\n")
	return fmt.Errorf("line %d: %w", line, fmt.Errorf(format, args...))
}

func (t term) is(s shape, text string) bool { return t.shape == s && t.text == text }

// str returns the text of a binary or an Erlang string.
func (t term) str() (string, bool) {
	return t.text, t.shape == stringTerm || t.shape == charsTerm
}

// name returns the text of an atom or a binary, the two ways to write a name.
func (t term) name() (string, bool) {
	return t.text, t.shape == stringTerm || t.shape == charsTerm || t.isAtom()
}

// isAtom reports whether it is an atom other than nil and the booleans.
func (t term) isAtom() bool {
	return t.shape == atomTerm && t.text != "nil" && t.text != "true" && t.text != "false"
}

// names returns the names in a list of atoms or binaries.
func (t term) names() ([]string, bool) {
	if t.shape != listTerm {
		return nil, false
	}
	out := make([]string, 0, len(t.items))
	for _, i := range t.items {
		s, ok := i.name()
		if !ok {
			return nil, false
		}
		out = append(out, s)
	}
	return out, true
}

// pairs calls f for each key and value of a map or of a list of 2-tuples.
func (t term) pairs(f func(key string, value term) error) error {
	entry := func(k, v term) error {
		name, ok := k.name()
		if !ok {
			return errors.New("a key is no name")
		}
		return f(name, v)
	}
	switch t.shape {
	case mapTerm:
		for i := 0; i+1 < len(t.items); i += 2 {
			if err := entry(t.items[i], t.items[i+1]); err != nil {
				return err
			}
		}
		return nil
	case listTerm:
		for _, p := range t.items {
			if p.shape != tupleTerm || len(p.items) != 2 {
				return errors.New("a list of pairs has another element")
			}
			if err := entry(p.items[0], p.items[1]); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("neither a map nor a list of pairs")
}
