package configure

import (
	"fmt"
	"regexp"
	"strings"
)

// awkProgram is a parsed program: rules in order.
type awkProgram struct {
	rules []awkRule
}

type awkRule struct {
	begin, end bool
	pattern    *awkNode // nil: every line
	body       []*awkNode
	noBody     bool // print the line
}

// awkNode is an expression or a statement: an operator with operands.
type awkNode struct {
	op   string
	text string // of names, strings and numbers
	re   *regexp.Regexp
	kids []*awkNode
}

type awkToken struct {
	kind string // "num", "str", "re", "name", "op", "nl", "end"
	text string
	near bool // no space before it: a call's parenthesis
}

type awkParser struct {
	tokens []awkToken
	i      int
	depth  int
}

const awkOps = "&& || !~ == != <= >= ++ -- += -= ~ < > ! $ { } ( ) , ; = + - * / %"

// lexAwk splits a program; a slash starts an expression where an operand may
// stand.
func lexAwk(src string) ([]awkToken, error) {
	var tokens []awkToken
	operand := true
	for i := 0; i < len(src); {
		ch := src[i]
		near := i > 0 && strings.IndexByte(" \t\n", src[i-1]) < 0
		switch {
		case ch == ' ' || ch == '\t' || ch == '\\' && i+1 < len(src) && src[i+1] == '\n':
			i++
			if ch == '\\' {
				i++
			}
			continue
		case ch == '#':
			for i < len(src) && src[i] != '\n' {
				i++
			}
			continue
		case ch == '\n':
			tokens = append(tokens, awkToken{"nl", "\n", near})
			i, operand = i+1, true
			continue
		case ch == '"' || ch == '/' && operand:
			text, n, err := awkQuoted(src[i:])
			if err != nil {
				return nil, err
			}
			kind := "str"
			if ch == '/' {
				kind = "re"
			}
			tokens = append(tokens, awkToken{kind, text, near})
			i, operand = i+n, false
			continue
		case ch >= '0' && ch <= '9' || ch == '.':
			n := strings.IndexFunc(src[i:]+" ", func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
			tokens = append(tokens, awkToken{"num", src[i : i+n], near})
			i, operand = i+n, false
			continue
		case ch == '_' || ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z':
			n := strings.IndexFunc(src[i:]+" ", func(r rune) bool {
				return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
			})
			tokens = append(tokens, awkToken{"name", src[i : i+n], near})
			operand = src[i:i+n] == "print"
			i += n
			continue
		}
		op := ""
		for o := range strings.SplitSeq(awkOps, " ") {
			if strings.HasPrefix(src[i:], o) {
				op = o
				break
			}
		}
		if op == "" {
			return nil, fmt.Errorf("unexpected %q", ch)
		}
		tokens = append(tokens, awkToken{"op", op, near})
		i, operand = i+len(op), op != ")"
	}
	return append(tokens, awkToken{kind: "end"}), nil
}

// awkQuoted reads a string or an expression and returns how much it took.
func awkQuoted(src string) (string, int, error) {
	var b strings.Builder
	for i := 1; i < len(src); i++ {
		switch ch := src[i]; {
		case ch == src[0]:
			return b.String(), i + 1, nil
		case ch == '\\' && i+1 < len(src) && (src[0] == '"' || src[i+1] == '/'):
			if src[0] == '/' {
				i++
				b.WriteByte('/')
				continue
			}
			var c byte
			c, i = unescape([]byte(src), i+1)
			b.WriteByte(c)
		default:
			b.WriteByte(ch)
		}
	}
	return "", 0, fmt.Errorf("unterminated %q", src[0])
}

func parseAwk(src string) (*awkProgram, error) {
	tokens, err := lexAwk(src)
	if err != nil {
		return nil, err
	}
	p := &awkParser{tokens: tokens}
	prog := &awkProgram{}
	for p.skipLines(); p.peek().kind != "end"; p.skipLines() {
		r := awkRule{noBody: true}
		switch {
		case p.accept("BEGIN"):
			r.begin = true
		case p.accept("END"):
			r.end = true
		case p.peek().text != "{" || p.peek().kind != "op":
			if r.pattern, err = p.expr(); err != nil {
				return nil, err
			}
		}
		if p.peek().kind == "op" && p.peek().text == "{" {
			r.noBody = false
			if r.body, err = p.block(); err != nil {
				return nil, err
			}
		} else if r.begin || r.end {
			return nil, fmt.Errorf("want {")
		}
		prog.rules = append(prog.rules, r)
	}
	return prog, nil
}

func (p *awkParser) peek() awkToken { return p.tokens[p.i] }

func (p *awkParser) is(text string) bool {
	t := p.peek()
	return (t.kind == "op" || t.kind == "name") && t.text == text
}

func (p *awkParser) accept(text string) bool {
	if p.is(text) {
		p.i++
		return true
	}
	return false
}

func (p *awkParser) expect(text string) error {
	if !p.accept(text) {
		return fmt.Errorf("want %q, not %q", text, p.peek().text)
	}
	return nil
}

func (p *awkParser) skipLines() {
	for p.peek().kind == "nl" || p.peek().kind == "op" && p.peek().text == ";" {
		p.i++
	}
}

func (p *awkParser) block() ([]*awkNode, error) {
	if err := p.expect("{"); err != nil {
		return nil, err
	}
	var body []*awkNode
	for p.skipLines(); !p.accept("}"); p.skipLines() {
		s, err := p.statement()
		if err != nil {
			return nil, err
		}
		body = append(body, s)
	}
	return body, nil
}

func (p *awkParser) statement() (*awkNode, error) {
	if p.depth++; p.depth > 200 {
		return nil, fmt.Errorf("nests too deeply")
	}
	defer func() { p.depth-- }()
	switch {
	case p.is("{"):
		body, err := p.block()
		return &awkNode{op: "block", kids: body}, err
	case p.accept("if"):
		return p.conditional()
	case p.accept("print"):
		n := &awkNode{op: "print"}
		for !p.atEnd() {
			e, err := p.expr()
			if err != nil {
				return nil, err
			}
			n.kids = append(n.kids, e)
			if !p.accept(",") {
				break
			}
		}
		return n, p.ended()
	case p.accept("next"):
		return &awkNode{op: "next"}, p.ended()
	case p.accept("exit"):
		n := &awkNode{op: "exit"}
		if !p.atEnd() {
			e, err := p.expr()
			if err != nil {
				return nil, err
			}
			n.kids = []*awkNode{e}
		}
		return n, p.ended()
	}
	e, err := p.expr()
	if err != nil {
		return nil, err
	}
	return e, p.ended()
}

func (p *awkParser) conditional() (*awkNode, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	cond, err := p.expr()
	if err != nil {
		return nil, err
	}
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	p.skipLines()
	then, err := p.statement()
	if err != nil {
		return nil, err
	}
	n := &awkNode{op: "if", kids: []*awkNode{cond, then}}
	mark := p.i
	p.skipLines()
	if !p.accept("else") {
		p.i = mark
		return n, nil
	}
	p.skipLines()
	other, err := p.statement()
	n.kids = append(n.kids, other)
	return n, err
}

func (p *awkParser) atEnd() bool {
	t := p.peek()
	return t.kind == "end" || t.kind == "nl" || t.kind == "op" && (t.text == ";" || t.text == "}")
}

func (p *awkParser) ended() error {
	if !p.atEnd() {
		return fmt.Errorf("unexpected %q", p.peek().text)
	}
	return nil
}
