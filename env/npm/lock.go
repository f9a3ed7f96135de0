package npm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// The bounds of a package-lock.json.
const (
	maxLock     = 64 << 20
	maxPackages = 50_000
	maxPath     = 2048
	maxList     = 2000 // names in one list of a package
)

// Lock is what a package-lock.json says, for all platforms.
type Lock struct {
	name    string
	entries map[string]*entry // by key: "" for the project, "node_modules/a/node_modules/b"
}

// entry is one package of a lock, under the names that npm gives its fields.
type entry struct {
	name, version                    string
	resolved, integrity              string
	link, optional, inBundle, script bool
	bin                              map[string]string
	os, cpu, libc                    []string
	needs                            []edge
}

// edge is a dependency of a package.
type edge struct {
	name     string
	optional bool
}

// nameForm is what a package may be called. Old ones have capitals.
var nameForm = regexp.MustCompile(`^(@[A-Za-z0-9~_-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~_-][A-Za-z0-9._~!'()*-]*$`)

// versionForm is more than npm allows and less than could hurt.
var versionForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+_-]{0,255}$`)

// Parse reads a package-lock.json of version 2 or 3; name stands for it in
// messages.
func Parse(name string, data []byte) (*Lock, error) {
	l := &Lock{name: name, entries: map[string]*entry{}}
	if err := l.parse(data); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return l, nil
}

func (l *Lock) parse(data []byte) error {
	if len(data) > maxLock {
		return fmt.Errorf("longer than %d bytes", maxLock)
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return err
	}
	var version int
	if err := json.Unmarshal(top["lockfileVersion"], &version); err != nil || version < 2 || version > 3 {
		return fmt.Errorf("lockfileVersion %.20s: want 2 or 3, as npm 7 and later write: run npm install --package-lock-only", top["lockfileVersion"])
	}
	var packages map[string]map[string]json.RawMessage
	if err := json.Unmarshal(top["packages"], &packages); err != nil {
		return fmt.Errorf("packages: %w", err)
	}
	if len(packages) > maxPackages {
		return fmt.Errorf("%d packages: want at most %d", len(packages), maxPackages)
	}
	if packages[""] == nil {
		return errors.New("packages: the project itself is missing")
	}
	for key, fields := range packages {
		if err := checkKey(key); err != nil {
			return err
		}
		e, err := parseEntry(key, fields)
		if err != nil {
			return fmt.Errorf("packages[%q]: %w", key, err)
		}
		l.entries[key] = e
	}
	return nil
}

// checkKey refuses keys that are no clean path, or in which node_modules does
// not stand before the name of a package. Folders outside, as "../deps/x", may
// be where a link leads.
func checkKey(key string) error {
	if key == "" {
		return nil
	}
	bad := fmt.Errorf("packages: %.100q is no place of a package", key)
	if len(key) > maxPath || path.IsAbs(key) || path.Clean(key) != key || key == "." || strings.ContainsAny(key, "\\\x00") || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd }) {
		return bad
	}
	at, name, found := cutLast(key)
	for found {
		if !nameForm.MatchString(name) {
			return bad
		}
		at, name, found = cutLast(at)
	}
	if slices.Contains(strings.Split(at, "/"), "node_modules") {
		return bad
	}
	return nil
}

// cutLast cuts the last node_modules off a key: what it lies in, and the name
// of the package in it.
func cutLast(key string) (in, name string, found bool) {
	if i := strings.LastIndex("/"+key, "/node_modules/"); i >= 0 {
		return strings.TrimSuffix(key[:max(i-1, 0)], "/"), key[i+len("node_modules/"):], true
	}
	return key, "", false
}

func parseEntry(key string, f map[string]json.RawMessage) (*entry, error) {
	r := fields{f: f}
	e := &entry{
		name: r.text("name"), version: r.text("version"), resolved: r.text("resolved"), integrity: r.text("integrity"),
		link: r.flag("link"), optional: r.flag("optional"), inBundle: r.flag("inBundle"), script: r.flag("hasInstallScript"),
		os: r.texts("os"), cpu: r.texts("cpu"), libc: r.texts("libc"),
	}
	if _, name, found := cutLast(key); found && e.name == "" {
		e.name = name
	}
	switch {
	case r.err != nil:
	case key != "" && e.name != "" && !nameForm.MatchString(e.name):
		r.err = fmt.Errorf("name %.100q", e.name)
	case e.version != "" && !versionForm.MatchString(e.version) && key != "":
		r.err = fmt.Errorf("version %.100q", e.version)
	}
	e.bin = r.bins(e.name)
	optional := r.table("optionalDependencies")
	maybe := r.optionalPeers()
	lists := []map[string]string{r.table("dependencies"), r.table("peerDependencies"), optional}
	if key == "" || !strings.Contains(key, "node_modules/") { // only of the project's own packages
		lists = append(lists, r.table("devDependencies"))
	}
	for i, list := range lists {
		for name := range list {
			_, isOptional := optional[name]
			e.needs = append(e.needs, edge{name: name, optional: isOptional || i == 1 && maybe[name]})
		}
	}
	return e, r.err
}

// fields reads the fields of an entry; the first that is not as expected is
// kept as err.
type fields struct {
	f   map[string]json.RawMessage
	err error
}

func (r *fields) read(key string, to any) bool {
	raw, ok := r.f[key]
	if !ok || string(raw) == "null" {
		return false
	}
	if err := json.Unmarshal(raw, to); err != nil {
		if r.err == nil {
			r.err = fmt.Errorf("%s: %w", key, err)
		}
		return false
	}
	return true
}

func (r *fields) text(key string) (s string) {
	r.read(key, &s)
	if len(s) > 4*maxPath && r.err == nil {
		r.err = fmt.Errorf("%s: longer than %d bytes", key, 4*maxPath)
	}
	return s
}

func (r *fields) flag(key string) (b bool) {
	r.read(key, &b)
	return b
}

// texts reads a list of strings, or one alone.
func (r *fields) texts(key string) (list []string) {
	var one string
	if raw := r.f[key]; len(raw) > 0 && raw[0] == '"' && r.read(key, &one) {
		return []string{one}
	}
	r.read(key, &list)
	return list
}

func (r *fields) table(key string) (t map[string]string) {
	r.read(key, &t)
	if len(t) > maxList && r.err == nil {
		r.err = fmt.Errorf("%s: %d names, want at most %d", key, len(t), maxList)
	}
	return t
}

// optionalPeers are the names that peerDependenciesMeta says may be missing.
func (r *fields) optionalPeers() map[string]bool {
	var meta map[string]struct{ Optional bool }
	r.read("peerDependenciesMeta", &meta)
	out := map[string]bool{}
	for name, m := range meta {
		out[name] = m.Optional
	}
	return out
}

// bins reads the programs of a package. A string alone has the package's name.
// A name or path that leads out of its folder is left out, as npm does.
func (r *fields) bins(name string) map[string]string {
	var one string
	all := map[string]string{}
	if raw := r.f["bin"]; len(raw) > 0 && raw[0] == '"' {
		if r.read("bin", &one) {
			all[name] = one
		}
	} else {
		all = r.table("bin")
	}
	out := map[string]string{}
	for key, target := range all {
		key = path.Base(path.Join("/", strings.ReplaceAll(key, `\`, "/")))
		target = path.Join("/", strings.ReplaceAll(target, `\`, "/"))[1:]
		if key != "/" && target != "" && !strings.ContainsAny(key+target, "\x00") {
			out[key] = target
		}
	}
	return out
}

// source returns where an entry's tarball is and its sha512.
func (e *entry) source() (address string, sum digest.Digest, err error) {
	switch scheme, _, _ := strings.Cut(e.resolved, ":"); {
	case e.resolved == "":
		if e.version == "" {
			return "", "", errors.New("no version")
		}
		address = tarballOf(e.name, e.version)
	case scheme == "https" || scheme == "http":
		u, err := url.Parse(e.resolved)
		if err != nil || u.Host == "" || u.User != nil {
			return "", "", errors.New("resolved: no URL, or one with a user")
		}
		address = e.resolved
	case strings.HasPrefix(scheme, "git") || scheme == "ssh":
		return "", "", errors.New("comes from git, which no integrity vouches for: publish it, or name the tarball of a release")
	default:
		return "", "", fmt.Errorf("resolved %.100q: want the address of a tarball, or a link to a folder", e.resolved)
	}
	if e.integrity == "" {
		return "", "", fmt.Errorf("no integrity: write there what npm view %s@%s dist.integrity prints", e.name, e.version)
	}
	sum, err = parseIntegrity(e.integrity)
	if err != nil {
		return "", "", fmt.Errorf("%w: write there what npm view %s@%s dist.integrity prints", err, e.name, e.version)
	}
	return address, sum, nil
}
