package configure

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
)

// subcommand runs a command for another one, such as xargs.
func (c *call) subcommand(ctx context.Context, argv []string) int {
	sub := *c
	switch argv[0] {
	case "test", "[":
		return subTest(c, argv[1:])
	case "echo":
		argv = append([]string{"retort-echo"}, argv[1:]...)
	}
	sub.name, sub.args, sub.stdin = argv[0], argv[1:], nil
	if i := strings.LastIndexByte(argv[0], '/'); i >= 0 {
		sub.name = argv[0][i+1:]
	}
	code, err := c.dispatch(ctx, &sub, argv[0])
	if err != nil {
		return 126
	}
	return code
}

// subTest is test with one flag and a path.
func subTest(c *call, args []string) int {
	if len(args) < 2 {
		return 2
	}
	n, err := c.v.find(c.path(args[1]), args[0] != "-L" && args[0] != "-h")
	switch {
	case err != nil:
		return 1
	case args[0] == "-e", args[0] == "-r", args[0] == "-w":
		return 0
	case args[0] == "-x":
		return status(n.mode&0o111 != 0)
	}
	return status(args[0] == "-"+map[byte]string{'f': "f", 'd': "d", 'l': "L"}[byte(n.kind)])
}

// xargsOptions say how xargs reads its items and passes them on.
type xargsOptions struct {
	null, ifAny bool
	per         int    // items for one run; zero for all
	repl        string // what an item replaces, one a run
}

func parseXargs(args []string) (o xargsOptions, command []string, err error) {
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		a := args[0]
		args = args[1:]
		switch a {
		case "-0", "--null":
			o.null = true
			continue
		case "-r", "--no-run-if-empty":
			o.ifAny = true
			continue
		case "-0r", "-r0":
			o.null, o.ifAny = true, true
			continue
		}
		value := a[min(2, len(a)):]
		if value == "" && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		switch a[:min(2, len(a))] {
		case "-n", "-L":
			if o.per, err = strconv.Atoi(value); err != nil {
				return o, nil, err
			}
		case "-I":
			o.repl, o.per = value, 1
		default:
			return o, nil, fmt.Errorf("unsupported option %s", a)
		}
	}
	if len(args) == 0 {
		args = []string{"echo"}
	}
	return o, args, nil
}

// items splits what xargs reads.
func (o xargsOptions) items(text string) []string {
	switch {
	case o.null:
		return strings.FieldsFunc(text, func(r rune) bool { return r == 0 })
	case o.repl != "":
		return lines([]byte(text))
	}
	return strings.Fields(text)
}

func cmdXargs(ctx context.Context, c *call) int {
	o, args, err := parseXargs(c.args)
	if err != nil {
		return c.fail("%v", err)
	}
	b, err := c.readAll()
	if err != nil {
		return c.fail("%v", err)
	}
	items := o.items(string(b))
	if len(items) == 0 {
		if o.ifAny || o.repl != "" {
			return 0
		}
		return c.subcommand(ctx, args)
	}
	if o.per <= 0 {
		o.per = len(items)
	}
	result := 0
	for len(items) > 0 {
		n := min(o.per, len(items))
		argv := append(args[:len(args):len(args)], items[:n]...)
		if o.repl != "" {
			argv = nil
			for _, a := range args {
				argv = append(argv, strings.ReplaceAll(a, o.repl, items[0]))
			}
		}
		if c.subcommand(ctx, argv) != 0 {
			result = 123
		}
		items = items[n:]
	}
	return result
}

func cmdGetent(_ context.Context, c *call) int {
	if len(c.args) == 0 {
		return 1
	}
	file := map[string]string{"passwd": "/etc/passwd", "group": "/etc/group", "shadow": "/etc/shadow", "gshadow": "/etc/gshadow"}[c.args[0]]
	if file == "" {
		return 2
	}
	b, err := c.v.readFile(file)
	if err != nil {
		return 2
	}
	if len(c.args) == 1 {
		c.stdout.Write(b)
		return 0
	}
	result := 0
	for _, key := range c.args[1:] {
		found := false
		for _, l := range lines(b) {
			f := strings.Split(l, ":")
			if f[0] == key || len(f) > 2 && f[2] == key && (file == "/etc/passwd" || file == "/etc/group") {
				c.printf("%s\n", l)
				found = true
				break
			}
		}
		if !found {
			result = 2
		}
	}
	return result
}

func cmdID(_ context.Context, c *call) int {
	o := parseOptions(c.args)
	uid, gid, name := 0, 0, "root"
	if len(o.args) > 0 {
		name = o.args[0]
		var err error
		if uid, err = c.accounts().userID(name); err != nil {
			return c.fail("%v", err)
		}
		if gid, err = c.accounts().userGroup(name); err != nil {
			return c.fail("%v", err)
		}
	}
	switch {
	case o.has("u") && o.has("n"):
		c.printf("%s\n", name)
	case o.has("u"):
		c.printf("%d\n", uid)
	case o.has("g") && o.has("n"):
		c.printf("%s\n", c.accounts().groupName(gid))
	case o.has("g"), o.has("G"):
		c.printf("%d\n", gid)
	default:
		c.printf("uid=%d(%s) gid=%d(%s)\n", uid, name, gid, c.accounts().groupName(gid))
	}
	return 0
}

