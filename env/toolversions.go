package env

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// ToolVersionFiles are the files beside a manifest that say which versions the
// project wants on a developer's machine, the first one first.
func ToolVersionFiles() []string { return []string{".tool-versions", "mise.toml", ".mise.toml"} }

// versionManagers are how asdf and mise call the tools.
var versionManagers = map[string]string{
	"erlang": ToolOTP, "elixir": ToolElixir, "hex": ToolHex, "rebar": ToolRebar3, "rebar3": ToolRebar3,
}

// ReadToolVersions reads the versions of the tools from a file such as
// .tool-versions or, if its name ends in .toml, mise.toml. What the file has
// besides is passed over; what is no version, such as latest, is "".
func ReadToolVersions(path string) (map[string]string, error) {
	data, err := ReadRegular(path, maxManifest)
	if err == nil {
		var named [][2]string
		if named, err = namedVersions(path, data); err == nil {
			return toolsOf(named), nil
		}
	}
	return nil, fmt.Errorf("read tool versions: %w", err)
}

func namedVersions(path string, data []byte) ([][2]string, error) {
	if filepath.Ext(path) != ".toml" {
		return asdfVersions(string(data)), nil
	}
	values, _, err := parseTOML(data)
	if err != nil {
		var e Error
		errors.As(err, &e)
		e.File = path
		return nil, e
	}
	return miseVersions(values), nil
}

func toolsOf(named [][2]string) map[string]string {
	out := make(map[string]string)
	for _, n := range named {
		tool := versionManagers[n[0]]
		if _, twice := out[tool]; tool != "" && !twice {
			out[tool] = plainVersion(n[1])
		}
	}
	return out
}

// plainVersion is a version as a manifest has it: without the OTP that an
// Elixir was built with. It is "" for what is none, such as "ref:main".
func plainVersion(version string) string {
	version = elixirOTPBuild.ReplaceAllString(version, "")
	if !toolVersion.MatchString(version) || len(version) > 32 {
		return ""
	}
	return version
}

// asdfVersions reads lines of a tool and a version.
func asdfVersions(text string) [][2]string {
	var out [][2]string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) > 1 {
			out = append(out, [2]string{words[0], words[1]})
		}
	}
	return out
}

// miseVersions reads the table [tools].
func miseVersions(values map[string]any) [][2]string {
	var out [][2]string
	tools, _ := values["tools"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(tools)) {
		if version := miseVersion(tools[name]); version != "" {
			out = append(out, [2]string{name, version})
		}
	}
	return out
}

// SetVersions writes versions of tools into the text of a manifest, where it
// has them already, and changes nothing else. It returns the new text, and for
// each version that changed the key and both values; name stands for the
// manifest in messages. A tool that the manifest does not have is an error that
// matches ErrNotSet.
func SetVersions(name string, data []byte, versions map[string]string) ([]byte, []string, error) {
	values, _, err := parseTOML(data)
	if err != nil {
		var e Error
		errors.As(err, &e)
		e.File = name
		return nil, nil, e
	}
	spans := findSpans(data)
	type edit struct {
		stretch
		tool, version string
	}
	var edits []edit
	var changed []string
	for _, tool := range slices.Sorted(maps.Keys(versions)) {
		key, old, ok := versionKey(values, tool)
		if !ok {
			return nil, nil, fmt.Errorf("%s: toolchain.%s: %w", name, tool, ErrNotSet)
		}
		if old == versions[tool] {
			continue
		}
		at, ok := spans[key]
		if !ok {
			return nil, nil, fmt.Errorf("%s: %s is written in a way that cannot be edited: set it to %q by hand", name, key, versions[tool])
		}
		edits = append(edits, edit{at, tool, versions[tool]})
		changed = append(changed, fmt.Sprintf("%s: %s -> %s", key, old, versions[tool]))
	}
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(b.start, a.start) })
	out := bytes.Clone(data)
	for _, e := range edits {
		out = slices.Concat(out[:e.start], []byte(strconv.Quote(e.version)), out[e.end:])
		setVersion(values, e.tool, e.version)
	}
	// The text says what was meant, or it is not written.
	if again, _, err := parseTOML(out); err != nil || !reflect.DeepEqual(again, values) {
		return nil, nil, fmt.Errorf("%s: [toolchain] is written in a way that cannot be edited: set the versions by hand", name)
	}
	return out, changed, nil
}

// ErrNotSet says that a manifest does not have a tool itself.
var ErrNotSet = errors.New("not set here")

// versionKey finds the key with the version of a tool, and its value.
func versionKey(values map[string]any, tool string) (key, version string, ok bool) {
	toolchain, _ := values["toolchain"].(map[string]any)
	switch v := toolchain[tool].(type) {
	case string:
		return joinKey("toolchain", tool), v, true
	case map[string]any:
		version, ok = v["version"].(string)
		return joinKey(joinKey("toolchain", tool), "version"), version, ok
	}
	return "", "", false
}

func setVersion(values map[string]any, tool, version string) {
	toolchain, _ := values["toolchain"].(map[string]any)
	if t, ok := toolchain[tool].(map[string]any); ok {
		t["version"] = version
	} else {
		toolchain[tool] = version
	}
}

// stretch is a part of a text.
type stretch struct{ start, end int }

// findSpans finds the values that are strings by the paths of their keys, those
// of inline tables included. Text that is not TOML gives fewer.
func findSpans(data []byte) map[string]stretch {
	s := scanner{data: data, lines: make(map[string]int), line: 1}
	out := make(map[string]stretch)
	for {
		s.skipSpace()
		if s.pos == len(data) {
			return out
		}
		start := s.pos
		if s.peek() != '[' {
			s.pair(s.table, out, 0)
			s.pos = start
		}
		if ok, err := s.statement(); !ok || err != nil {
			return out
		}
	}
}

// pair passes a key and its value, and notes where strings stand. It reports
// false where it cannot go on.
func (s *scanner) pair(table string, out map[string]stretch, depth int) bool {
	at := *s // line numbers are counted by statement alone
	path, ok, err := at.key(table, 1)
	s.pos = at.pos
	if !ok || err != nil || depth > maxDepth || s.peek() != '=' {
		return false
	}
	s.pos++
	switch c := s.peek(); c {
	case '"', '\'':
		start := s.pos
		if !s.skipString() {
			return false
		}
		if _, twice := out[path]; twice {
			return false
		}
		out[path] = stretch{start, s.pos}
		return true
	case '{':
		s.pos++
		for s.pair(path, out, depth+1) {
			if s.peek() != ',' {
				break
			}
			s.pos++
		}
		if s.peek() != '}' {
			return false
		}
		s.pos++
		return true
	}
	return s.skipPlain()
}

// skipPlain passes a value that is neither a string nor an inline table, up to
// the comma, brace or end of line behind it.
func (s *scanner) skipPlain() bool {
	for depth := 0; s.pos < len(s.data); s.pos++ {
		switch s.data[s.pos] {
		case '"', '\'':
			if !s.skipString() {
				return false
			}
			s.pos--
		case '[':
			depth++
		case ']':
			depth--
		case ',', '}', '\n', '#':
			if depth == 0 {
				return true
			}
		}
	}
	return true
}
