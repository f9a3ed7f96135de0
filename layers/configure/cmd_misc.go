package configure

import (
	"bytes"
	"context"
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

func cmdXargs(ctx context.Context, c *call) int {
	args := c.args
	null, ifAny, per, repl := false, false, 0, ""
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch a := args[0]; {
		case a == "-0" || a == "--null":
			null = true
		case a == "-r" || a == "--no-run-if-empty":
			ifAny = true
		case a == "-0r" || a == "-r0":
			null, ifAny = true, true
		case strings.HasPrefix(a, "-n"), strings.HasPrefix(a, "-L"):
			v := a[2:]
			if v == "" && len(args) > 1 {
				v, args = args[1], args[1:]
			}
			per, _ = strconv.Atoi(v) // zero, for no number, means all at once
		case strings.HasPrefix(a, "-I"):
			repl = a[2:]
			if repl == "" && len(args) > 1 {
				repl, args = args[1], args[1:]
			}
			per = 1
		default:
			return c.fail("unsupported option %s", a)
		}
		args = args[1:]
	}
	if len(args) == 0 {
		args = []string{"echo"}
	}
	b, err := c.readAll()
	if err != nil {
		return c.fail("%v", err)
	}
	var items []string
	switch {
	case null:
		items = strings.FieldsFunc(string(b), func(r rune) bool { return r == 0 })
	case repl != "":
		items = lines(b)
	default:
		items = strings.Fields(string(b))
	}
	if len(items) == 0 {
		if ifAny || repl != "" {
			return 0
		}
		return c.subcommand(ctx, args)
	}
	if per <= 0 {
		per = len(items)
	}
	result := 0
	for len(items) > 0 {
		n := min(per, len(items))
		argv := append(args[:len(args):len(args)], items[:n]...)
		if repl != "" {
			argv = nil
			for _, a := range args {
				argv = append(argv, strings.ReplaceAll(a, repl, items[0]))
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
	a, op, b := c.args[0], c.args[1], c.args[2]
	if op == ":" {
		re, err := compilePOSIX("^"+b, false, false)
		if err != nil {
			return 2
		}
		m := re.FindStringSubmatch(a)
		if re.NumSubexp() > 0 {
			if m == nil {
				m = []string{"", ""}
			}
			c.printf("%s\n", m[1])
			return status(m[1] != "")
		}
		n := 0
		if m != nil {
			n = len(m[0])
		}
		c.printf("%d\n", n)
		return status(n > 0)
	}
	x, errX := strconv.Atoi(a)
	y, errY := strconv.Atoi(b)
	cmp := strings.Compare(a, b)
	if errX == nil && errY == nil {
		cmp = x - y
	}
	truth := map[string]bool{"=": cmp == 0, "!=": cmp != 0, "<": cmp < 0, ">": cmp > 0, "<=": cmp <= 0, ">=": cmp >= 0}
	if t, ok := truth[op]; ok {
		c.printf("%d\n", 1-status(t))
		return status(t)
	}
	if errX != nil || errY != nil || y == 0 && (op == "/" || op == "%") {
		c.fail("bad operands %q", c.args)
		return 2
	}
	n := 0
	switch op {
	case "+":
		n = x + y
	case "-":
		n = x - y
	case "*":
		n = x * y
	case "/":
		n = x / y
	case "%":
		n = x % y
	default:
		c.fail("unsupported operator %q", op)
		return 2
	}
	c.printf("%d\n", n)
	return status(n != 0)
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
