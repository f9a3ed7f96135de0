package configure

import (
	"fmt"
	"strconv"
)

// awkLevels are the binary operators from the loosest to the tightest; the
// empty one is concatenation.
var awkLevels = [][]string{{"||"}, {"&&"}, {"~", "!~"}, {"<", "<=", "==", "!=", ">", ">="}, {""}, {"+", "-"}, {"*", "/", "%"}}

func (p *awkParser) expr() (*awkNode, error) {
	if p.depth++; p.depth > 200 {
		return nil, fmt.Errorf("nests too deeply")
	}
	defer func() { p.depth-- }()
	left, err := p.binary(0)
	if err != nil {
		return nil, err
	}
	for _, op := range []string{"=", "+=", "-="} {
		if (left.op == "name" || left.op == "$") && p.accept(op) {
			right, err := p.expr()
			return &awkNode{op: op, kids: []*awkNode{left, right}}, err
		}
	}
	return left, nil
}

func (p *awkParser) binary(level int) (*awkNode, error) {
	if level == len(awkLevels) {
		return p.unary()
	}
	left, err := p.binary(level + 1)
	if err != nil {
		return nil, err
	}
	for {
		op, ok := p.operator(awkLevels[level])
		if !ok {
			return left, nil
		}
		right, err := p.binary(level + 1)
		if err != nil {
			return nil, err
		}
		left = &awkNode{op: op, kids: []*awkNode{left, right}}
	}
}

func (p *awkParser) operator(ops []string) (string, bool) {
	t := p.peek()
	if ops[0] == "" {
		operand := t.kind == "str" || t.kind == "num" || t.kind == "name" && t.text != "else" || t.kind == "op" && (t.text == "$" || t.text == "(")
		return "concat", operand
	}
	for _, op := range ops {
		if t.kind == "op" && t.text == op {
			p.i++
			return op, true
		}
	}
	return "", false
}

func (p *awkParser) unary() (*awkNode, error) {
	for _, op := range []string{"!", "-", "$"} {
		if t := p.peek(); t.kind == "op" && t.text == op {
			p.i++
			if p.depth++; p.depth > 200 {
				return nil, fmt.Errorf("nests too deeply")
			}
			e, err := p.unary()
			p.depth--
			return &awkNode{op: map[string]string{"!": "not", "-": "neg", "$": "$"}[op], kids: []*awkNode{e}}, err
		}
	}
	t := p.peek()
	p.i++
	switch {
	case t.kind == "num":
		if _, err := strconv.ParseFloat(t.text, 64); err != nil {
			return nil, err
		}
		return &awkNode{op: "num", text: t.text}, nil
	case t.kind == "str":
		return &awkNode{op: "str", text: t.text}, nil
	case t.kind == "re":
		re, err := compilePOSIX(t.text, true, false)
		return &awkNode{op: "re", re: re, text: t.text}, err
	case t.kind == "op" && t.text == "(":
		e, err := p.expr()
		if err != nil {
			return nil, err
		}
		return &awkNode{op: "group", kids: []*awkNode{e}}, p.expect(")")
	case t.kind == "name":
		return p.name(t.text)
	}
	p.i--
	return nil, fmt.Errorf("unexpected %q", t.text)
}

func (p *awkParser) name(name string) (*awkNode, error) {
	switch name {
	case "while", "for", "do", "function", "getline", "printf", "delete", "return", "in":
		return nil, fmt.Errorf("unsupported %q", name)
	}
	t := p.peek()
	if t.kind != "op" || t.text != "(" || !t.near {
		if (t.text == "++" || t.text == "--") && t.kind == "op" {
			p.i++
			return &awkNode{op: t.text, text: name}, nil
		}
		return &awkNode{op: "name", text: name}, nil
	}
	switch name {
	case "length", "tolower", "toupper", "index", "substr", "sub", "gsub":
	default:
		return nil, fmt.Errorf("unsupported function %q", name)
	}
	p.i++
	n := &awkNode{op: "call", text: name}
	for !p.accept(")") {
		e, err := p.expr()
		if err != nil {
			return nil, err
		}
		n.kids = append(n.kids, e)
		if !p.accept(",") && !p.is(")") {
			return nil, fmt.Errorf("want ) after %s(", name)
		}
	}
	return n, nil
}
