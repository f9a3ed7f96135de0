package env

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// table holds checked values of a manifest by key: string, bool, []string,
// fileRef, []fileRef, Version and table.
type table map[string]any

// fileRef is a file that a manifest names.
type fileRef struct {
	written string // as the manifest has it
	dir     string // the manifest's folder
	path    string // joined to it
}

// The bounds of one list, one table and one key.
const (
	maxElements = 2000
	maxKeys     = 2000
	maxKey      = 256
)

// walker turns what the TOML parser returned into a table, by the schema. It
// goes on after a problem, so that all are found.
type walker struct {
	file  string
	lines map[string]int
	errs  ErrorList
}

func (w *walker) fail(path string, err error) {
	w.errs.add(w.file, lineOf(w.lines, path), path, err)
}

func (w *walker) table(path string, n *node, in map[string]any) table {
	if len(in) > maxKeys {
		w.fail(path, fmt.Errorf("%d keys: want at most %d", len(in), maxKeys))
		return nil
	}
	out := make(table, len(in))
	for _, key := range slices.Sorted(maps.Keys(in)) {
		if len(key) > maxKey {
			w.fail(path, fmt.Errorf("key of %d bytes: want at most %d", len(key), maxKey))
			continue
		}
		at := joinKey(path, key)
		child := n.each
		if n.kind == fixedKind {
			if child = n.fields[key]; child == nil {
				w.fail(at, unknownKey(key, n))
				continue
			}
		} else if err := n.key(key); err != nil {
			w.fail(at, err)
			continue
		}
		if v := w.value(at, child, in[key]); v != nil {
			out[key] = v
		}
	}
	return out
}

// value checks one value. It returns nil if there is a problem.
func (w *walker) value(path string, n *node, in any) any {
	switch n.kind {
	case textKind:
		return w.text(path, n.check, in)
	case flagKind:
		if b, ok := in.(bool); ok {
			return b
		}
		w.wrongType(path, "true or false", in)
	case listKind:
		return w.list(path, n, in)
	case fileKind:
		if s, ok := w.text(path, checkFile, in).(string); ok {
			return w.fileRef(s)
		}
	case patternsKind:
		if l, ok := w.list(path, n, in).([]string); ok {
			refs := make([]fileRef, len(l))
			for i, s := range l {
				refs[i] = w.fileRef(s)
			}
			return refs
		}
	case fixedKind, namedKind:
		if t, ok := in.(map[string]any); ok {
			return w.table(path, n, t)
		}
		w.wrongType(path, "a table", in)
	case toolKind:
		return w.tool(path, n, in)
	case versionKind:
		return w.version(path, in)
	}
	return nil
}

func (w *walker) fileRef(s string) fileRef {
	dir := filepath.Dir(w.file)
	return fileRef{written: s, dir: dir, path: filepath.Join(dir, filepath.FromSlash(s))}
}

// tool reads a version, or a table which may have one.
func (w *walker) tool(path string, n *node, in any) any {
	switch in := in.(type) {
	case string:
		if s, ok := w.text(path, checkVersion, in).(string); ok {
			return table{"version": s}
		}
	case map[string]any:
		return w.table(path, tables(n.fields), in)
	default:
		w.wrongType(path, `a version in quotes, or a table such as { version = "27", from = "source" }`, in)
	}
	return nil
}

func (w *walker) text(path string, check func(string) (string, error), in any) any {
	s, ok := in.(string)
	if !ok {
		w.wrongType(path, "a string in quotes", in)
		return nil
	}
	s, err := check(s)
	if err != nil {
		w.fail(path, err)
		return nil
	}
	return s
}

func (w *walker) list(path string, n *node, in any) any {
	elements, ok := in.([]any)
	if !ok {
		w.wrongType(path, "an array of strings", in)
		return nil
	}
	if len(elements) > maxElements {
		w.fail(path, fmt.Errorf("%d elements: want at most %d", len(elements), maxElements))
		return nil
	}
	out := make([]string, 0, len(elements))
	seen := make(map[string]bool, len(elements))
	for i, e := range elements {
		at := path + "[" + strconv.Itoa(i) + "]"
		s, ok := w.text(at, n.check, e).(string)
		if !ok {
			continue
		}
		if seen[s] && !n.repeat {
			w.fail(at, fmt.Errorf("%s is listed twice", quote(s)))
			continue
		}
		seen[s] = true
		out = append(out, s)
	}
	return out
}

