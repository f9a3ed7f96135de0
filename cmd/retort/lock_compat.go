package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
)

// checkCompatible refuses an Elixir that does not run on its OTP, in any build.
// With a lock it asks of the versions that are pinned.
func (l *locker) checkCompatible(lock *env.Lock) error {
	var warned []string
	for _, c := range l.builds {
		otp, elixir := pinned(lock, c, c.Toolchain.OTP), pinned(lock, c, c.Toolchain.Elixir)
		if err := env.Compatible(otp, elixir); err != nil {
			return fmt.Errorf("toolchain%s: %w", ofBuild(c), err)
		}
		pair := "Elixir " + elixir + " on OTP " + otp
		if lock != nil && !env.CompatibilityKnown(otp, elixir) && !slices.Contains(warned, pair) {
			warned = append(warned, pair)
			l.t.warn("retort does not know whether %s runs: it is newer than its table", pair)
		}
	}
	return nil
}

// pinned is the version of a tool in a lock, or what the manifest says of it.
func pinned(lock *env.Lock, c env.Config, s env.ToolSpec) string {
	if lock == nil {
		return s.Version
	}
	if s.FromSource() {
		pin, _ := lock.Source(s.Tool, s.Want())
		return pin.Version
	}
	i := slices.IndexFunc(lock.Packages, func(p env.Package) bool {
		return p.Platform == c.Platform && p.Name == debian.ToolPackage(s.Tool)
	})
	if i < 0 {
		return s.Version
	}
	return debian.UpstreamVersion(lock.Packages[i].Version)
}

// ofBuild names what sets a build apart from the plain one.
func ofBuild(c env.Config) string {
	var parts []string
	if c.Target != "" {
		parts = append(parts, "target "+c.Target)
	}
	if c.Cell != (env.Cell{}) {
		parts = append(parts, c.Cell.String())
	}
	if len(parts) == 0 {
		return ""
	}
	return " of " + strings.Join(parts, ", ")
}

// sayLeftOut names the combinations of the matrix that do not work together,
// which is a matter of OTP and Elixir alone.
func (l *locker) sayLeftOut() {
	var said []env.Cell
	for _, out := range l.manifest.LeftOut() {
		out.Cell.OpenSSL = ""
		if !slices.Contains(said, out.Cell) {
			said = append(said, out.Cell)
			l.t.say("matrix: %s is left out: %v", out.Cell, out.Err)
		}
	}
}
