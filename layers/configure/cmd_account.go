package configure

import (
	"context"
	"strconv"
	"strings"
)

const noLogin = "/usr/sbin/nologin"

func cmdAdduser(_ context.Context, c *call) int {
	o := parseOptions(c.args, "home", "shell", "gecos", "comment", "uid", "gid", "ingroup", "conf", "firstuid", "lastuid", "firstgid", "lastgid", "add-extra-groups")
	if len(o.args) == 0 {
		return c.fail("missing name")
	}
	name := o.args[0]
	if len(o.args) == 2 {
		return c.report(c.join(name, o.args[1]))
	}
	gid, uid := number(o, "gid"), number(o, "uid")
	if c.name == "addgroup" || o.has("group") && !o.has("system") {
		_, err := c.addGroup(name, gid, c.shell.pkg.Name)
		return c.report(err)
	}
	if lookup(c.accounts().users, 0, name) != nil {
		return 0
	}
	u := newUser{name: name, home: o.value("home"), shell: o.value("shell"), gecos: o.value("gecos", "comment"), uid: uid, gid: gid}
	if u.home == "" {
		u.home = "/nonexistent"
	}
	if u.shell == "" {
		u.shell = noLogin
	}
	var err error
	switch {
	case o.has("ingroup"):
		u.gid, err = c.accounts().groupID(o.value("ingroup"))
	case o.has("group"):
		u.gid, err = c.addGroup(name, gid, c.shell.pkg.Name)
	case gid < 0:
		u.gid, err = c.accounts().groupID("nogroup")
	}
	if err == nil {
		err = c.addUser(u, c.shell.pkg.Name)
	}
	if err == nil && !o.has("no-create-home") && u.home != "/nonexistent" {
		err = c.makeHome(name, u.home)
	}
	return c.report(err)
}

func (c *call) report(err error) int {
	if err != nil {
		return c.fail("%v", err)
	}
	return 0
}

// number is a numeric option, or -1.
func number(o options, names ...string) int {
	if n, err := strconv.ParseUint(o.value(names...), 10, 31); err == nil {
		return int(n)
	}
	return -1
}

func (c *call) makeHome(name, home string) error {
	if c.v.exists(home) {
		return nil
	}
	a := c.accounts()
	uid, err := a.userID(name)
	if err != nil {
		return err
	}
	gid, err := a.userGroup(name)
	if err != nil {
		return err
	}
	if err := c.v.mkdirAll(home, 0o755); err != nil {
		return err
	}
	return c.v.change(home, true, func(n *node) { n.uid, n.gid = uid, gid })
}

func cmdUseradd(_ context.Context, c *call) int {
	o := parseOptions(c.args, "b", "c", "comment", "d", "home-dir", "home", "e", "f", "g", "gid", "G", "groups", "k", "K", "p", "password", "s", "shell", "u", "uid")
	if len(o.args) != 1 {
		return c.fail("want one name")
	}
	name := o.args[0]
	if lookup(c.accounts().users, 0, name) != nil {
		c.fail("user '%s' already exists", name)
		return 9
	}
	u := newUser{name: name, home: o.value("d", "home-dir", "home"), shell: o.value("s", "shell"), gecos: o.value("c", "comment"), uid: number(o, "u", "uid")}
	if u.home == "" {
		u.home = "/home/" + name
	}
	if u.shell == "" {
		u.shell = "/bin/sh"
	}
	var err error
	switch g := o.value("g", "gid"); {
	case g != "":
		u.gid, err = c.accounts().groupID(g)
	case o.has("N", "no-user-group"):
		u.gid = 100
	default:
		u.gid, err = c.addGroup(name, -1, c.shell.pkg.Name)
	}
	if err == nil {
		err = c.addUser(u, c.shell.pkg.Name)
	}
	for _, g := range splitList(o.value("G", "groups")) {
		if err == nil {
			err = c.join(name, g)
		}
	}
	if err == nil && o.has("m", "create-home") {
		err = c.makeHome(name, u.home)
	}
	return c.report(err)
}

func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

func cmdGroupadd(_ context.Context, c *call) int {
	o := parseOptions(c.args, "g", "gid", "K", "p", "password")
	if len(o.args) != 1 {
		return c.fail("want one name")
	}
	if lookup(c.accounts().groups, 0, o.args[0]) != nil {
		if o.has("f", "force") {
			return 0
		}
		c.fail("group '%s' already exists", o.args[0])
		return 9
	}
	_, err := c.addGroup(o.args[0], number(o, "g", "gid"), c.shell.pkg.Name)
	return c.report(err)
}