// version reads either a version or {from = ..., path = ...}.
func (w *walker) version(path string, in any) any {
	if s, ok := in.(string); ok {
		s, err := checkReleaseVersion(s)
		if err != nil {
			w.fail(path, err)
			return nil
		}
		return Version{From: VersionLiteral, Value: s}
	}
	m, ok := in.(map[string]any)
	if !ok {
		w.wrongType(path, `a version in quotes, or a table such as { from = "git" }`, in)
		return nil
	}
	before := len(w.errs)
	t := w.table(path, tables(map[string]*node{
		"from": texts(oneOf(string(VersionMix), string(VersionGit), string(VersionFile))),
		"path": texts(checkProjectFile),
	}), m)
	v := Version{From: VersionSource(t.text("from", "")), Path: t.text("path", "")}
	switch {
	case len(w.errs) > before:
	case v.From == "":
		w.fail(joinKey(path, "from"), errors.New("missing: want mix.exs, git or file"))
	case v.From == VersionFile && v.Path == "":
		w.fail(joinKey(path, "path"), errors.New("missing: the file that holds the version"))
	case v.From != VersionFile && v.Path != "":
		w.fail(joinKey(path, "path"), fmt.Errorf("only goes with from = %q", VersionFile))
	default:
		return v
	}
	return nil
}

func (w *walker) wrongType(path, want string, got any) {
	w.fail(path, fmt.Errorf("want %s, got %s", want, typeName(got)))
}

// typeName says in TOML's words what a parsed value is.
func typeName(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case []any:
		return "an array"
	case []map[string]any:
		return "an array of tables"
	case map[string]any:
		return "a table"
	}
	return "a date or time"
}

// unknownKey names the key that may have been meant: the nearest by edit
// distance, or else the keys that there are.
func unknownKey(key string, n *node) error {
	known := slices.Sorted(maps.Keys(n.fields))
	best, distance := "", len(key)/2+1
	for _, k := range known {
		if d := editDistance(key, k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return fmt.Errorf("unknown key: known here are %s", strings.Join(known, ", "))
	}
	return fmt.Errorf("unknown key: nearest is %s", best)
}

// editDistance counts the inserted, deleted, replaced and swapped bytes
// between two keys (Levenshtein with adjacent transpositions).
func editDistance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	var before []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// merge returns parent with child's keys over it. Tables are merged key by
// key, all else is replaced. Neither argument changes.
func merge(parent, child table) table {
	out := maps.Clone(parent)
	if out == nil {
		out = make(table, len(child))
	}
	for key, v := range child {
		below, ok1 := out[key].(table)
		above, ok2 := v.(table)
		if ok1 && ok2 {
			v = merge(below, above)
		}
		out[key] = v
	}
	return out
}

func (t table) sub(key string) table {
	sub, _ := t[key].(table)
	return sub
}

func (t table) text(key, otherwise string) string {
	if s, ok := t[key].(string); ok {
		return s
	}
	return otherwise
}

func (t table) flag(key string, otherwise bool) bool {
	if b, ok := t[key].(bool); ok {
		return b
	}
	return otherwise
}

// list returns a copy of a list, or nil if the manifest does not have it.
func (t table) list(key string) []string {
	l, _ := t[key].([]string)
	return slices.Clone(l)
}

func (t table) file(key string) fileRef {
	f, _ := t[key].(fileRef)
	return f
}

// texts returns a copy of a table of strings.
func (t table) texts(key string) map[string]string {
	out := make(map[string]string)
	for k, v := range t.sub(key) {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}

// names lists the keys of a table, sorted.
func (t table) names() []string { return slices.Sorted(maps.Keys(t)) }
