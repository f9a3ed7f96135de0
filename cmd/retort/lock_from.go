package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
)

// adopted is a manifest with versions of another file, not yet written.
type adopted struct {
	path    string // of the manifest
	data    []byte
	changed []string
}

// adopt takes the versions of a file such as .tool-versions into the manifest.
// Tools that the manifest does not ask for are passed over.
func adopt(dir string, m *env.Manifest, file string) (*adopted, *env.Manifest, error) {
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	versions, err := env.ReadToolVersions(file)
	if err != nil {
		return nil, nil, err
	}
	c, err := m.For(m.Platforms()[0], "")
	if err != nil {
		return nil, nil, err
	}
	wanted := map[string]string{}
	for _, s := range c.Toolchain.Tools() {
		switch version, ok := versions[s.Tool]; {
		case ok && version == "":
			return nil, nil, fmt.Errorf("%s: %s has no version that can be pinned, such as %s", file, s.Tool, s.Version)
		case ok:
			wanted[s.Tool] = version
		}
	}
	if len(wanted) == 0 {
		return nil, nil, fmt.Errorf("%s: has no version of Erlang or Elixir", file)
	}
	maps.DeleteFunc(wanted, func(tool, version string) bool { return specOf(c, tool).Version == version })
	a := &adopted{path: filepath.Join(dir, "toolchain.toml")}
	data, err := os.ReadFile(a.path)
	if err != nil {
		return nil, nil, err
	}
	if a.data, a.changed, err = env.SetVersions("toolchain.toml", data, wanted); err != nil {
		return nil, nil, whoSets(m, wanted, err)
	}
	m, err = env.ParseManifest(a.path, a.data, env.OpenManifest)
	return a, m, err
}

func specOf(c env.Config, tool string) env.ToolSpec {
	for _, s := range c.Toolchain.Tools() {
		if s.Tool == tool {
			return s
		}
	}
	return env.ToolSpec{}
}

// whoSets names the manifest to edit for a tool that is inherited.
func whoSets(m *env.Manifest, wanted map[string]string, err error) error {
	if !errors.Is(err, env.ErrNotSet) {
		return err
	}
	for _, tool := range slices.Sorted(maps.Keys(wanted)) {
		one := map[string]string{tool: wanted[tool]}
		for i, file := range m.Files() {
			data, _, rerr := env.OpenManifest(file)
			if rerr != nil {
				return rerr
			}
			if _, _, serr := env.SetVersions(file, data, one); errors.Is(serr, env.ErrNotSet) {
				continue
			}
			if i == 0 {
				break
			}
			return fmt.Errorf("toolchain.%s is inherited from %s: set it to %q there, or here", tool, file, wanted[tool])
		}
	}
	return err
}

// write puts the new manifest in place of the old one, whose mode it keeps.
func (a *adopted) write(t *terminal) error {
	if len(a.changed) == 0 {
		return nil
	}
	path, err := filepath.EvalSymlinks(a.path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := replaceFileAs(path, a.data, info.Mode().Perm()); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	for _, line := range a.changed {
		t.say("%s", line)
	}
	return nil
}

// warnOfVersions warns of files that say other versions than the lock.
func (l *locker) warnOfVersions() {
	dir := filepath.Dir(l.path)
	for _, name := range env.ToolVersionFiles() {
		versions, err := env.ReadToolVersions(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			l.t.warn("%v", err)
			continue
		}
		var differ []string
		for _, s := range l.config.Toolchain.Tools() {
			have := pinned(l.old, l.config, s)
			if want, ok := versions[s.Tool]; ok && want != "" && want != have && !strings.HasPrefix(have, want+".") {
				differ = append(differ, fmt.Sprintf("%s %s, not %s", s.Tool, want, have))
			}
		}
		if len(differ) > 0 {
			l.t.warn("%s says %s", name, strings.Join(differ, "; "))
			l.t.hint("retort lock --from %s", name)
		}
	}
}
