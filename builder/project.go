package builder

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Project is what Mix says of an application: the content of the file that
// mix/project.exs writes.
type Project struct {
	App            string       `json:"app"` // "" for an umbrella
	Version        string       `json:"version"`
	Releases       []string     `json:"releases"`
	DefaultRelease string       `json:"default_release"`
	Umbrella       bool         `json:"umbrella"`
	Apps           []ProjectApp `json:"apps"`
	Deps           []ProjectDep `json:"deps"` // in the order they compile
	OTPApps        []string     `json:"otp_apps"`
	ElixirApps     []string     `json:"elixir_apps"`
	OTP            string       `json:"otp"`
	Elixir         string       `json:"elixir"`
	// Config is the compile-time configuration of each application: a term in
	// the external format and base64, or nil if it holds what means nothing
	// to another VM.
	Config map[string]*string `json:"config"`
	// ConfigAsked: the configuration's files asked for the machine's architecture.
	ConfigAsked bool `json:"config_asked"`
}

// ProjectApp is an application whose source is in the project.
type ProjectApp struct {
	App  string `json:"app"`
	Path string `json:"path"`
}

// ProjectDep is a dependency in the environment the release is built for.
type ProjectDep struct {
	App        string   `json:"app"`
	SCM        string   `json:"scm"`     // "Hex.SCM", "Mix.SCM.Git" or "Mix.SCM.Path"
	Manager    string   `json:"manager"` // "mix", "rebar3", "make" or ""
	TopLevel   bool     `json:"top_level"`
	Dest       string   `json:"dest"`
	InUmbrella bool     `json:"in_umbrella"`
	Options    string   `json:"options"` // an Elixir keyword list
	Deps       []string `json:"deps"`
}

// maxProject bounds project.json: some hundred bytes a dependency.
const maxProject = 8 << 20

// An OTP application's name, and so a folder's.
var appName = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]{0,254}$`)

// ParseProject reads project.json. It comes out of a sandbox that ran the
// user's code, so it is checked like any foreign file.
func ParseProject(data []byte) (Project, error) {
	var p Project
	if len(data) > maxProject {
		return p, fmt.Errorf("read project: more than %d bytes", maxProject)
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return p, fmt.Errorf("read project: %w", err)
	}
	names := slices.Clone(p.Releases)
	for _, d := range p.Deps {
		names = append(append(names, d.App), d.Deps...)
	}
	for app := range p.Config {
		if !appName.MatchString(app) {
			p.Config[app] = nil // no application of that name: only the files can say it
		}
	}
	for _, a := range p.Apps {
		names = append(names, a.App)
	}
	if p.App != "" {
		names = append(names, p.App)
	}
	for _, name := range names {
		if !appName.MatchString(name) {
			return p, fmt.Errorf("read project: %q is no application name", name)
		}
	}
	if p.App == "" && !p.Umbrella {
		return p, errors.New("mix.exs names neither an app nor an apps_path")
	}
	return p, nil
}

// name is the application's, or that of the first of an umbrella.
func (p Project) name() string {
	if len(p.Apps) > 0 {
		return p.Apps[0].App
	}
	return p.App
}

// appOf is the application of a file in a folder that applications compile to.
func (p Project) appOf(file string) string {
	if _, rest, ok := strings.Cut(file, "/lib/"); ok {
		app, _, _ := strings.Cut(rest, "/")
		return app
	}
	return p.name()
}

// ReleaseName picks the release to build: the one asked for, or the project's
// only or default one.
func (p Project) ReleaseName(want string) (string, error) {
	known := p.Releases
	if len(known) == 0 && p.App != "" {
		known = []string{p.App}
	}
	list := strings.Join(known, ", ")
	switch {
	case want != "" && slices.Contains(known, want):
		return want, nil
	case want != "" && len(known) == 0:
		return "", fmt.Errorf("release %q: mix.exs of this umbrella has no releases", want)
	case want != "":
		return "", fmt.Errorf("release %q is not in mix.exs, which has: %s", want, list)
	case p.DefaultRelease != "":
		return p.DefaultRelease, nil
	case len(known) == 1:
		return known[0], nil
	case len(known) == 0:
		return "", errors.New("mix.exs of this umbrella has no releases: add one to its list")
	}
	return "", fmt.Errorf("mix.exs has several releases (%s): name one with [release] name in toolchain.toml", list)
}
