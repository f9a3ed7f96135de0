package git

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

const (
	maxModulesFile = 1 << 20
	maxModules     = 1000
)

// submodule is one section of .gitmodules.
type submodule struct {
	path, url string
	skip      bool // update = none: git leaves its folder empty
}

// parseModules reads a file .gitmodules, which has the syntax of git's
// configuration, and returns its submodules by path.
func parseModules(data []byte) (map[string]submodule, error) {
	out, err := readModules(string(data))
	if err != nil {
		return nil, fmt.Errorf("read .gitmodules: %w", err)
	}
	return out, nil
}

func readModules(text string) (map[string]submodule, error) {
	if len(text) > maxModulesFile {
		return nil, fmt.Errorf("longer than %d bytes", maxModulesFile)
	}
	byName := map[string]*submodule{}
	var current *submodule
	c := configText{rest: strings.TrimPrefix(text, "\ufeff")}
	for {
		section, name, key, value, err := c.next()
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", c.line+1, err)
		}
		switch {
		case section == "" && key == "":
			return byPath(byName)
		case key == "" && strings.EqualFold(section, "submodule") && name != "":
			if current = byName[name]; current == nil {
				current = &submodule{}
				byName[name] = current
			}
			if len(byName) > maxModules {
				return nil, fmt.Errorf("more than %d submodules", maxModules)
			}
		case key == "":
			current = nil
		case current != nil && key == "path":
			current.path = value
		case current != nil && key == "url":
			current.url = value
		case current != nil && key == "update":
			if strings.HasPrefix(value, "!") {
				return nil, fmt.Errorf("update = %q runs a command", value)
			}
			current.skip = value == "none"
		}
	}
}

func byPath(byName map[string]*submodule) (map[string]submodule, error) {
	out := map[string]submodule{}
	for name, m := range byName {
		if m.path == "" {
			continue
		}
		if path.IsAbs(m.path) || path.Clean(m.path) != m.path || m.path == "." || m.path == ".." || strings.HasPrefix(m.path, "../") {
			return nil, fmt.Errorf("submodule %q: its path %q leads out of the repository", name, m.path)
		}
		if _, ok := out[m.path]; ok {
			return nil, fmt.Errorf("two submodules have the path %q", m.path)
		}
		out[m.path] = *m
	}
	return out, nil
}

// configText reads git's configuration syntax piece by piece.
type configText struct {
	rest string
	line int
}

// next returns a section's head, or a key in lower case with its value, or
// nothing at all at the end.
func (c *configText) next() (section, name, key, value string, err error) {
	c.blank()
	switch {
	case c.rest == "":
		return "", "", "", "", nil
	case c.rest[0] == '[':
		section, name, err = c.head()
		return section, name, "", "", err
	}
	end := 0
	for end < len(c.rest) && isKeyByte(c.rest[end]) {
		end++
	}
	if end == 0 {
		return "", "", "", "", errors.New("neither a section nor a key")
	}
	key, c.rest = strings.ToLower(c.rest[:end]), strings.TrimLeft(c.rest[end:], " \t")
	if !strings.HasPrefix(c.rest, "=") {
		return "", "", key, "true", nil // a key alone is a boolean
	}
	c.rest = strings.TrimLeft(c.rest[1:], " \t")
	value, err = c.value()
	return "", "", key, value, err
}

func isKeyByte(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-'
}

// blank passes over white space and comments.
func (c *configText) blank() {
	for c.rest != "" {
		switch c.rest[0] {
		case '\n':
			c.line++
			fallthrough
		case ' ', '\t', '\r':
			c.rest = c.rest[1:]
		case '#', ';':
			i := strings.IndexByte(c.rest, '\n')
			if i < 0 {
				i = len(c.rest)
			}
			c.rest = c.rest[i:]
		default:
			return
		}
	}
}

// head reads [section] or [section "name"].
func (c *configText) head() (section, name string, err error) {
	i := strings.IndexAny(c.rest, " \t]\n")
	if i < 0 || c.rest[i] == '\n' {
		return "", "", errors.New("a section without its end")
	}
	section, c.rest = c.rest[1:i], strings.TrimLeft(c.rest[i:], " \t")
	if section == "" {
		return "", "", errors.New("a section without a name")
	}
	if strings.HasPrefix(c.rest, "\"") {
		var b strings.Builder
		for i = 1; ; i++ {
			if i >= len(c.rest) || c.rest[i] == '\n' {
				return "", "", errors.New("a section's name without its end")
			}
			if c.rest[i] == '"' {
				break
			}
			if c.rest[i] == '\\' {
				if i++; i >= len(c.rest) || c.rest[i] == '\n' {
					return "", "", errors.New("a section's name without its end")
				}
			}
			b.WriteByte(c.rest[i])
		}
		name, c.rest = b.String(), c.rest[i+1:]
	}
	if !strings.HasPrefix(c.rest, "]") {
		return "", "", errors.New("a section without its end")
	}
	c.rest = c.rest[1:]
	return section, name, nil
}

// value reads up to the end of the line, with quotes, escapes and lines that
// a backslash continues.
func (c *configText) value() (string, error) {
	var b strings.Builder
	quoted, kept := false, 0 // white space after the last kept byte is dropped
	for i := 0; ; i++ {
		if i >= len(c.rest) || c.rest[i] == '\n' {
			if quoted {
				return "", errors.New("a value without its closing quote")
			}
			c.rest = c.rest[i:]
			return b.String()[:kept], nil
		}
		switch ch := c.rest[i]; {
		case ch == '\\':
			i++
			if i < len(c.rest) && c.rest[i] == '\n' {
				c.line++
				continue
			}
			if i >= len(c.rest) || !strings.ContainsRune(`\"ntb`, rune(c.rest[i])) {
				return "", errors.New("an unknown escape")
			}
			b.WriteByte(map[byte]byte{'\\': '\\', '"': '"', 'n': '\n', 't': '\t', 'b': '\b'}[c.rest[i]])
			kept = b.Len()
		case ch == '"':
			quoted = !quoted
			kept = b.Len()
		case !quoted && (ch == '#' || ch == ';'):
			end := strings.IndexByte(c.rest[i:], '\n')
			if end < 0 {
				end = len(c.rest) - i
			}
			c.rest = c.rest[i+end:]
			return b.String()[:kept], nil
		case !quoted && (ch == ' ' || ch == '\t' || ch == '\r'):
			b.WriteByte(ch)
		default:
			b.WriteByte(ch)
			kept = b.Len()
		}
	}
}
