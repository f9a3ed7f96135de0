package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/env/upstream"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/layers"
)

// lockOptions are the flags of lock.
type lockOptions struct {
	check, repair, json bool
	update              []string
	from                string // file with versions to take
}

func cmdLock(fs *flag.FlagSet) action {
	var o lockOptions
	fs.BoolVar(&o.check, "check", false, "change nothing; fail unless the lock fits toolchain.toml and its files are served")
	fs.BoolVar(&o.repair, "repair", false, "move only those pins whose files no source serves any more")
	fs.Func("update", "let the pin of package or tool `NAME` move (may be repeated; \"all\" moves every pin)", func(s string) error {
		o.update = append(o.update, strings.Split(s, ",")...)
		return nil
	})
	fs.StringVar(&o.from, "from", "", "first take the versions of `FILE`, a .tool-versions or mise.toml, into toolchain.toml")
	fs.BoolVar(&o.json, "json", false, "print what moved as JSON")
	return func(ctx context.Context, t *terminal, args []string) error {
		if len(args) > 0 {
			return usagef("lock takes no arguments")
		}
		if o.check && (o.repair || len(o.update) > 0) || o.repair && len(o.update) > 0 {
			return usagef("lock: --check, --repair and --update exclude each other")
		}
		if o.from != "" && (o.check || o.repair) {
			return usagef("lock: --from goes with neither --check nor --repair")
		}
		return lock(ctx, t, o)
	}
}

// A locker resolves the manifest of one project.
type locker struct {
	t        *terminal
	manifest *env.Manifest
	path     string    // of the lock
	old      *env.Lock // nil if there is none
	settings settings
	store    *layers.Store
	archive  *debian.Archive
	config   env.Config   // of the first platform
	builds   []env.Config // of every platform, target and cell
	upstream *upstream.Client
	suites   map[string]suiteSources // that were asked for source releases
	moves    []sourceMove
	adopted  *adopted // the manifest to write, or nil
}

func lock(ctx context.Context, t *terminal, o lockOptions) error {
	l, err := openLocker(t, o.from)
	if err != nil {
		return err
	}
	defer l.store.Close()
	switch {
	case o.check:
		return l.check(ctx)
	case o.repair && l.old == nil:
		return fmt.Errorf("repair %s: %w", l.path, env.ErrNoLock)
	case o.repair:
		if err := l.manifest.CheckLock(l.old); err != nil {
			return err
		}
	}
	l.sayLeftOut()
	if err := l.checkCompatible(nil); err != nil {
		return err
	}
	result, err := l.resolve(ctx, o)
	if err != nil {
		return err
	}
	if err := l.plugins(ctx, &result.Lock, o); err != nil {
		return err
	}
	if err := l.tools(ctx, &result, o); err != nil {
		return err
	}
	if err := l.sources(ctx, &result.Lock, o); err != nil {
		return err
	}
	if err := l.checkCompatible(&result.Lock); err != nil {
		return err
	}
	return l.write(result, o.json)
}

// resolve asks the archive, and shows how much of its indices has arrived.
func (l *locker) resolve(ctx context.Context, o lockOptions) (debian.Result, error) {
	req, err := l.request(ctx, o)
	if err != nil {
		return debian.Result{}, err
	}
	if l.t.interactive() {
		var arrived atomic.Int64
		l.archive.Progress = func(n int64) {
			l.t.show(fmt.Sprintf("retort: resolve %s, fetched %s", req.Suite, bytesText(arrived.Add(n))))
		}
		l.t.show("retort: resolve " + req.Suite)
		defer l.t.show("")
	}
	if o.repair {
		return l.archive.Repair(ctx, req)
	}
	return l.archive.Resolve(ctx, req)
}

