package debian

import (
	"fmt"
	"strings"
)

// Relation is one package name in a dependency, with what is asked of it.
type Relation struct {
	Name    string
	Arch    string   // after a colon: "any", "native" or an architecture
	Op      string   // "<<", "<=", "=", ">=" or ">>"; "" asks for no version
	Version string   // "" exactly when Op is
	Archs   []string // in brackets: architectures it holds on, or with "!" not
}

// Group is a list of alternatives, any of which will do.
type Group []Relation

func (r Relation) String() string {
	s := r.Name
	if r.Arch != "" {
		s += ":" + r.Arch
	}
	if r.Op != "" {
		s += " (" + r.Op + " " + r.Version + ")"
	}
	if len(r.Archs) > 0 {
		s += " [" + strings.Join(r.Archs, " ") + "]"
	}
	return s
}

func (g Group) String() string {
	parts := make([]string, len(g))
	for i, r := range g {
		parts[i] = r.String()
	}
	return strings.Join(parts, " | ")
}

// ParseRelations reads the value of a field like Depends.
func ParseRelations(s string) ([]Group, error) {
	var groups []Group
	for part := range strings.SplitSeq(s, ",") {
		if strings.TrimSpace(part) == "" {
			// A trailing comma is seen in real control files.
			continue
		}
		g, err := ParseGroup(part)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}

// ParseGroup reads alternatives, like "default-mta | mail-transport-agent".
func ParseGroup(s string) (Group, error) {
	var g Group
	for part := range strings.SplitSeq(s, "|") {
		r, err := parseRelation(strings.Trim(part, " \t\r\n"))
		if err != nil {
			return nil, fmt.Errorf("parse relation %q: %w", strings.TrimSpace(s), err)
		}
		g = append(g, r)
	}
	return g, nil
}

func parseRelation(s string) (Relation, error) {
	var r Relation
	end := strings.IndexAny(s, " \t\r\n([<:")
	if end < 0 {
		end = len(s)
	}
	r.Name = s[:end]
	if !isName(r.Name) {
		return r, fmt.Errorf("%q is not a package name", r.Name)
	}
	rest := s[end:]
	if after, ok := strings.CutPrefix(rest, ":"); ok {
		end := strings.IndexAny(after, " \t\r\n([<")
		if end < 0 {
			end = len(after)
		}
		if r.Arch, rest = after[:end], after[end:]; !isName(r.Arch) {
			return r, fmt.Errorf("%q is not an architecture", r.Arch)
		}
	}
	rest = trim(rest)
	if after, ok := strings.CutPrefix(rest, "("); ok {
		inner, tail, closed := strings.Cut(after, ")")
		if !closed {
			return r, fmt.Errorf("parenthesis is not closed")
		}
		if err := r.parseVersion(trim(inner)); err != nil {
			return r, err
		}
		rest = trim(tail)
	}
	if after, ok := strings.CutPrefix(rest, "["); ok {
		inner, tail, closed := strings.Cut(after, "]")
		if r.Archs = strings.Fields(inner); !closed || len(r.Archs) == 0 {
			return r, fmt.Errorf("architecture list is malformed")
		}
		for _, a := range r.Archs {
			if !isName(strings.TrimPrefix(a, "!")) || strings.HasPrefix(a, "!") != strings.HasPrefix(r.Archs[0], "!") {
				return r, fmt.Errorf("architecture list is malformed")
			}
		}
		rest = trim(tail)
	}
	if rest != "" {
		return r, fmt.Errorf("%q is left over", rest)
	}
	return r, nil
}

func (r *Relation) parseVersion(s string) error {
	end := 0
	for end < len(s) && strings.IndexByte("<=>", s[end]) >= 0 {
		end++
	}
	r.Op, r.Version = s[:end], trim(s[end:])
	switch r.Op {
	case "<<", "<=", "=", ">=", ">>":
	case "<", ">":
		// Obsolete spellings, which dpkg reads as the inclusive ones.
		r.Op += "="
	default:
		return fmt.Errorf("%q is not a comparison", r.Op)
	}
	return CheckVersion(r.Version)
}

// accepts says whether a version meets the relation's comparison.
func (r Relation) accepts(version string) bool {
	if r.Op == "" {
		return true
	}
	c := CompareVersions(version, r.Version)
	switch r.Op {
	case "<<":
		return c < 0
	case "<=":
		return c <= 0
	case "=":
		return c == 0
	case ">=":
		return c >= 0
	}
	return c > 0
}

// on returns those alternatives that hold on an architecture.
func (g Group) on(arch string) Group {
	var out Group
	for _, r := range g {
		if r.on(arch) {
			out = append(out, r)
		}
	}
	return out
}

// on says whether the bracketed list lets the relation hold on an architecture.
func (r Relation) on(arch string) bool {
	if len(r.Archs) == 0 {
		return true
	}
	negated := strings.HasPrefix(r.Archs[0], "!")
	for _, a := range r.Archs {
		a = strings.TrimPrefix(a, "!")
		if a == arch || a == "any" || a == "linux-any" || a == "any-"+arch || a == "linux-"+arch {
			return !negated
		}
	}
	return negated
}

// sameArch says whether the qualifier can be met in a root of one architecture.
func (r Relation) sameArch(arch string) bool {
	switch r.Arch {
	case "", "any", "native", "all", arch:
		return true
	}
	return false
}

func trim(s string) string { return strings.Trim(s, " \t\r\n") }

// isName accepts what may stand as the name of a package or architecture. It
// keeps names out of paths and off command lines: no slash, no leading dash.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !isDigit(c) && !isLetter(c) && (i == 0 || c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return s != ""
}