func cmdUsermod(_ context.Context, c *call) int {
	o := parseOptions(c.args, "c", "comment", "d", "home", "s", "shell", "G", "groups", "g", "gid", "u", "uid", "a", "e", "p")
	name := ""
	if c.name == "gpasswd" {
		if len(o.args) == 1 && o.has("a") {
			return c.report(c.join(o.value("a"), o.args[0]))
		}
		return c.fail("unsupported arguments %q", c.args)
	}
	// usermod's -a has no argument; it was read as one.
	o = parseOptions(c.args, "c", "comment", "d", "home", "s", "shell", "G", "groups", "g", "gid", "u", "uid", "e", "p")
	if len(o.args) != 1 {
		return c.fail("want one name")
	}
	name = o.args[0]
	for _, g := range splitList(o.value("G", "groups")) {
		if err := c.join(name, g); err != nil {
			return c.fail("%v", err)
		}
	}
	a := c.accounts()
	r := lookup(a.users, 0, name)
	if len(r) < 7 {
		c.fail("user '%s' does not exist", name)
		return 6
	}
	for column, names := range map[int][]string{2: {"u", "uid"}, 4: {"c", "comment"}, 5: {"d", "home"}, 6: {"s", "shell"}} {
		if o.has(names...) {
			r[column] = o.value(names...)
		}
	}
	return c.report(c.save("/etc/passwd", a.users, 0o644))
}

// cmdShadow moves the passwords of a table to its shadow file. The day of the
// last change stays empty, because layers know no clock.
func cmdShadow(_ context.Context, c *call) int {
	file, shadow, tail := "/etc/passwd", "/etc/shadow", []string{"", "0", "99999", "7", "", "", ""}
	if c.name == "grpconv" {
		file, shadow, tail = "/etc/group", "/etc/gshadow", []string{"", ""}
	}
	rows := c.table(file)
	old := c.table(shadow)
	var made [][]string
	for _, r := range rows {
		if len(r) < 4 {
			return c.fail("%s: bad line %q", file, strings.Join(r, ":"))
		}
		if s := lookup(old, 0, r[0]); s != nil {
			made = append(made, s)
		} else {
			row := append([]string{r[0], r[1]}, tail...)
			if c.name == "grpconv" {
				row[3] = r[3]
			}
			made = append(made, row)
		}
		r[1] = "x"
	}
	err := c.save(shadow, made, 0o640)
	if err == nil {
		err = c.save(file, rows, 0o644)
	}
	return c.report(err)
}

// cmdSysusers makes the accounts of sysusers.d(5) files.
func cmdSysusers(_ context.Context, c *call) int {
	o := parseOptions(c.args, "root", "replace")
	names := o.args
	if len(names) == 0 {
		all, err := c.v.list("/usr/lib/sysusers.d")
		if err != nil {
			return 0
		}
		names = all
	}
	var failed error
	for _, name := range names {
		p := name
		if !strings.Contains(name, "/") {
			p = "/usr/lib/sysusers.d/" + name
		}
		b, err := c.v.readFile(c.path(p))
		if err != nil {
			failed = err
			continue
		}
		for _, l := range lines(b) {
			if err := c.sysuser(l); err != nil {
				failed = err
			}
		}
	}
	return c.report(failed)
}

func (c *call) sysuser(line string) error {
	f := quotedFields(line)
	if len(f) < 2 || strings.HasPrefix(f[0], "#") {
		return nil
	}
	for len(f) < 6 {
		f = append(f, "-")
	}
	for i := range f {
		if f[i] == "-" {
			f[i] = ""
		}
	}
	pkg := c.shell.pkg.Name
	id, group, _ := strings.Cut(f[2], ":")
	uid, err := strconv.Atoi(id)
	if err != nil {
		uid = -1
	}
	switch strings.TrimRight(f[0], "!+") {
	case "g":
		_, err := c.addGroup(f[1], uid, pkg)
		return err
	case "m":
		return c.join(f[1], f[2])
	case "u":
		gid := uid
		if group != "" {
			if gid, err = c.accounts().groupID(group); err != nil {
				return err
			}
		} else if gid, err = c.addGroup(f[1], uid, pkg); err != nil {
			return err
		}
		u := newUser{name: f[1], gecos: f[3], home: f[4], shell: f[5], uid: uid, gid: gid}
		if u.home == "" {
			u.home = "/"
		}
		if u.shell == "" {
			u.shell = noLogin
		}
		return c.addUser(u, pkg)
	}
	return nil
}

// quotedFields splits a line at spaces outside double quotes.
func quotedFields(line string) []string {
	var fields []string
	var b strings.Builder
	quoted, any := false, false
	for _, r := range line {
		switch {
		case r == '"':
			quoted, any = !quoted, true
		case (r == ' ' || r == '\t') && !quoted:
			if any {
				fields = append(fields, b.String())
			}
			b.Reset()
			any = false
		default:
			b.WriteRune(r)
			any = true
		}
	}
	if any {
		fields = append(fields, b.String())
	}
	return fields
}
