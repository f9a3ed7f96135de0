package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/env/npm"
	"github.com/retort-build/retort/internal/fetch"
)

// tools pins the standalone programs of [assets.tools], for every platform and
// target. Pins that still fit stay.
func (l *locker) tools(ctx context.Context, r *debian.Result, o lockOptions) error {
	want, err := wantedTools(l.manifest)
	if err != nil {
		return err
	}
	r.Lock.Tools = nil
	for _, w := range want {
		pin, kept := w, false
		var from string
		if l.old != nil {
			i := slices.IndexFunc(l.old.Tools, func(p env.Tool) bool { return p.Platform == w.Platform && p.Name == w.Name })
			if i >= 0 {
				old := l.old.Tools[i]
				from = old.Version
				kept = old.Version == w.Version && old.URL == w.URL && !slices.Contains(o.update, w.Name) && !slices.Contains(o.update, "all")
				if kept {
					pin = old
				}
			}
		}
		if !kept {
			if err := l.pinTool(ctx, &pin); err != nil {
				return fmt.Errorf("pin %s %s for %s: %w", w.Name, w.Version, w.Platform, err)
			}
			if from != pin.Version {
				r.Moved = append(r.Moved, debian.Moved{Platform: w.Platform, Name: w.Name, From: from, To: pin.Version})
			}
		}
		r.Lock.Tools = append(r.Lock.Tools, pin)
	}
	return nil
}

// wantedTools are the tools of every platform and target, without size and
// digest, in the order of a lock.
func wantedTools(m *env.Manifest) ([]env.Tool, error) {
	var out []env.Tool
	for _, p := range m.Platforms() {
		tools := map[string]env.Tool{}
		for _, target := range append([]string{""}, m.Targets()...) {
			c, err := m.For(p, target)
			if err != nil {
				return nil, err
			}
			if c.Assets == nil {
				continue
			}
			for _, t := range c.Assets.Tools {
				tools[t.Name] = env.Tool{Platform: p, Name: t.Name, Version: t.Version, URL: t.URL}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(tools)) {
			out = append(out, tools[name])
		}
	}
	return out, nil
}

// pinTool fetches a tool into the store and fills in its size and digest. What
// the npm registry has must have the sha512 that it names.
func (l *locker) pinTool(ctx context.Context, t *env.Tool) error {
	registry, err := l.settings.npmRegistry()
	if err != nil {
		return err
	}
	var want digest.Digest
	if name, version, ok := npm.PackageAt(t.URL); ok {
		if want, err = registry.Integrity(ctx, l.archive.Fetch, name, version); err != nil {
			return err
		}
	}
	if l.t.interactive() {
		l.t.show(fmt.Sprintf("retort: fetch %s %s for %s", t.Name, t.Version, t.Platform))
		defer l.t.show("")
	}
	urls, err := registry.Locate(t.URL)
	if err != nil {
		return err
	}
	t.Digest, t.Size, err = builder.Ingest(ctx, l.store, want, func(to fetch.Sink) error {
		_, err := l.archive.Fetch.Get(ctx, fetch.Request{URLs: urls, Digest: want, MaxSize: env.MaxTool}, to)
		return err
	})
	return err
}

// checkTools fails unless the lock's tools are in the store or served.
func (l *locker) checkTools(ctx context.Context) error {
	registry, err := l.settings.npmRegistry()
	if err != nil {
		return err
	}
	for _, t := range l.old.Tools {
		err := l.atHand(ctx, t.Digest, t.Size, func() ([]string, error) { return registry.Locate(t.URL) })
		if err != nil {
			return fmt.Errorf("check %s %s for %s: %w", t.Name, t.Version, t.Platform, err)
		}
	}
	return nil
}
