package debian

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Bounds on what one paragraph of a signed file may hold. The longest line of
// trixie's index has 60 kB.
const (
	longestLine  = 1 << 20
	longestValue = 64 << 20
)

// paragraphs reads deb822: paragraphs of "Field: value" lines, apart by empty
// lines, with continuation lines that begin with a blank.
type paragraphs struct {
	r    *bufio.Reader
	line int
	long []byte // of a line that outgrew the reader's buffer
	name [64]byte
}

func newParagraphs(r io.Reader) *paragraphs {
	return &paragraphs{r: bufio.NewReaderSize(r, 256<<10)}
}

// next reads one paragraph. For every field it calls want with the name in
// lower case, and appends the value to the buffer it gets; nil skips the
// field. Continuation lines are joined with newlines. At the end of the file
// it returns io.EOF.
func (p *paragraphs) next(want func(name []byte) *[]byte) error {
	var value *[]byte
	began, field := false, false
	for {
		line, err := p.read()
		if err == io.EOF {
			if began {
				return nil
			}
			return io.EOF
		} else if err != nil {
			return fmt.Errorf("line %d: %w", p.line, err)
		}
		if len(bytes.TrimRight(line, " \t\r")) == 0 {
			if began {
				return nil
			}
			continue
		}
		if line[0] == '#' {
			continue
		}
		began = true
		if line[0] == ' ' || line[0] == '\t' {
			if !field {
				return fmt.Errorf("line %d: continuation of no field", p.line)
			}
			if value != nil {
				*value = append(append(*value, '\n'), bytes.Trim(line, " \t\r")...)
			}
		} else {
			name, rest, ok := bytes.Cut(line, []byte{':'})
			if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
				return fmt.Errorf("line %d: not a field", p.line)
			}
			field = true
			if value = want(p.lower(name)); value != nil {
				if len(*value) > 0 {
					return fmt.Errorf("line %d: field %s stands twice", p.line, name)
				}
				*value = append(*value, bytes.Trim(rest, " \t\r")...)
			}
		}
		if value != nil && len(*value) > longestValue {
			return fmt.Errorf("line %d: field is too long", p.line)
		}
	}
}

// lower returns a field's name in lower case; nil for one too long to be known.
func (p *paragraphs) lower(name []byte) []byte {
	if len(name) > len(p.name) {
		return nil
	}
	for i, c := range name {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		p.name[i] = c
	}
	return p.name[:len(name)]
}

// read returns a line without its end. It stays valid until the next call.
func (p *paragraphs) read() ([]byte, error) {
	p.line++
	line, err := p.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		p.long = p.long[:0]
		for errors.Is(err, bufio.ErrBufferFull) {
			if p.long = append(p.long, line...); len(p.long) > longestLine {
				return nil, errors.New("line is too long")
			}
			line, err = p.r.ReadSlice('\n')
		}
		if p.long = append(p.long, line...); len(p.long) > longestLine {
			return nil, errors.New("line is too long")
		}
		line = p.long
	}
	if err == io.EOF && len(line) > 0 {
		err = nil
	}
	return bytes.TrimSuffix(line, []byte{'\n'}), err
}
