package configure

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/retort-build/retort/internal/tarball"
)

const (
	altDir   = "/etc/alternatives"
	altAdmin = "/var/lib/dpkg/alternatives"
)

// group is one link group of update-alternatives: a master link with slaves,
// and the choices for them.
type group struct {
	name, link string
	slaves     []altLink
	choices    []choice
	manual     bool
	chosen     string // path of the choice the links lead to
	pkg        string // that made it
}

type altLink struct{ name, link string }

type choice struct {
	path     string
	priority int
	slaves   map[string]string // path by name
}

// best is the choice that automatic mode takes: the highest priority, and the
// first that was installed among equals.
func (g *group) best() *choice {
	var best *choice
	for i := range g.choices {
		if c := &g.choices[i]; best == nil || c.priority > best.priority {
			best = c
		}
	}
	return best
}

func (g *group) choice(p string) *choice {
	for i := range g.choices {
		if g.choices[i].path == p {
			return &g.choices[i]
		}
	}
	return nil
}

// request is a parsed call of update-alternatives.
type request struct {
	action string
	args   []string
	slaves [][]string // link, name, path
	force  bool
}

func parseRequest(args []string) (request, error) {
	var r request
	counts := map[string]int{
		"--install": 4, "--remove": 2, "--set": 2, "--auto": 1, "--remove-all": 1, "--display": 1,
		"--query": 1, "--list": 1, "--config": 1, "--get-selections": 0, "--all": 0, "--slave": 3,
		"--altdir": 1, "--admindir": 1, "--log": 1, "--instdir": 1, "--root": 1,
		"--quiet": 0, "--verbose": 0, "--debug": 0, "--force": 0, "--skip-auto": 0, "--version": 0,
	}
	for i := 0; i < len(args); {
		a := args[i]
		n, ok := counts[a]
		if !ok || i+n >= len(args) {
			return r, fmt.Errorf("unsupported argument %q", a)
		}
		values := args[i+1 : i+1+n]
		i += 1 + n
		switch a {
		case "--slave":
			r.slaves = append(r.slaves, values)
		case "--force":
			r.force = true
		case "--quiet", "--verbose", "--debug", "--log", "--skip-auto":
		case "--altdir", "--admindir", "--instdir", "--root":
			return r, fmt.Errorf("unsupported option %q", a)
		default:
			r.action, r.args = a, values
		}
	}
	return r, nil
}

func cmdAlternatives(_ context.Context, c *call) int {
	r, err := parseRequest(c.args)
	if err == nil {
		err = c.alternative(r)
	}
	if err != nil {
		c.fail("error: %v", err)
		return 2
	}
	return 0
}

func (c *call) alternative(r request) error {
	if r.action == "--install" {
		return c.installAlternative(r)
	}
	if r.action == "--get-selections" || r.action == "" {
		return nil
	}
	g := c.alternatives[r.args[0]]
	if g == nil {
		if r.action == "--remove" || r.action == "--remove-all" {
			return nil
		}
		return fmt.Errorf("no alternatives for %s", r.args[0])
	}
	switch r.action {
	case "--remove":
		g.choices = slices.DeleteFunc(g.choices, func(ch choice) bool { return ch.path == r.args[1] })
		if g.choice(g.chosen) == nil {
			g.manual = false
		}
	case "--remove-all":
		g.choices = nil
	case "--auto":
		g.manual = false
	case "--set":
		if g.choice(r.args[1]) == nil {
			return fmt.Errorf("alternative %s for %s not registered", r.args[1], g.name)
		}
		g.manual, g.chosen = true, r.args[1]
	case "--list":
		for _, ch := range g.choices {
			c.printf("%s\n", ch.path)
		}
		return nil
	default:
		return c.displayAlternative(g, r.action)
	}
	return c.apply(g, r.force)
}

func (c *call) displayAlternative(g *group, action string) error {
	mode := "auto"
	if g.manual {
		mode = "manual"
	}
	if action == "--query" {
		c.printf("Name: %s\nLink: %s\nStatus: %s\nValue: %s\n", g.name, g.link, mode, g.chosen)
		return nil
	}
	c.printf("%s - %s mode\n  link currently points to %s\n", g.name, mode, g.chosen)
	for _, ch := range g.choices {
		c.printf("%s - priority %d\n", ch.path, ch.priority)
	}
	return nil
}

