package debian

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
)

// toolPackages are the packages whose upstream version is that of a tool.
var toolPackages = map[string]string{
	"otp":     "erlang-base",
	"elixir":  "elixir",
	"hex":     "erlang-hex",
	"rebar3":  "rebar3",
	"openssl": "openssl",
}

// ToolPackage is the Debian package whose upstream version is that of a tool:
// "otp", "elixir", "hex", "rebar3" or "openssl"; "" for anything else.
func ToolPackage(tool string) string { return toolPackages[tool] }

// sourcePackages are the source packages whose upstream tarball is that of a
// tool.
var sourcePackages = map[string]string{
	"otp":     "erlang",
	"elixir":  "elixir-lang",
	"hex":     "erlang-hex",
	"rebar3":  "rebar3",
	"openssl": "openssl",
}

// VersionError says that a suite does not have the demanded version of a tool.
type VersionError struct {
	Tool, Want string
	Package    string
	Platform   env.Platform
	Suite      string
	Have       []string // "27.3.4.1 (trixie, 1:27.3.4.1+dfsg-1)", newest first; empty for none at all
	Elsewhere  []string // other suites that have the wanted version, where they could be asked
}

func (e *VersionError) Error() string {
	s := fmt.Sprintf("%s %s is not in %s for %s: package %s ", e.Tool, e.Want, e.Suite, e.Platform, e.Package)
	if len(e.Have) == 0 {
		s += "is not there"
	} else {
		s += "is there as " + strings.Join(e.Have, ", ")
	}
	if len(e.Elsewhere) > 0 {
		s += "; it is in " + strings.Join(e.Elsewhere, ", ")
	}
	return s
}

// Fits says whether an upstream version is the wanted one, or begins so and is
// no release candidate.
func Fits(upstream, want string) bool {
	_, ok := env.NewestMatching([]string{released(upstream)}, released(want))
	return ok
}

// released is a version as its makers write it: Debian has a tilde before what
// comes before a release.
func released(upstream string) string { return strings.ReplaceAll(upstream, "~", "-") }

// demandTools bans all versions of the tools' sources but the wanted ones.
func demandTools(u *universe, p env.Platform, suite string, tools map[string]string) error {
	for _, tool := range slices.Sorted(maps.Keys(tools)) {
		want := tools[tool]
		name := toolPackages[tool]
		if name == "" {
			return fmt.Errorf("%s: no tool that a suite packages", tool)
		}
		e := &VersionError{Tool: tool, Want: want, Package: name, Platform: p, Suite: suite}
		sources := make(map[string]bool)
		met := false
		for _, s := range u.byName[name] {
			upstream := UpstreamVersion(s.version)
			met = met || Fits(upstream, want)
			sources[s.source] = true
			e.Have = append(e.Have, fmt.Sprintf("%s (%s, %s)", upstream, s.suite, s.version))
		}
		if !met {
			return e
		}
		for _, list := range u.byName {
			for _, s := range list {
				if sources[s.source] && !Fits(UpstreamVersion(s.sourceVersion), want) {
					u.banned[s] = "not of the wanted " + tool + " " + want
				}
			}
		}
	}
	return nil
}

// elsewhere looks for a tool's version in the other suites that the mirrors
// have. It is only asked for the sake of an error's text: what fails on the
// way is passed over.
func (l *loader) elsewhere(ctx context.Context, e *VersionError) {
	for _, suite := range []string{"bookworm", "trixie", "forky", "sid"} {
		if suite == l.req.Suite || ctx.Err() != nil {
			continue
		}
		other := *l
		other.req = &Request{Suite: suite, Now: l.req.Now, AllowExpired: []string{suite, suite + "-updates", suite + "-security"}}
		states, _, err := other.suites(ctx)
		if err != nil {
			continue
		}
		for _, s := range states {
			found := false
			err := other.packages(ctx, s, e.Platform.Arch(), func(p *stanza) error {
				found = found || p.name == e.Package && Fits(UpstreamVersion(p.version), e.Want)
				return nil
			})
			if err == nil && found {
				e.Elsewhere = append(e.Elsewhere, s.name)
			}
		}
	}
}
