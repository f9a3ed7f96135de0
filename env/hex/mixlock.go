package hex

import (
	"bytes"
	"fmt"
	"regexp"
	"sort"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Kind is how a dependency is had.
type Kind string

// The kinds that mix.lock knows. Path dependencies are in no lock.
const (
	Package Kind = "hex"
	Git     Kind = "git"
)

// Locked is one entry of mix.lock.
type Locked struct {
	App  string // OTP application: the entry's key, and its folder below deps
	Kind Kind
	Text string // the entry's tuple byte for byte as it stands in the lock

	// Of a Hex package:
	Name     string        // of the package, usually App
	Version  string        // semantic version
	Inner    digest.Digest // of VERSION, metadata.config and contents.tar.gz
	Outer    digest.Digest // of the tarball; "" in locks of Hex before 0.20
	Managers []string      // "mix", "rebar3", "make": who can build it
	Requires []Requirement // what it asks for
	Repo     string        // "hexpm", "hexpm:ORGANISATION" or a repository's name

	// Of a git dependency:
	URL     string
	Commit  string   // SHA-1 or SHA-256 in hex
	Options []Option // in the lock's order: ref, tag, branch, sparse, subdir, depth, submodules
}

// Requirement is what a package asks of another.
type Requirement struct {
	App      string
	Name     string // of the package
	Version  string // requirement: "~> 1.0 or ~> 2.0"
	Repo     string
	Optional bool
}

// Option is one option of a git dependency, its value as text.
type Option struct{ Key, Value string }

// Want returns what the package's tarball must be.
func (l Locked) Want() Want {
	return Want{Name: l.Name, Version: l.Version, Inner: l.Inner, Outer: l.Outer}
}

// MissingOuterError names the entries of a lock that carry no checksum of the
// tarball as a whole, so that what is downloaded for them cannot be verified.
type MissingOuterError struct {
	Lock string   // name of the lock
	Apps []string // sorted
}

func (e *MissingOuterError) Error() string {
	return fmt.Sprintf("check %s: no outer checksum for %s: run mix deps.get with Hex 0.20 or later, or mix deps.update %s",
		e.Lock, strings.Join(e.Apps, ", "), strings.Join(e.Apps, " "))
}

// CheckOuter returns a *[MissingOuterError] if a package lacks its outer
// checksum. Without it a package must not be fetched.
func CheckOuter(name string, locked []Locked) error {
	var apps []string
	for _, l := range locked {
		if l.Kind == Package && l.Outer == "" {
			apps = append(apps, l.App)
		}
	}
	if apps == nil {
		return nil
	}
	sort.Strings(apps)
	return &MissingOuterError{Lock: name, Apps: apps}
}

// maxLock bounds mix.lock; one with a thousand entries has 300 KiB.
const maxLock = 8 << 20

// ParseLock reads a mix.lock and returns its entries, sorted by App. Tuples of
// all ages of Hex are read, with 4 to 8 elements. An empty lock has none.
func ParseLock(name string, data []byte) ([]Locked, error) {
	locked, err := parseLock(data)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	return locked, nil
}

func parseLock(data []byte) ([]Locked, error) {
	if len(data) > maxLock {
		return nil, fmt.Errorf("larger than %d bytes", maxLock)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, nil
	}
	src := string(data)
	root, err := parseElixir(src)
	if err != nil {
		return nil, err
	}
	if root.shape != mapTerm {
		return nil, syntaxError(src, root.pos, "not a map")
	}
	var out []Locked
	seen := map[string]bool{}
	for i := 0; i < len(root.items); i += 2 {
		key, value := root.items[i], root.items[i+1]
		app, ok := key.name()
		if !ok || !appName.MatchString(app) {
			return nil, syntaxError(src, key.pos, "%q is no application", app)
		}
		if seen[app] {
			return nil, syntaxError(src, key.pos, "%s is locked twice", app)
		}
		seen[app] = true
		l, err := lockEntry(value)
		if err != nil {
			return nil, syntaxError(src, value.pos, "%s: %w", app, err)
		}
		l.App, l.Text = app, src[value.pos:value.end]
		out = append(out, l)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].App < out[j].App })
	return out, nil
}

func lockEntry(t term) (Locked, error) {
	if t.shape != tupleTerm || len(t.items) == 0 {
		return Locked{}, fmt.Errorf("not a tuple")
	}
	switch {
	case t.items[0].is(atomTerm, "hex"):
		return hexEntry(t.items)
	case t.items[0].is(atomTerm, "git"):
		return gitEntry(t.items)
	}
	return Locked{}, fmt.Errorf("neither a :hex nor a :git dependency")
}

