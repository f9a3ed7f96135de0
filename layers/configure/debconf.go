package configure

import (
	"context"
	"strings"
)

const debconfModule = "/usr/share/debconf/confmodule"

// debconfPrelude gives scripts the functions of debconf's shell module. They
// answer as the non-interactive front end does: every question keeps its
// default.
const debconfPrelude = `db_get() { RET="$(retort-debconf get "$@")"; }
db_fget() { RET="$(retort-debconf fget "$@")"; }
db_metaget() { RET="$(retort-debconf metaget "$@")"; }
db_set() { retort-debconf set "$@"; }
db_fset() { retort-debconf fset "$@"; }
db_subst() { retort-debconf subst "$@"; }
db_reset() { retort-debconf reset "$@"; }
db_unregister() { retort-debconf reset "$@"; }
db_input() { return 30; }
db_go() { :; }
db_purge() { :; }
db_register() { :; }
db_stop() { :; }
db_version() { :; }
db_title() { :; }
db_settitle() { :; }
db_beginblock() { :; }
db_endblock() { :; }
db_capb() { RET=; }
db_progress() { :; }
db_info() { :; }
db_x_loadtemplatefile() { :; }
`

// preludeFor is what precedes a script's own text; it has no line of its own,
// so that positions in messages are right but for the first line.
func preludeFor(string) string {
	return strings.ReplaceAll(debconfPrelude, "\n", "; ")
}

// question is a debconf template with its state.
type question struct {
	fields map[string]string // as packaged, names in lower case
	value  string
	flags  map[string]string
	subst  map[string]string
}

// loadTemplates reads the questions of a package.
func (s *session) loadTemplates(pkg string) {
	b, err := s.v.readFile(dpkgDir + "info/" + pkg + ".templates")
	if err != nil {
		return
	}
	var q *question
	for _, l := range lines(b) {
		key, value, ok := strings.Cut(l, ":")
		switch {
		case strings.TrimSpace(l) == "":
			q = nil
		case strings.HasPrefix(l, " ") || !ok:
		case strings.EqualFold(key, "template"):
			q = &question{fields: make(map[string]string), flags: make(map[string]string), subst: make(map[string]string)}
			s.questions[strings.TrimSpace(value)] = q
		case q != nil:
			q.fields[strings.ToLower(key)] = strings.TrimSpace(value)
			if strings.EqualFold(key, "default") {
				q.value = strings.TrimSpace(value)
			}
		}
	}
}

// cmdDebconf answers one request of the prelude. Status 10 means that there is
// no such question.
func cmdDebconf(_ context.Context, c *call) int {
	if len(c.args) < 2 {
		return 20
	}
	action, name, rest := c.args[0], c.args[1], append(c.args[2:], "", "")
	q := c.questions[name]
	if q == nil {
		if action == "set" || action == "subst" || action == "fset" || action == "reset" {
			return 0
		}
		return 10
	}
	switch action {
	case "get":
		c.printf("%s\n", q.value)
	case "set":
		q.value = strings.TrimSuffix(strings.Join(c.args[2:], " "), "\n")
	case "reset":
		q.value = q.fields["default"]
		q.flags["seen"] = "false"
	case "fget":
		value := q.flags[rest[0]]
		if value == "" {
			value = "false"
		}
		c.printf("%s\n", value)
	case "fset":
		q.flags[rest[0]] = rest[1]
	case "subst":
		q.subst[rest[0]] = rest[1]
	case "metaget":
		value := q.fields[strings.ToLower(rest[0])]
		for k, v := range q.subst {
			value = strings.ReplaceAll(value, "${"+k+"}", v)
		}
		c.printf("%s\n", value)
	default:
		return 20
	}
	return 0
}
