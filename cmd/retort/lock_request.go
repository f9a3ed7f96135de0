package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
)

// builds are the configurations of every platform, target and cell.
func builds(m *env.Manifest) ([]env.Config, error) {
	var out []env.Config
	for _, p := range m.Platforms() {
		for _, target := range append([]string{""}, m.Targets()...) {
			for _, cell := range append([]env.Cell{{}}, m.Cells()...) {
				c, err := m.ForCell(p, target, cell)
				if err != nil {
					return nil, err
				}
				out = append(out, c)
			}
		}
	}
	return out, nil
}

// request gathers what the manifest asks for on every platform.
func (l *locker) request(ctx context.Context, o lockOptions) (debian.Request, error) {
	req, err := l.when()
	if err != nil {
		return req, err
	}
	req.Manifest, req.Platforms = l.manifest.LockDigest(), l.manifest.Platforms()
	req.Sets, req.Bare, req.Essential = map[env.Platform]map[string][]string{}, bareSets(l.manifest), true
	req.Components, req.Tools = l.config.Base.Components, debianTools(l.builds)
	req.Have = func(d digest.Digest) bool { has, err := l.store.HasBlob(ctx, d); return has && err == nil }
	if slices.Contains(o.update, "all") {
		req.UpdateAll = true
	} else {
		req.Update = l.packageUpdates(o.update)
	}
	locked, err := readMixLock(filepath.Dir(l.path))
	if err != nil {
		return req, err
	}
	for _, p := range l.manifest.Platforms() {
		sets, err := requirements(l.manifest, p)
		if err != nil {
			return req, err
		}
		if hasGit(locked) {
			sets[env.SetGit] = env.GitPackages
		}
		req.Sets[p] = sets
	}
	return req, nil
}

// when says which suite is asked, and as of when.
func (l *locker) when() (debian.Request, error) {
	req := debian.Request{
		Suite: l.config.Base.Suite, Previous: l.old, AllowExpired: l.config.Base.AllowExpired, Now: time.Now(),
	}
	if day := l.config.Base.Snapshot; day != "" {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			return req, fmt.Errorf("base.snapshot: %w", err)
		}
		req.Snapshot = at.Add(24*time.Hour - time.Second) // the day's last state
	}
	return req, nil
}

// packageUpdates leaves out of the names of --update what is no package: tools
// from source, standalone tools and plugins.
func (l *locker) packageUpdates(names []string) []string {
	packaged := debianTools(l.builds)
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return packaged[name] == "" && slices.ContainsFunc(l.builds, func(c env.Config) bool {
			return slices.ContainsFunc(c.Toolchain.FromSource(), func(s env.ToolSpec) bool { return s.Tool == name }) ||
				c.Assets != nil && slices.ContainsFunc(c.Assets.Tools, func(t env.AssetTool) bool { return t.Name == name }) ||
				slices.ContainsFunc(c.Hex.Plugins, func(p env.HexPlugin) bool { return p.Name == name })
		})
	})
}

// requirements are the package sets of a platform: those of the build without
// a target, and those of each target that differ.
func requirements(m *env.Manifest, p env.Platform) (map[string][]string, error) {
	plain, err := m.For(p, "")
	if err != nil {
		return nil, err
	}
	sets := plain.Requirements()
	var all []env.Config
	for _, other := range m.Platforms() {
		for _, target := range append([]string{""}, m.Targets()...) {
			c, err := m.For(other, target)
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
	}
	maps.Copy(sets, env.CrossRequirements(p, all))
	for _, target := range m.Targets() {
		c, err := m.For(p, target)
		if err != nil {
			return nil, err
		}
		for name, roots := range c.Requirements() {
			if !slices.Equal(sets[name], roots) {
				sets[targetSet(target, name)] = roots
			}
		}
	}
	return sets, nil
}

// bareSets are the sets that need no dependencies, under each target's name too.
func bareSets(m *env.Manifest) []string {
	bare := env.BareSets()
	for _, target := range m.Targets() {
		for _, name := range env.BareSets() {
			bare = append(bare, targetSet(target, name))
		}
	}
	return bare
}

func targetSet(target, name string) string { return "target." + target + "." + name }

// debianTools are the versions of the tools that some build takes from Debian.
func debianTools(builds []env.Config) map[string]string {
	out := map[string]string{}
	for _, c := range builds {
		for _, s := range c.Toolchain.Tools() {
			if !s.FromSource() {
				out[s.Tool] = s.Version
			}
		}
	}
	return out
}
