package configure

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// staticIDs are the ids of accounts that packages make for themselves, as a
// fresh Debian system tends to number them. They are a part of the layer
// format: a change changes layers.
var staticIDs = map[string][2]int{ // user and group; -1 for none
	"epmd": {100, 101}, "messagebus": {997, 997}, "systemd-network": {998, 998},
	"systemd-journal": {-1, 999}, "systemd-timesync": {996, 996}, "systemd-resolve": {995, 995},
	"systemd-coredump": {994, 994}, "systemd-oom": {993, 993}, "polkitd": {992, 992}, "input": {-1, 991},
	"sgx": {-1, 990}, "clock": {-1, 989}, "kvm": {-1, 988}, "render": {-1, 987}, "crontab": {-1, 986},
	"_ssh": {-1, 102}, "sshd": {102, 65534}, "tcpdump": {103, 103}, "uuidd": {104, 104}, "netdev": {-1, 105},
	"postgres": {106, 106}, "mysql": {107, 107}, "rabbitmq": {108, 108}, "redis": {109, 109},
	"couchdb": {110, 110}, "avahi": {111, 111}, "rtkit": {112, 112}, "colord": {113, 113},
	"geoclue": {114, 114}, "saned": {115, 115}, "scanner": {-1, 116}, "ssl-cert": {-1, 117},
	"Debian-exim": {118, 118}, "memcache": {119, 119}, "mosquitto": {120, 120}, "tss": {121, 121},
	"man": {6, 12}, "statd": {122, 65534}, "_rpc": {123, 65534}, "dnsmasq": {124, 65534},
}

// staticID returns a free id for a name: the table's, or one that follows from
// the name and from what is taken.
func (a *accounts) staticID(name string, group bool) int {
	which, taken := 0, a.users
	if group {
		which, taken = 1, a.groups
	}
	used := func(id int) bool {
		for _, l := range taken {
			if len(l) > 2 && l[2] == strconv.Itoa(id) {
				return true
			}
		}
		return false
	}
	if ids, ok := staticIDs[name]; ok && ids[which] >= 0 && !used(ids[which]) {
		return ids[which]
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	const first, count = 200, 700
	id := int(h.Sum32() % count)
	for range count {
		if !used(first + id) {
			break
		}
		id = (id + 1) % count
	}
	return first + id
}

// accounts are the tree's passwd and group files, line by line.
type accounts struct {
	users, groups [][]string
}

func (s *session) accounts() *accounts {
	return &accounts{users: s.table("/etc/passwd"), groups: s.table("/etc/group")}
}

func (s *session) table(name string) [][]string {
	b, err := s.v.readFile(name)
	if err != nil {
		return nil
	}
	var rows [][]string
	for _, l := range lines(b) {
		rows = append(rows, strings.Split(l, ":"))
	}
	return rows
}

// save writes a table back and keeps the mode of its file.
func (s *session) save(name string, rows [][]string, mode uint32) error {
	var b strings.Builder
	for _, r := range rows {
		b.WriteString(strings.Join(r, ":") + "\n")
	}
	return s.v.writeFile(name, []byte(b.String()), mode, false)
}

func lookup(rows [][]string, column int, value string) []string {
	for _, r := range rows {
		if len(r) > column && r[column] == value {
			return r
		}
	}
	return nil
}

func (a *accounts) number(rows [][]string, name, what string, column int) (int, error) {
	if r := lookup(rows, 0, name); len(r) > column {
		return strconv.Atoi(r[column])
	}
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(n), nil
	}
	if name == "root" {
		return 0, nil
	}
	return 0, fmt.Errorf("invalid %s: '%s'", what, name)
}

func (a *accounts) userID(name string) (int, error) { return a.number(a.users, name, "user", 2) }

func (a *accounts) userGroup(name string) (int, error) { return a.number(a.users, name, "user", 3) }

func (a *accounts) groupID(name string) (int, error) { return a.number(a.groups, name, "group", 2) }

func (a *accounts) userName(id int) string  { return idName(a.users, id) }
func (a *accounts) groupName(id int) string { return idName(a.groups, id) }

func idName(rows [][]string, id int) string {
	if r := lookup(rows, 2, strconv.Itoa(id)); r != nil {
		return r[0]
	}
	if id == 0 {
		return "root"
	}
	return "UNKNOWN"
}

// newUser is an account to be made.
type newUser struct {
	name, home, shell, gecos string
	uid, gid                 int // -1: chosen here
}

// addGroup makes a group unless it is there, and returns its id.
func (s *session) addGroup(name string, gid int, pkg string) (int, error) {
	a := s.accounts()
	if r := lookup(a.groups, 0, name); r != nil {
		return a.groupID(name)
	}
	if err := checkName(name); err != nil {
		return 0, err
	}
	if gid < 0 {
		gid = a.staticID(name, true)
	}
	if err := s.save("/etc/group", append(a.groups, []string{name, s.password("/etc/gshadow", "*"), strconv.Itoa(gid), ""}), 0o644); err != nil {
		return 0, err
	}
	if s.v.exists("/etc/gshadow") {
		if err := s.save("/etc/gshadow", append(s.table("/etc/gshadow"), []string{name, "!", "", ""}), 0o640); err != nil {
			return 0, err
		}
	}
	s.rep.Users = append(s.rep.Users, User{Package: pkg, Name: name, UID: -1, GID: gid})
	return gid, nil
}

// password is what stands in a table's second column.
func (s *session) password(shadow, plain string) string {
	if s.v.exists(shadow) {
		return "x"
	}
	return plain
}

func (s *session) addUser(u newUser, pkg string) error {
	a := s.accounts()
	if lookup(a.users, 0, u.name) != nil {
		return nil
	}
	if err := checkName(u.name); err != nil {
		return err
	}
	if strings.ContainsAny(u.home+u.shell+u.gecos, ":\n") {
		return fmt.Errorf("user %s: colon in a field", u.name)
	}
	if u.uid < 0 {
		u.uid = a.staticID(u.name, false)
	}
	row := []string{u.name, s.password("/etc/shadow", "*"), strconv.Itoa(u.uid), strconv.Itoa(u.gid), u.gecos, u.home, u.shell}
	if err := s.save("/etc/passwd", append(a.users, row), 0o644); err != nil {
		return err
	}
	if s.v.exists("/etc/shadow") {
		row := []string{u.name, "!", "", "", "", "", "", "", ""}
		if err := s.save("/etc/shadow", append(s.table("/etc/shadow"), row), 0o640); err != nil {
			return err
		}
	}
	s.rep.Users = append(s.rep.Users, User{Package: pkg, Name: u.name, UID: u.uid, GID: u.gid})
	return nil
}

func checkName(name string) error {
	if name == "" || len(name) > 32 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.") != "" {
		return fmt.Errorf("invalid name %q", name)
	}
	return nil
}

// join adds a user to a group.
func (s *session) join(user, group string) error {
	a := s.accounts()
	r := lookup(a.groups, 0, group)
	if len(r) < 4 || lookup(a.users, 0, user) == nil {
		return fmt.Errorf("add %s to %s: no such user or group", user, group)
	}
	for m := range strings.SplitSeq(r[3], ",") {
		if m == user {
			return nil
		}
	}
	r[3] = strings.TrimPrefix(r[3]+","+user, ",")
	if err := s.save("/etc/group", a.groups, 0o644); err != nil {
		return err
	}
	g := s.table("/etc/gshadow")
	if r := lookup(g, 0, group); len(r) > 3 {
		r[3] = strings.TrimPrefix(r[3]+","+user, ",")
		return s.save("/etc/gshadow", g, 0o640)
	}
	return nil
}