func hexEntry(e []term) (Locked, error) {
	l := Locked{Kind: Package, Repo: DefaultRepo}
	if len(e) < 4 || len(e) > 8 {
		return l, fmt.Errorf("a :hex tuple of %d elements: 4 to 8 are known", len(e))
	}
	var ok bool
	if l.Name, ok = e[1].name(); !ok || !packageName.MatchString(l.Name) {
		return l, fmt.Errorf("%q is no package name", l.Name)
	}
	if l.Version, ok = e[2].str(); !ok || !semver.MatchString(l.Version) {
		return l, fmt.Errorf("%q is no version", l.Version)
	}
	var err error
	if l.Inner, err = checksum(e[3]); err != nil {
		return l, fmt.Errorf("inner checksum: %w", err)
	}
	if len(e) > 4 && !e[4].is(atomTerm, "nil") {
		if l.Managers, ok = e[4].names(); !ok {
			return l, fmt.Errorf("managers are no list of atoms")
		}
		for _, m := range l.Managers {
			if !packageName.MatchString(m) {
				return l, fmt.Errorf("%q is no manager", m)
			}
		}
	}
	if len(e) > 5 && !e[5].is(atomTerm, "nil") {
		if l.Requires, err = requirements(e[5]); err != nil {
			return l, err
		}
	}
	if len(e) > 6 && !e[6].is(atomTerm, "nil") {
		if l.Repo, ok = e[6].str(); !ok || !repoName.MatchString(l.Repo) {
			return l, fmt.Errorf("%q is no repository", l.Repo)
		}
	}
	if len(e) > 7 && !e[7].is(atomTerm, "nil") {
		if l.Outer, err = checksum(e[7]); err != nil {
			return l, fmt.Errorf("outer checksum: %w", err)
		}
	}
	return l, nil
}

func requirements(t term) ([]Requirement, error) {
	if t.shape != listTerm {
		return nil, fmt.Errorf("requirements are no list")
	}
	var out []Requirement
	for _, d := range t.items {
		if d.shape != tupleTerm || len(d.items) != 3 {
			return nil, fmt.Errorf("a requirement is no tuple of three")
		}
		app, ok := d.items[0].name()
		if !ok || !appName.MatchString(app) {
			return nil, fmt.Errorf("%q is no application", app)
		}
		r := Requirement{App: app, Name: app, Repo: DefaultRepo}
		if r.Version, ok = d.items[1].str(); !ok && !d.items[1].is(atomTerm, "nil") {
			return nil, fmt.Errorf("%s: its requirement is no string", app)
		}
		err := d.items[2].pairs(func(key string, v term) error {
			switch key {
			case "hex":
				r.Name, ok = v.name()
				ok = ok && packageName.MatchString(r.Name)
			case "repo":
				r.Repo, ok = v.str()
				ok = ok && repoName.MatchString(r.Repo)
			case "optional":
				r.Optional = v.is(atomTerm, "true")
				ok = r.Optional || v.is(atomTerm, "false")
			default:
				ok = true
			}
			if !ok {
				return fmt.Errorf("option %s has another type", key)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", app, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func gitEntry(e []term) (Locked, error) {
	l := Locked{Kind: Git}
	if len(e) != 4 {
		return l, fmt.Errorf("a :git tuple of %d elements: 4 are known", len(e))
	}
	var ok bool
	if l.URL, ok = e[1].str(); !ok || l.URL == "" || strings.HasPrefix(l.URL, "-") || strings.ContainsAny(l.URL, "\x00\n\r") {
		return l, fmt.Errorf("%q is no git repository", l.URL)
	}
	if l.Commit, ok = e[2].str(); !ok || !commit.MatchString(l.Commit) {
		return l, fmt.Errorf("%q is no commit", l.Commit)
	}
	err := e[3].pairs(func(key string, v term) error {
		switch v.shape {
		case stringTerm, atomTerm, numberTerm:
			l.Options = append(l.Options, Option{Key: key, Value: v.text})
			return nil
		}
		return fmt.Errorf("option %s has another type", key)
	})
	return l, err
}

func checksum(t term) (digest.Digest, error) {
	s, ok := t.str()
	if !ok || !sha256Hex.MatchString(s) {
		return "", fmt.Errorf("%q is no SHA-256", s)
	}
	return digest.NewDigestFromEncoded(digest.SHA256, strings.ToLower(s)), nil
}

var (
	appName     = regexp.MustCompile(`^[a-z][A-Za-z0-9_@]{0,127}$`)
	packageName = regexp.MustCompile(`^[a-z][A-Za-z0-9_]{0,127}$`)
	repoName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}(:[a-z][a-z0-9_]{0,127})?$`)
	semver      = regexp.MustCompile(`^(0|[1-9]\d{0,9})\.(0|[1-9]\d{0,9})\.(0|[1-9]\d{0,9})(-[0-9A-Za-z.-]{1,128})?(\+[0-9A-Za-z.-]{1,128})?$`)
	sha256Hex   = regexp.MustCompile(`^[0-9A-Fa-f]{64}$`)
	commit      = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
)
