package debian

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
)

// universe is all that may be chosen from on one architecture. It is not
// changed by searching in it.
type universe struct {
	arch     string
	suites   []string // that went in, for messages
	byName   map[string][]*stanza
	provides map[string][]provider
	// banned are packages that are there but must not be chosen, and why.
	banned map[*stanza]string
	// preferred is chosen of its name where it is possible.
	preferred map[string]*stanza
	// elsewhere names the other architectures that have a package. It is asked
	// of explanations only.
	elsewhere func(name string) []string
}

// provider is a package that stands in for another name.
type provider struct {
	by      *stanza
	version string // "" for one without
}

func newUniverse(arch string) *universe {
	return &universe{
		arch: arch, byName: make(map[string][]*stanza), provides: make(map[string][]provider),
		banned: make(map[*stanza]string), preferred: make(map[string]*stanza),
	}
}

// add takes a package in. Of a package that several suites hold in the same
// version with the same bytes, the first stays.
func (u *universe) add(s *stanza) error {
	if s.arch != u.arch && s.arch != "all" {
		return nil
	}
	for _, old := range u.byName[s.name] {
		if old.version == s.version && old.digest == s.digest {
			return nil
		}
	}
	u.byName[s.name] = append(u.byName[s.name], s)
	groups, err := ParseRelations(s.provides)
	if err != nil {
		return fmt.Errorf("package %s: %w", s.id(), err)
	}
	for _, g := range groups {
		if len(g) != 1 || g[0].Op != "" && g[0].Op != "=" {
			return fmt.Errorf("package %s: provides %q, which is no single name", s.id(), g)
		}
		u.provides[g[0].Name] = append(u.provides[g[0].Name], provider{by: s, version: g[0].Version})
	}
	return nil
}

// sort puts the best candidate of each name first. It must run once, after the
// last add.
func (u *universe) sort() {
	for _, list := range u.byName {
		slices.SortStableFunc(list, newest)
	}
	for _, list := range u.provides {
		slices.SortStableFunc(list, func(a, b provider) int {
			return cmp.Or(
				cmp.Compare(priorityRank(a.by.priority), priorityRank(b.by.priority)),
				cmp.Compare(a.by.name, b.by.name),
				newest(a.by, b.by))
		})
	}
}

func newest(a, b *stanza) int {
	return cmp.Or(CompareVersions(b.version, a.version), cmp.Compare(a.digest, b.digest))
}

func priorityRank(p string) int {
	for i, known := range []string{"required", "important", "standard", "optional"} {
		if p == known {
			return i
		}
	}
	return 4
}

// candidates are the versions of a name that may be chosen, best first.
func (u *universe) candidates(name string) []*stanza {
	all := u.byName[name]
	first := u.preferred[name]
	if len(u.banned) == 0 && (first == nil || first == all[0]) {
		return all
	}
	out := make([]*stanza, 0, len(all))
	if first != nil && u.banned[first] == "" {
		out = append(out, first)
	}
	for _, s := range all {
		if s != first && u.banned[s] == "" {
			out = append(out, s)
		}
	}
	return out
}

// meeting lists the packages that meet one relation: those of the name, then
// those that provide it. An unversioned Provides never meets a versioned
// relation.
func (u *universe) meeting(r Relation) (real, virtual []*stanza) {
	if !r.sameArch(u.arch) {
		return nil, nil
	}
	for _, s := range u.candidates(r.Name) {
		if r.accepts(s.version) {
			real = append(real, s)
		}
	}
	for _, p := range u.provides[r.Name] {
		if u.banned[p.by] == "" && (r.Op == "" || p.version != "" && r.accepts(p.version)) && !slices.Contains(real, p.by) {
			virtual = append(virtual, p.by)
		}
	}
	return real, virtual
}

// choices lists what meets any alternative of a group, best first: what is
// preferred already; then packages of the names, from left to right; then
// providers by priority.
func (u *universe) choices(g Group) []*stanza {
	var out, virtual []*stanza
	seen := make(map[*stanza]bool)
	add := func(list []*stanza) {
		for _, s := range list {
			if !seen[s] {
				seen[s] = true
				out = append(out, s)
			}
		}
	}
	for _, r := range g {
		re, vi := u.meeting(r)
		add(re)
		virtual = append(virtual, vi...)
	}
	add(virtual)
	if len(u.preferred) > 0 {
		slices.SortStableFunc(out, func(a, b *stanza) int {
			pa, pb := u.preferred[a.name] == a, u.preferred[b.name] == b
			if pa == pb {
				return 0
			} else if pa {
				return -1
			}
			return 1
		})
	}
	return out
}

// named narrows the choices for a request: who asks for a package by its name
// means that package, not another that stands in for it. Only a name that no
// package has is met by providers.
func (u *universe) named(g Group, choices []*stanza) []*stanza {
	isNamed := func(s *stanza) bool {
		return slices.ContainsFunc(g, func(r Relation) bool { return r.Name == s.name && r.accepts(s.version) })
	}
	if !slices.ContainsFunc(choices, isNamed) {
		return choices
	}
	return slices.DeleteFunc(choices, func(s *stanza) bool { return !isNamed(s) })
}

// find returns the package of a name with the given bytes.
func (u *universe) find(name string, d digest.Digest) *stanza {
	for _, s := range u.byName[name] {
		if s.digest == d {
			return s
		}
	}
	return nil
}