func (c *call) installAlternative(r request) error {
	link, name, target := r.args[0], r.args[1], r.args[2]
	priority, err := strconv.Atoi(r.args[3])
	if err != nil {
		return fmt.Errorf("priority %q: want a number", r.args[3])
	}
	if !path.IsAbs(link) || !path.IsAbs(target) || strings.ContainsAny(name, "/ \t\n") || name == "" {
		return fmt.Errorf("bad link, name or path: %q", r.args)
	}
	if !c.v.exists(target) {
		return fmt.Errorf("alternative path %s doesn't exist", target)
	}
	g := c.alternatives[name]
	if g == nil {
		g = &group{name: name, pkg: c.shell.pkg.Name}
		c.alternatives[name] = g
	}
	if g.link != "" && g.link != link {
		c.unlink(g.link)
	}
	g.link = link
	ch := choice{path: target, priority: priority, slaves: make(map[string]string)}
	for _, s := range r.slaves {
		if !path.IsAbs(s[0]) || !path.IsAbs(s[2]) || strings.ContainsAny(s[1], "/ \t\n") || s[1] == "" {
			return fmt.Errorf("bad slave: %q", s)
		}
		ch.slaves[s[1]] = s[2]
		i := slices.IndexFunc(g.slaves, func(l altLink) bool { return l.name == s[1] })
		if i < 0 {
			g.slaves = append(g.slaves, altLink{s[1], s[0]})
		} else if g.slaves[i].link != s[0] {
			c.unlink(g.slaves[i].link)
			g.slaves[i].link = s[0]
		}
	}
	if old := g.choice(target); old != nil {
		*old = ch
	} else {
		g.choices = append(g.choices, ch)
	}
	return c.apply(g, r.force)
}

// apply makes the links of a group lead to its choice.
func (c *call) apply(g *group, force bool) error {
	if len(g.choices) == 0 {
		for _, l := range append([]altLink{{g.name, g.link}}, g.slaves...) {
			c.unlink(l.link)
			c.unlink(path.Join(altDir, l.name))
		}
		delete(c.alternatives, g.name)
		return nil
	}
	ch := g.choice(g.chosen)
	if !g.manual || ch == nil {
		ch = g.best()
	}
	g.chosen = ch.path
	if err := c.pointLink(g.link, g.name, ch.path, force); err != nil {
		return err
	}
	for _, s := range g.slaves {
		target, ok := ch.slaves[s.name]
		if !ok || !c.v.exists(target) {
			c.unlink(s.link)
			c.unlink(path.Join(altDir, s.name))
			continue
		}
		if err := c.pointLink(s.link, s.name, target, force); err != nil {
			return err
		}
	}
	return nil
}

func (c *call) pointLink(link, name, target string, force bool) error {
	if err := c.v.mkdirAll(altDir, 0o755); err != nil {
		return err
	}
	if err := c.v.symlink(target, path.Join(altDir, name), true); err != nil {
		return err
	}
	old, err := c.v.find(link, false)
	if err == nil && old.kind != tarball.Symlink && (!force || old.kind == tarball.Dir) {
		c.fail("warning: not replacing %s with a link", link)
		return nil
	}
	return c.v.symlink(path.Join(altDir, name), link, true)
}

// unlink removes a link and nothing else.
func (c *call) unlink(name string) {
	if n, err := c.v.find(name, false); err == nil && n.kind == tarball.Symlink {
		_ = c.v.remove(name, false) // found just now: nothing can be in the way
	}
}

// writeAlternatives saves the groups where update-alternatives looks for them.
func (s *session) writeAlternatives() error {
	names := make([]string, 0, len(s.alternatives))
	for name := range s.alternatives {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		g := s.alternatives[name]
		if err := s.v.install(path.Join(altAdmin, name), g.encode(), 0o644); err != nil {
			return err
		}
		s.rep.Alternatives = append(s.rep.Alternatives, Alternative{g.name, g.link, g.chosen})
		for _, sl := range g.slaves {
			if p, ok := g.choice(g.chosen).slaves[sl.name]; ok && s.v.exists(p) {
				s.rep.Alternatives = append(s.rep.Alternatives, Alternative{sl.name, sl.link, p})
			}
		}
	}
	return nil
}

// encode writes a group in the format of update-alternatives: mode, link,
// slaves, an empty line, then each choice with its priority and its slaves.
func (g *group) encode() []byte {
	slices.SortFunc(g.slaves, func(a, b altLink) int { return strings.Compare(a.name, b.name) })
	slices.SortFunc(g.choices, func(a, b choice) int { return strings.Compare(a.path, b.path) })
	var b strings.Builder
	mode := "auto"
	if g.manual {
		mode = "manual"
	}
	b.WriteString(mode + "\n" + g.link + "\n")
	for _, s := range g.slaves {
		b.WriteString(s.name + "\n" + s.link + "\n")
	}
	b.WriteString("\n")
	for _, ch := range g.choices {
		fmt.Fprintf(&b, "%s\n%d\n", ch.path, ch.priority)
		for _, s := range g.slaves {
			b.WriteString(ch.slaves[s.name] + "\n")
		}
	}
	b.WriteString("\n")
	return []byte(b.String())
}
