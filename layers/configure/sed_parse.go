package configure

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// sedCommand is one command of a sed script with its addresses.
type sedCommand struct {
	from, to *sedAddress
	negate   bool
	op       byte
	block    []sedCommand   // of {
	re       *regexp.Regexp // of s
	repl     string
	global   bool
	nth      int
	print    bool
	text     string // of a, i, c
	table    []rune // of y: pairs
	active   *bool  // whether the range is open
	end      *int   // line at which a range by number ends
}

type sedAddress struct {
	line int // 0 when not a number
	last bool
	re   *regexp.Regexp
	plus int // +N after a first address
}

type sedParser struct {
	s        string
	i        int
	extended bool
}

func parseSed(script string, extended bool) ([]sedCommand, error) {
	p := &sedParser{s: script, extended: extended}
	cmds, err := p.commands(false, 0)
	if err != nil {
		return nil, fmt.Errorf("expression at byte %d: %w", p.i, err)
	}
	return cmds, nil
}

func (p *sedParser) skip(set string) {
	for p.i < len(p.s) && strings.IndexByte(set, p.s[p.i]) >= 0 {
		p.i++
	}
}

func (p *sedParser) commands(inBlock bool, depth int) ([]sedCommand, error) {
	if depth > 32 {
		return nil, fmt.Errorf("blocks nest too deeply")
	}
	var cmds []sedCommand
	for {
		p.skip(" \t\n;")
		if p.i >= len(p.s) {
			if inBlock {
				return nil, fmt.Errorf("unmatched {")
			}
			return cmds, nil
		}
		switch p.s[p.i] {
		case '}':
			p.i++
			if !inBlock {
				return nil, fmt.Errorf("unexpected }")
			}
			return cmds, nil
		case '#':
			for p.i < len(p.s) && p.s[p.i] != '\n' {
				p.i++
			}
			continue
		}
		cmd, err := p.command(depth)
		if err != nil {
			return nil, err
		}
		cmds = append(cmds, cmd)
	}
}

func (p *sedParser) command(depth int) (cmd sedCommand, err error) {
	cmd.active, cmd.end = new(bool), new(int)
	if cmd.from, err = p.address(); err != nil {
		return cmd, err
	}
	p.skip(" \t")
	if cmd.from != nil && p.i < len(p.s) && p.s[p.i] == ',' {
		p.i++
		p.skip(" \t")
		if cmd.to, err = p.address(); err != nil {
			return cmd, err
		}
		if cmd.to == nil {
			return cmd, fmt.Errorf("unexpected ,")
		}
	}
	p.skip(" \t")
	for p.i < len(p.s) && p.s[p.i] == '!' {
		cmd.negate = true
		p.i++
		p.skip(" \t")
	}
	if p.i >= len(p.s) {
		return cmd, fmt.Errorf("missing command")
	}
	cmd.op = p.s[p.i]
	p.i++
	switch cmd.op {
	case '{':
		cmd.block, err = p.commands(true, depth+1)
		return cmd, err
	case 's':
		return cmd, p.substitute(&cmd)
	case 'y':
		return cmd, p.transliterate(&cmd)
	case 'a', 'i', 'c':
		cmd.text = p.textArgument()
		return cmd, nil
	case 'p', 'd', 'q', 'n', '=':
		return cmd, nil
	}
	return cmd, fmt.Errorf("unsupported command %q", cmd.op)
}

func (p *sedParser) address() (*sedAddress, error) {
	if p.i >= len(p.s) {
		return nil, nil
	}
	a := &sedAddress{}
	ch := p.s[p.i]
	switch {
	case ch == '$':
		p.i++
		a.last = true
	case ch >= '0' && ch <= '9', ch == '+':
		start := p.i
		if ch == '+' {
			p.i++
			start++
		}
		for p.i < len(p.s) && p.s[p.i] >= '0' && p.s[p.i] <= '9' {
			p.i++
		}
		n, err := strconv.Atoi(p.s[start:p.i])
		if err != nil {
			return nil, err
		}
		if ch == '+' {
			a.plus = n
		} else {
			a.line = n
		}
	case ch == '/' || ch == '\\':
		if ch == '\\' {
			p.i++
		}
		if p.i >= len(p.s) {
			return nil, fmt.Errorf("unterminated address")
		}
		expr, err := p.delimited(p.s[p.i])
		if err != nil {
			return nil, err
		}
		fold := p.i < len(p.s) && p.s[p.i] == 'I'
		if fold {
			p.i++
		}
		if a.re, err = compilePOSIX(expr, p.extended, fold); err != nil {
			return nil, err
		}
	default:
		return nil, nil
	}
	return a, nil
}

