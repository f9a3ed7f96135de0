package env

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func docs(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Every key of the schema is explained, and every example is valid.
func TestManifestDocs(t *testing.T) {
	text := docs(t, "../docs/manifest.md")
	var visit func(path string, n *node)
	visit = func(path string, n *node) {
		for _, key := range slices.Sorted(maps.Keys(n.fields)) {
			child := n.fields[key]
			if child.kind == fixedKind || child.kind == namedKind && child.each.kind == fixedKind {
				visit(key, child)
				continue
			}
			if child.kind == toolKind {
				visit(key, child)
			}
			if !strings.Contains(text, "`"+key+"`") && !strings.Contains(text, key+".NAME`") {
				t.Errorf("docs/manifest.md does not explain %s.%s", path, key)
			}
		}
		if n.each != nil {
			for _, key := range slices.Sorted(maps.Keys(n.each.fields)) {
				if !strings.Contains(text, "`"+key+"`") && !strings.Contains(text, ".NAME."+key+"`") {
					t.Errorf("docs/manifest.md does not explain %s.NAME.%s", path, key)
				}
			}
		}
	}
	visit("", manifestSchema())
	for _, example := range regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(text, -1) {
		in := example[1]
		if !strings.Contains(in, "[toolchain]") {
			in += minimal
		}
		base := func(rel string) ([]byte, string, error) { return []byte(minimal), rel, nil }
		if _, err := ParseManifest("docs/example/app/toolchain.toml", []byte(in), base); err != nil {
			t.Errorf("%v\n%s", err, in)
		}
	}
}

// The reference in the workspace's manifest shows every key, and is valid as a
// whole once the comments are taken away.
func TestReferenceManifest(t *testing.T) {
	var open strings.Builder
	key := regexp.MustCompile(`^# (\[[a-z0-9_.]+\]|[a-z_0-9]+ *= )`)
	for line := range strings.Lines(docs(t, "../toolchain.toml")) {
		if key.MatchString(line) {
			line = line[2:]
		}
		open.WriteString(line)
	}
	text := open.String()
	m, err := ParseManifest("toolchain.toml", []byte(text), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for section, n := range overridable() {
		for k := range n.fields {
			if section != "nif" && m.root.sub(section)[k] == nil {
				t.Errorf("toolchain.toml does not show %s.%s", section, k)
			}
		}
	}
}