// openLocker reads manifest and lock. With a file to take versions from, the
// manifest is as it will be.
func openLocker(t *terminal, from string) (*locker, error) {
	dir, m, err := t.loadManifest()
	if err != nil {
		return nil, err
	}
	l := &locker{t: t, path: filepath.Join(dir, "toolchain.lock")}
	if from != "" {
		if l.adopted, m, err = adopt(dir, m, from); err != nil {
			return nil, err
		}
	}
	l.manifest = m
	l.old, err = env.LoadLock(l.path)
	if errors.Is(err, env.ErrNoLock) {
		l.old, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	if l.config, err = m.For(m.Platforms()[0], ""); err != nil {
		return nil, err
	}
	if l.builds, err = builds(m); err != nil {
		return nil, err
	}
	if l.settings, err = loadSettings(); err != nil {
		return nil, err
	}
	mirrors, err := l.settings.mirrors()
	if err != nil {
		return nil, err
	}
	l.archive = &debian.Archive{Mirrors: mirrors, Fetch: &fetch.Client{}}
	bases, err := l.settings.upstream()
	if err != nil {
		return nil, err
	}
	l.upstream = &upstream.Client{Fetch: l.archive.Fetch, Bases: bases}
	if l.config.Base.Keyring != "" {
		if l.archive.Keyring, err = os.ReadFile(l.config.Base.Keyring); err != nil {
			return nil, fmt.Errorf("read keyring: %w", err)
		}
	}
	if l.store, err = l.settings.openStore(); err != nil {
		return nil, err
	}
	l.archive.Cache = blobCache{l.store}
	return l, nil
}

// plugins pins the rebar3 plugins of the manifest. Pins that still fit stay.
func (l *locker) plugins(ctx context.Context, lock *env.Lock, o lockOptions) error {
	want := l.config.Hex.Plugins
	lock.Plugins = nil
	if len(want) == 0 {
		return nil
	}
	if l.old != nil && (o.repair || pluginsFit(l.old.Plugins, want, o.update)) {
		lock.Plugins = l.old.Plugins
		return nil
	}
	repos, err := findHexRepos(l.config, l.settings, nil, l.t.warn)
	if err != nil {
		return err
	}
	var asked []hex.Requirement
	for _, p := range want {
		asked = append(asked, hex.Requirement{App: p.Name, Name: p.Name, Version: "== " + p.Version, Repo: "hexpm"})
	}
	pins, err := hex.Resolver{Repos: repos.list, Fetch: l.archive.Fetch}.Resolve(ctx, asked)
	if err != nil {
		return err
	}
	lock.Plugins = pins
	return nil
}

func pluginsFit(pins []env.HexPin, want []env.HexPlugin, update []string) bool {
	return !slices.ContainsFunc(want, func(w env.HexPlugin) bool {
		return slices.Contains(update, w.Name) || !slices.ContainsFunc(pins, func(p env.HexPin) bool {
			return p.Name == w.Name && p.Version == w.Version
		})
	})
}

// check fails unless the lock fits the manifest and its files can be had.
func (l *locker) check(ctx context.Context) error {
	if l.old == nil {
		return fmt.Errorf("check %s: %w", l.path, env.ErrNoLock)
	}
	locked, err := readMixLock(filepath.Dir(l.path))
	if err != nil {
		return err
	}
	for _, p := range l.manifest.Platforms() {
		if hasGit(locked) && len(l.old.Sets[p][env.SetGit]) == 0 {
			return fmt.Errorf("check %s: %w", l.path, errNoGit)
		}
	}
	have := func(d digest.Digest) bool { has, err := l.store.HasBlob(ctx, d); return has && err == nil }
	if err := l.archive.Check(ctx, l.old, l.manifest.LockDigest(), have); err != nil {
		return err
	}
	if err := l.checkTools(ctx); err != nil {
		return err
	}
	if err := l.checkSources(ctx); err != nil {
		return err
	}
	l.warnOfVersions()
	l.t.say("%s fits toolchain.toml; every file is in the store or served", l.path)
	return nil
}

// write puts the lock in place of the old one and prints what moved.
func (l *locker) write(r debian.Result, asJSON bool) error {
	if err := r.Lock.Validate(); err != nil {
		return fmt.Errorf("internal error: new lock: %w", err)
	}
	text := env.EncodeLock(&r.Lock)
	for _, name := range r.Missing {
		l.t.warn("no mirror has %s: its updates are left out", name)
	}
	for _, s := range r.Skew {
		l.t.warn("source package %s has different versions: %s", s.Source, skewText(s))
	}
	if l.old != nil {
		for _, m := range r.Moved {
			l.t.say("%s", movedText(m))
		}
	}
	for _, m := range l.moves {
		l.t.say("%s", m)
	}
	if l.adopted != nil {
		if err := l.adopted.write(l.t); err != nil {
			return err
		}
	}
	current, err := os.ReadFile(l.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !bytes.Equal(current, text) {
		if err := replaceFile(l.path, text); err != nil {
			return fmt.Errorf("write lock: %w", err)
		}
	} else {
		l.t.say("nothing moved")
	}
	sum := digest.FromBytes(text)
	if asJSON {
		return l.t.printJSON(map[string]any{"path": l.path, "digest": sum, "moved": r.Moved, "sources": l.moves, "packages": len(r.Lock.Packages)})
	}
	l.t.result(l.path, sum.String())
	return nil
}

func movedText(m debian.Moved) string {
	switch {
	case m.From == "":
		return fmt.Sprintf("%s %s: new, %s", m.Platform, m.Name, m.To)
	case m.To == "":
		return fmt.Sprintf("%s %s: gone, was %s", m.Platform, m.Name, m.From)
	}
	return fmt.Sprintf("%s %s: %s -> %s", m.Platform, m.Name, m.From, m.To)
}

func skewText(s debian.Skew) string {
	var parts []string
	for _, p := range env.Platforms() {
		if v, ok := s.Versions[p]; ok {
			parts = append(parts, fmt.Sprintf("%s %s", p, v))
		}
	}
	return strings.Join(parts, ", ")
}

// replaceFile writes a file as a whole or not at all.
func replaceFile(path string, data []byte) error { return replaceFileAs(path, data, 0o644) }

func replaceFileAs(path string, data []byte, mode fs.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(data)
	if err == nil {
		err = temp.Chmod(mode)
	}
	if err == nil {
		err = temp.Sync()
	}
	if cerr := temp.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