// delimited reads from the delimiter at the current byte to the next one.
func (p *sedParser) delimited(delim byte) (string, error) {
	var b strings.Builder
	for p.i++; p.i < len(p.s); p.i++ {
		switch ch := p.s[p.i]; {
		case ch == delim:
			p.i++
			return b.String(), nil
		case ch == '\\' && p.i+1 < len(p.s):
			p.i++
			if p.s[p.i] == delim {
				b.WriteByte(delim)
			} else {
				b.WriteString(p.s[p.i-1 : p.i+1])
			}
		case ch == '[':
			end := bracketEnd(p.s, p.i)
			if end < 0 || strings.IndexByte(p.s[p.i:end], '\n') >= 0 {
				b.WriteByte(ch)
				break
			}
			b.WriteString(p.s[p.i : end+1])
			p.i = end
		default:
			b.WriteByte(ch)
		}
	}
	return "", fmt.Errorf("unterminated %q", delim)
}

// replacement reads the second part of an s command, where brackets mean
// nothing.
func (p *sedParser) replacement(delim byte) (string, error) {
	var b strings.Builder
	for ; p.i < len(p.s); p.i++ {
		ch := p.s[p.i]
		if ch == delim {
			p.i++
			return b.String(), nil
		}
		if ch == '\\' && p.i+1 < len(p.s) {
			p.i++
			if p.s[p.i] == delim && delim != '&' {
				b.WriteByte(delim)
				continue
			}
			b.WriteByte('\\')
		}
		b.WriteByte(p.s[p.i])
	}
	return "", fmt.Errorf("unterminated %q", delim)
}

func (p *sedParser) substitute(cmd *sedCommand) error {
	if p.i >= len(p.s) {
		return fmt.Errorf("unterminated s")
	}
	delim := p.s[p.i]
	expr, err := p.delimited(delim)
	if err != nil {
		return err
	}
	if cmd.repl, err = p.replacement(delim); err != nil {
		return err
	}
	fold := false
	for ; p.i < len(p.s) && strings.IndexByte(" \t\n;}", p.s[p.i]) < 0; p.i++ {
		switch ch := p.s[p.i]; {
		case ch == 'g':
			cmd.global = true
		case ch == 'p':
			cmd.print = true
		case ch == 'i' || ch == 'I':
			fold = true
		case ch >= '1' && ch <= '9':
			cmd.nth = cmd.nth*10 + int(ch-'0')
		default:
			return fmt.Errorf("unsupported flag %q", ch)
		}
	}
	if expr == "" {
		return nil // the last expression used
	}
	cmd.re, err = compilePOSIX(expr, p.extended, fold)
	return err
}

func (p *sedParser) transliterate(cmd *sedCommand) error {
	if p.i >= len(p.s) {
		return fmt.Errorf("unterminated y")
	}
	delim := p.s[p.i]
	from, err := p.delimited(delim)
	if err != nil {
		return err
	}
	to, err := p.replacement(delim)
	if err != nil {
		return err
	}
	f, t := []rune(from), []rune(to)
	if len(f) != len(t) {
		return fmt.Errorf("strings of y differ in length")
	}
	for i := range f {
		cmd.table = append(cmd.table, f[i], t[i])
	}
	return nil
}

// textArgument reads what a, i and c insert: the rest of the line, or the next
// lines after a backslash.
func (p *sedParser) textArgument() string {
	p.skip(" \t")
	if strings.HasPrefix(p.s[p.i:], "\\\n") {
		p.i += 2
	} else if strings.HasPrefix(p.s[p.i:], `\`) {
		p.i++
	}
	var b strings.Builder
	for ; p.i < len(p.s) && p.s[p.i] != '\n'; p.i++ {
		if p.s[p.i] == '\\' && p.i+1 < len(p.s) {
			p.i++
		}
		b.WriteByte(p.s[p.i])
	}
	return b.String()
}
