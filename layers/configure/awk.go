package configure

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// cmdAwk runs a program of rules, conditions, assignments and print; loops,
// arrays and functions, which no maintainer script needed yet, are reported as
// unknown.
func cmdAwk(_ context.Context, c *call) int {
	a := &awk{vars: map[string]string{"FS": " ", "OFS": " "}, print: func(s string) { c.printf("%s\n", s) }}
	args := c.args
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		opt, value := args[0], ""
		args = args[1:]
		if opt == "--" {
			break
		}
		if value = opt[2:]; value == "" && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		switch opt[:2] {
		case "-F":
			a.vars["FS"] = value
		case "-v":
			name, v, _ := strings.Cut(value, "=")
			a.vars[name] = v
		default:
			return c.fail("unsupported option %s", opt)
		}
	}
	if len(args) == 0 {
		return c.fail("missing program")
	}
	prog, err := parseAwk(args[0])
	if err != nil {
		c.unknown("awk " + args[0])
		c.fail("%v", err)
		return 2
	}
	input, ok := c.input(args[1:], false)
	if err := a.run(prog, lines(input)); err != nil {
		c.fail("%v", err)
		return 2
	}
	if a.code != 0 {
		return a.code
	}
	return status(ok)
}

// awk is the state of a run.
type awk struct {
	vars   map[string]string
	line   string
	fields []string
	print  func(string)
	code   int
}

var (
	errAwkNext = errors.New("next")
	errAwkExit = errors.New("exit")
)

func (a *awk) run(prog *awkProgram, input []string) error {
	err := a.rules(prog, func(r awkRule) bool { return r.begin })
	for i, line := range input {
		if err != nil {
			break
		}
		a.setLine(line)
		a.vars["NR"] = strconv.Itoa(i + 1)
		err = a.rules(prog, func(r awkRule) bool {
			return !r.begin && !r.end && (r.pattern == nil || a.truth(r.pattern))
		})
	}
	if err == nil {
		err = a.rules(prog, func(r awkRule) bool { return r.end })
	}
	if errors.Is(err, errAwkExit) {
		return nil
	}
	return err
}