// cmdDate tells the one time there is: layers know no clock.
func cmdDate(_ context.Context, c *call) int {
	for _, a := range c.args {
		if strings.HasPrefix(a, "+") {
			c.printf("%s\n", strings.NewReplacer(
				"%s", "0", "%Y", "1970", "%m", "01", "%d", "01", "%H", "00", "%M", "00", "%S", "00",
				"%F", "1970-01-01", "%T", "00:00:00", "%%", "%").Replace(a[1:]))
			return 0
		}
	}
	c.printf("Thu Jan  1 00:00:00 UTC 1970\n")
	return 0
}

// cmdUname tells a kernel that every glibc accepts, and the tree's machine.
func cmdUname(_ context.Context, c *call) int {
	machine := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[c.in.Platform.Arch()]
	o := parseOptions(c.args)
	var out []string
	if o.has("s", "kernel-name", "a") || len(o.set) == 0 {
		out = append(out, "Linux")
	}
	if o.has("n", "nodename", "a") {
		out = append(out, "localhost")
	}
	if o.has("r", "kernel-release", "a") {
		out = append(out, "6.1.0")
	}
	if o.has("m", "machine", "p", "i", "a") {
		out = append(out, machine)
	}
	c.printf("%s\n", strings.Join(out, " "))
	return 0
}

func cmdExpr(_ context.Context, c *call) int {
	if len(c.args) == 1 {
		c.printf("%s\n", c.args[0])
		return status(c.args[0] != "" && c.args[0] != "0")
	}
	if len(c.args) != 3 {
		c.fail("unsupported expression %q", c.args)
		return 2
	}
	value, ok := expression(c.args[0], c.args[1], c.args[2])
	if !ok {
		c.fail("unsupported expression %q", c.args)
		return 2
	}
	c.printf("%s\n", value)
	return status(value != "" && value != "0")
}

// expression evaluates one operator of expr.
func expression(a, op, b string) (string, bool) {
	if op == ":" {
		return matchPrefix(a, b)
	}
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	numeric := errX == nil && errY == nil
	cmp := strings.Compare(a, b)
	if numeric {
		cmp = x - y
	}
	truth := map[string]bool{"=": cmp == 0, "!=": cmp != 0, "<": cmp < 0, ">": cmp > 0, "<=": cmp <= 0, ">=": cmp >= 0}
	if t, ok := truth[op]; ok {
		return boolean(t), true
	}
	if !numeric || y == 0 && (op == "/" || op == "%") {
		return "", false
	}
	switch op {
	case "+":
		return strconv.Itoa(x + y), true
	case "-":
		return strconv.Itoa(x - y), true
	case "*":
		return strconv.Itoa(x * y), true
	case "/":
		return strconv.Itoa(x / y), true
	case "%":
		return strconv.Itoa(x % y), true
	}
	return "", false
}

// matchPrefix is the colon of expr: the group of an expression that matches
// from the start on, or the length of the match.
func matchPrefix(text, expr string) (string, bool) {
	re, err := compilePOSIX("^"+expr, false, false)
	if err != nil {
		return "", false
	}
	m := re.FindStringSubmatch(text)
	switch {
	case re.NumSubexp() > 0 && m == nil:
		return "", true
	case re.NumSubexp() > 0:
		return m[1], true
	case m == nil:
		return "0", true
	}
	return strconv.Itoa(len(m[0])), true
}

func cmdSeq(_ context.Context, c *call) int {
	first, last := 1, 0
	var err error
	if len(c.args) > 1 {
		first, err = strconv.Atoi(c.args[0])
	}
	if err == nil && len(c.args) > 0 {
		last, err = strconv.Atoi(c.args[len(c.args)-1])
	}
	if err != nil || len(c.args) == 0 || len(c.args) > 2 || last-first > 1<<16 {
		return c.fail("unsupported arguments %q", c.args)
	}
	for ; first <= last; first++ {
		c.printf("%d\n", first)
	}
	return 0
}

// cmdEcho is dash's echo, which reads escapes.
func cmdEcho(_ context.Context, c *call) int {
	args, end := c.args, "\n"
	if len(args) > 0 && args[0] == "-n" {
		args, end = args[1:], ""
	}
	text := []byte(strings.Join(args, " "))
	var out bytes.Buffer
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		next := text[i+1]
		switch {
		case next == 'c':
			c.stdout.Write(out.Bytes())
			return 0
		case strings.IndexByte(`nrtfv\0`, next) >= 0:
			var ch byte
			ch, i = unescape(text, i+1)
			out.WriteByte(ch)
		default:
			out.WriteByte('\\')
		}
	}
	out.WriteString(end)
	c.stdout.Write(out.Bytes())
	return 0
}

func cmdUmask(_ context.Context, c *call) int {
	if len(c.args) == 0 {
		c.printf("%04o\n", c.umask.Load())
		return 0
	}
	n, err := strconv.ParseUint(c.args[0], 8, 12)
	if err != nil {
		return c.fail("unsupported mask %q", c.args[0])
	}
	c.umask.Store(uint32(n))
	return 0
}

func cmdTrue(context.Context, *call) int  { return 0 }
func cmdFalse(context.Context, *call) int { return 1 }

// cmdBuiltinIgnored stands for shell built-ins without meaning here.
func cmdBuiltinIgnored(_ context.Context, c *call) int {
	c.ignore(c.args[0], "there are no processes, limits or histories here")
	return 0
}
