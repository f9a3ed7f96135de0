package hex

import (
	"fmt"
	"unicode/utf8"
)

// Metadata is what a package's metadata.config says of it.
type Metadata struct {
	Name        string
	Version     string
	App         string // OTP application; Name when the file has none
	Description string
	Elixir      string // requirement on Elixir, "" for none
	BuildTools  []string
	Licenses    []string
	Files       []string
	Requires    []Requirement
}

const maxMetadata = 4 << 20

// ParseMetadata reads a metadata.config. Unknown keys are passed over, as Hex
// adds some now and then.
func ParseMetadata(data []byte) (*Metadata, error) {
	m, err := parseMetadata(data)
	if err != nil {
		return nil, fmt.Errorf("parse metadata.config: %w", err)
	}
	return m, nil
}

func parseMetadata(data []byte) (*Metadata, error) {
	if len(data) > maxMetadata {
		return nil, fmt.Errorf("larger than %d bytes", maxMetadata)
	}
	terms, err := parseErlang(string(data))
	if err != nil {
		return nil, err
	}
	m := &Metadata{}
	seen := map[string]bool{}
	err = term{shape: listTerm, items: terms}.pairs(func(key string, v term) error {
		if seen[key] {
			return fmt.Errorf("%q stands twice", key)
		}
		seen[key] = true
		if err := m.set(key, v); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if m.App == "" {
		m.App = m.Name
	}
	switch {
	case !packageName.MatchString(m.Name):
		return nil, fmt.Errorf("%q is no package name", m.Name)
	case !semver.MatchString(m.Version):
		return nil, fmt.Errorf("%q is no version", m.Version)
	case !appName.MatchString(m.App):
		return nil, fmt.Errorf("%q is no application", m.App)
	}
	return m, nil
}

func (m *Metadata) set(key string, v term) error {
	texts := map[string]*string{
		"name": &m.Name, "version": &m.Version, "app": &m.App,
		"description": &m.Description, "elixir": &m.Elixir,
	}
	lists := map[string]*[]string{
		"build_tools": &m.BuildTools, "licenses": &m.Licenses, "files": &m.Files,
	}
	if to, ok := texts[key]; ok {
		s, ok := v.name()
		if !ok || !utf8.ValidString(s) {
			if v.is(atomTerm, "nil") {
				return nil
			}
			return fmt.Errorf("no string")
		}
		*to = s
		return nil
	}
	if to, ok := lists[key]; ok {
		if *to, ok = v.names(); !ok {
			return fmt.Errorf("no list of strings")
		}
		return nil
	}
	if key != "requirements" {
		return nil
	}
	return m.requirements(v)
}

// requirements reads the list in both its forms: pairs of a name and its
// fields, or a list of fields with the name among them.
func (m *Metadata) requirements(v term) error {
	if v.shape != listTerm && v.shape != mapTerm {
		return fmt.Errorf("no list")
	}
	if v.shape == listTerm && len(v.items) > 0 && v.items[0].shape == listTerm {
		for _, fields := range v.items {
			if err := m.requirement("", fields); err != nil {
				return err
			}
		}
		return nil
	}
	return v.pairs(m.requirement)
}

func (m *Metadata) requirement(name string, fields term) error {
	r := Requirement{Name: name, Repo: DefaultRepo}
	err := fields.pairs(func(key string, v term) error {
		to := map[string]*string{"name": &r.Name, "app": &r.App, "requirement": &r.Version, "repository": &r.Repo}[key]
		if key == "optional" {
			r.Optional = v.is(atomTerm, "true")
		}
		if to == nil || v.is(atomTerm, "nil") {
			return nil
		}
		s, ok := v.name()
		if !ok {
			return fmt.Errorf("%s: no string", key)
		}
		*to = s
		return nil
	})
	if err != nil {
		return err
	}
	if r.App == "" {
		r.App = r.Name
	}
	if !packageName.MatchString(r.Name) || !appName.MatchString(r.App) || !repoName.MatchString(r.Repo) {
		return fmt.Errorf("%q in %q is no package", r.Name, r.Repo)
	}
	m.Requires = append(m.Requires, r)
	return nil
}