func (a *awk) rules(prog *awkProgram, applies func(awkRule) bool) error {
	for _, r := range prog.rules {
		if !applies(r) {
			continue
		}
		if r.noBody {
			a.print(a.line)
			continue
		}
		for _, s := range r.body {
			if err := a.statement(s); errors.Is(err, errAwkNext) {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *awk) setLine(line string) {
	a.line = line
	switch sep := a.vars["FS"]; {
	case sep == " ":
		a.fields = strings.Fields(line)
	case line == "":
		a.fields = nil
	case utf8.RuneCountInString(sep) == 1:
		a.fields = strings.Split(line, sep)
	default:
		if re, err := compilePOSIX(sep, true, false); err == nil {
			a.fields = re.Split(line, -1)
		} else {
			a.fields = []string{line}
		}
	}
}

func (a *awk) statement(n *awkNode) error {
	switch n.op {
	case "block":
		for _, k := range n.kids {
			if err := a.statement(k); err != nil {
				return err
			}
		}
	case "if":
		if a.truth(n.kids[0]) {
			return a.statement(n.kids[1])
		}
		if len(n.kids) > 2 {
			return a.statement(n.kids[2])
		}
	case "print":
		if len(n.kids) == 0 {
			a.print(a.line)
			return nil
		}
		var words []string
		for _, k := range n.kids {
			words = append(words, a.eval(k))
		}
		a.print(strings.Join(words, a.vars["OFS"]))
	case "next":
		return errAwkNext
	case "exit":
		if len(n.kids) > 0 {
			a.code = int(leadingNumber(a.eval(n.kids[0]))) & 0xff
		}
		return errAwkExit
	default:
		a.eval(n)
	}
	return nil
}

// truth is a node as a condition: strings are true when not empty, what looks
// like a number when not zero.
func (a *awk) truth(n *awkNode) bool {
	switch n.op {
	case "re":
		return n.re.MatchString(a.line)
	case "str":
		return n.text != ""
	case "group":
		return a.truth(n.kids[0])
	}
	v := a.eval(n)
	if f, err := strconv.ParseFloat(strings.TrimSpace(v), 64); err == nil {
		return f != 0
	}
	return v != ""
}

func boolean(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func formatNumber(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }

func (a *awk) eval(n *awkNode) string {
	switch n.op {
	case "num", "str":
		return n.text
	case "group":
		return a.eval(n.kids[0])
	case "re":
		return boolean(n.re.MatchString(a.line))
	case "name":
		if n.text == "NF" {
			return strconv.Itoa(len(a.fields))
		}
		return a.vars[n.text]
	case "$":
		i := int(leadingNumber(a.eval(n.kids[0])))
		switch {
		case i == 0:
			return a.line
		case i > 0 && i <= len(a.fields):
			return a.fields[i-1]
		}
		return ""
	case "not":
		return boolean(!a.truth(n.kids[0]))
	case "neg":
		return formatNumber(-leadingNumber(a.eval(n.kids[0])))
	case "&&":
		return boolean(a.truth(n.kids[0]) && a.truth(n.kids[1]))
	case "||":
		return boolean(a.truth(n.kids[0]) || a.truth(n.kids[1]))
	case "~", "!~":
		return boolean(a.match(n.kids[0], n.kids[1]) == (n.op == "~"))
	case "++", "--":
		old := leadingNumber(a.vars[n.text])
		a.vars[n.text] = formatNumber(old + map[string]float64{"++": 1, "--": -1}[n.op])
		return formatNumber(old)
	case "=", "+=", "-=":
		return a.assign(n)
	case "call":
		return a.call(n)
	}
	return a.binary(n.op, n.kids[0], n.kids[1])
}

func (a *awk) match(left, right *awkNode) bool {
	text := a.eval(left)
	for right.op == "group" {
		right = right.kids[0]
	}
	if right.op == "re" {
		return right.re.MatchString(text)
	}
	re, err := compilePOSIX(a.eval(right), true, false)
	return err == nil && re.MatchString(text)
}

func (a *awk) binary(op string, left, right *awkNode) string {
	x, y := a.eval(left), a.eval(right)
	if op == "concat" {
		if len(x)+len(y) > 1<<20 {
			return x // nothing that a script prints is this long
		}
		return x + y
	}
	fx, fy := leadingNumber(x), leadingNumber(y)
	switch op {
	case "+":
		return formatNumber(fx + fy)
	case "-":
		return formatNumber(fx - fy)
	case "*":
		return formatNumber(fx * fy)
	case "/":
		if fy == 0 {
			return "0"
		}
		return formatNumber(fx / fy)
	case "%":
		if int(fy) == 0 {
			return "0"
		}
		return formatNumber(float64(int(fx) % int(fy)))
	}
	cmp := strings.Compare(x, y)
	if looksNumeric(x) && looksNumeric(y) && left.op != "str" && right.op != "str" {
		switch {
		case fx < fy:
			cmp = -1
		case fx > fy:
			cmp = 1
		default:
			cmp = 0
		}
	}
	return boolean(map[string]bool{"<": cmp < 0, "<=": cmp <= 0, "==": cmp == 0, "!=": cmp != 0, ">": cmp > 0, ">=": cmp >= 0}[op])
}

// looksNumeric holds for numbers and for what was never set, which is zero.
func looksNumeric(s string) bool {
	_, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return err == nil || s == ""
}

func (a *awk) assign(n *awkNode) string {
	value := a.eval(n.kids[1])
	if n.op != "=" {
		sign := map[string]float64{"+=": 1, "-=": -1}[n.op]
		value = formatNumber(leadingNumber(a.eval(n.kids[0])) + sign*leadingNumber(value))
	}
	target := n.kids[0]
	if target.op == "name" {
		a.vars[target.text] = value
		return value
	}
	i := int(leadingNumber(a.eval(target.kids[0])))
	switch {
	case i == 0:
		a.setLine(value)
	case i > 0 && i <= 1000:
		for len(a.fields) < i {
			a.fields = append(a.fields, "")
		}
		a.fields[i-1] = value
		a.line = strings.Join(a.fields, a.vars["OFS"])
	}
	return value
}

func (a *awk) call(n *awkNode) string {
	arg := func(i int) string {
		if i < len(n.kids) {
			return a.eval(n.kids[i])
		}
		return ""
	}
	switch n.text {
	case "length":
		if len(n.kids) == 0 {
			return strconv.Itoa(utf8.RuneCountInString(a.line))
		}
		return strconv.Itoa(utf8.RuneCountInString(arg(0)))
	case "tolower":
		return strings.ToLower(arg(0))
	case "toupper":
		return strings.ToUpper(arg(0))
	case "index":
		return strconv.Itoa(strings.Index(arg(0), arg(1)) + 1)
	case "substr":
		r := []rune(arg(0))
		from := int(leadingNumber(arg(1)))
		to := len(r) + 1
		if len(n.kids) > 2 {
			to = min(to, from+int(leadingNumber(arg(2))))
		}
		from = max(from, 1)
		if from >= to || from > len(r) {
			return ""
		}
		return string(r[from-1 : to-1])
	}
	return a.replace(n) // sub and gsub: the parser lets no other through
}

// replace is sub and gsub on the line or on a variable or field.
func (a *awk) replace(n *awkNode) string {
	if len(n.kids) < 2 {
		return "0"
	}
	re := n.kids[0].re
	if re == nil {
		var err error
		if re, err = regexp.Compile(regexp.QuoteMeta(a.eval(n.kids[0]))); err != nil {
			return "0"
		}
	}
	target := &awkNode{op: "$", kids: []*awkNode{{op: "num", text: "0"}}}
	if len(n.kids) > 2 {
		target = n.kids[2]
	}
	count := 0
	with := a.eval(n.kids[1])
	out := re.ReplaceAllStringFunc(a.eval(target), func(m string) string {
		if count > 0 && n.text == "sub" {
			return m
		}
		count++
		return strings.ReplaceAll(strings.ReplaceAll(with, `\&`, "\x00"), "&", m)
	})
	if count > 0 && (target.op == "name" || target.op == "$") {
		a.assign(&awkNode{op: "=", kids: []*awkNode{target, {op: "str", text: strings.ReplaceAll(out, "\x00", "&")}}})
	}
	return strconv.Itoa(count)
}
