package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/builder/sandbox"
	"github.com/retort-build/retort/builder/source"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/layers"
)

// A workspace is one project and what the user's settings say of building it.
type workspace struct {
	dir      string // absolute
	manifest *env.Manifest
	lock     *env.Lock
	config   env.Config
	settings settings
	store    *layers.Store
	notes    []string                 // what the user should know of the plan
	patches  map[digest.Digest]string // files with patches of tools
	// host is the same for this machine's platform, if its programs make the
	// release for another; otherwise nil.
	host *workspace
}

// native is the platform of this machine.
func native() env.Platform { return env.Platform("linux/" + runtime.GOARCH) }

func (t *terminal) project() (string, error) {
	dir, err := filepath.Abs(t.dir)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("-C %s: not a folder", t.dir)
	}
	// The path must not depend on the symbolic link one came by: roots of the
	// store and cached source hashes are kept by it.
	return filepath.EvalSymlinks(dir)
}

// loadManifest reads the manifest of the project.
func (t *terminal) loadManifest() (string, *env.Manifest, error) {
	dir, err := t.project()
	if err != nil {
		return "", nil, err
	}
	m, err := env.LoadManifest(filepath.Join(dir, "toolchain.toml"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("%s has no toolchain.toml: run retort init", t.dir)
	}
	return dir, m, err
}

// open loads manifest and lock, which must match, and opens the store. with
// names a cell of the matrix, or is "".
func (t *terminal) open(ctx context.Context, p env.Platform, target, with string) (*workspace, error) {
	dir, m, err := t.loadManifest()
	if err != nil {
		return nil, err
	}
	w := &workspace{dir: dir, manifest: m, patches: make(map[digest.Digest]string)}
	cell, err := findCell(m, with)
	if err != nil {
		return nil, err
	}
	if w.config, err = m.ForCell(p, target, cell); err != nil {
		return nil, err
	}
	if w.lock, err = env.LoadLock(filepath.Join(dir, "toolchain.lock")); err != nil {
		return nil, err
	}
	if err := m.CheckLock(w.lock); err != nil {
		return nil, err
	}
	if w.settings, err = loadSettings(); err != nil {
		return nil, err
	}
	if err := w.chooseMethod(); err != nil {
		return nil, err
	}
	if w.store, err = w.settings.openStore(); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *workspace) close() { w.store.Close() }

// builder returns a Builder for the workspace that shows its work on p.
func (w *workspace) builder(p *progress, jobs int, verbose bool) (*builder.Builder, error) {
	fetcher, err := w.fetcher(p.t.warn)
	if err != nil {
		return nil, err
	}
	b := &builder.Builder{
		Store: w.store, Engine: sandbox.New(), Fetcher: fetcher, Git: w.settings.gitCache(), Open: w.openSource, Jobs: jobs, Project: w.dir, OnEvent: p.event,
		Emulated: emulated(w.config.Toolchain.OTP.Version),
	}
	if verbose {
		b.Log = func(step string) io.Writer { return p.log(p.label(step, w.config.Platform)) }
	}
	return b, nil
}

// openSource gives the content of source files and of retort's own scripts.
func (w *workspace) openSource(r *layers.Recipe, f layers.SourceFile) (io.ReadCloser, error) {
	if content, ok := builder.Script(r, f); ok {
		return content, nil
	}
	if strings.HasPrefix(f.Path, builder.PatchFolder+"/") && strings.HasPrefix(r.Name, "patches:") {
		return os.Open(w.patches[f.Digest])
	}
	return os.Open(filepath.Join(w.dir, filepath.FromSlash(f.Path)))
}

// A listing is the project's source as it was at one time.
type listing struct {
	files []layers.SourceFile
	at    commit
}

func (w *workspace) list(ctx context.Context) (listing, error) {
	var l listing
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		l.at, err = w.commit(ctx)
		return err
	})
	group.Go(func() (err error) {
		l.files, err = w.files(ctx)
		return err
	})
	return l, group.Wait()
}

// files lists the files of the project's source.
func (w *workspace) files(ctx context.Context) ([]layers.SourceFile, error) {
	stamps := filepath.Join(w.settings.home, "stamps")
	if err := os.MkdirAll(stamps, 0o755); err != nil {
		return nil, err
	}
	cache := source.OpenCache(filepath.Join(stamps, digest.FromString(w.dir).Encoded()))
	files, err := source.List(ctx, w.dir, cache)
	if err != nil {
		return nil, err
	}
	return files, cache.Save()
}

// app is appOf the source as it is now.
func (w *workspace) app(ctx context.Context) (builder.MixApp, error) {
	files, err := w.files(ctx)
	if err != nil {
		return builder.MixApp{}, err
	}
	return w.appOf(ctx, files)
}

// appOf gathers what the plan of the project with these files is made from.
func (w *workspace) appOf(ctx context.Context, files []layers.SourceFile) (builder.MixApp, error) {
	if !slices.ContainsFunc(files, func(f layers.SourceFile) bool { return f.Path == "mix.exs" }) {
		return builder.MixApp{}, fmt.Errorf("%s has no mix.exs, or .gitignore excludes it: retort builds Mix projects", w.dir)
	}
	if err := checkAuthFiles(w.config, w.dir, files); err != nil {
		return builder.MixApp{}, err
	}
	version, err := w.version(ctx)
	if err != nil {
		return builder.MixApp{}, err
	}
	a := builder.MixApp{
		Platform: w.config.Platform, Source: files, Version: version,
		MixEnv: w.config.Release.MixEnv, MixTarget: w.config.Release.MixTarget,
		Config: w.config.Release.Config, VMArgs: w.config.Release.VMArgs,
	}
	if a.Locked, err = w.mixLock(); err != nil {
		return a, err
	}
	for _, plugin := range w.lock.Plugins {
		a.Plugins = append(a.Plugins, hex.FromPin(plugin))
	}
	if w.host != nil {
		return a, w.cross(&a)
	}
	return a, w.roots(&a)
}

func (w *workspace) mixLock() ([]hex.Locked, error) {
	locked, err := readMixLock(w.dir)
	if err != nil {
		return nil, err
	}
	if err := hex.CheckOuter("mix.lock", locked); err != nil {
		return nil, err
	}
	return locked, checkGit(locked)
}

// readMixLock reads the mix.lock of a project, which may have none.
func readMixLock(dir string) ([]hex.Locked, error) {
	data, err := os.ReadFile(filepath.Join(dir, "mix.lock"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return hex.ParseLock("mix.lock", data)
}

// roots fills in how root file systems are planned. A project without
// dependencies needs neither Hex nor rebar3.
func (w *workspace) roots(a *builder.MixApp) error {
	if len(w.lock.Sets[a.Platform]) == 0 {
		return fmt.Errorf("toolchain.lock has no packages for %s: name the platform in platforms of toolchain.toml and run retort lock", a.Platform)
	}
	var err error
	if a.Toolchain, err = w.toolchain(); err != nil {
		return err
	}
	if len(a.Locked) > 0 && len(w.set(env.SetHex)) == 0 && a.Toolchain.Hex == nil {
		return errors.New("mix.lock has dependencies, and toolchain.toml pins no Hex: add hex = \"VERSION\" to [toolchain] and run retort lock")
	}
	if hasGit(a.Locked) && len(w.set(env.SetGit)) == 0 {
		return errNoGit
	}
	a.NIFs, a.SharedNIFs = w.config.NIFs, w.manifest.Inherits()
	for _, d := range w.config.Deps {
		if a.ConfigApps == nil {
			a.ConfigApps = make(map[string][]string)
		}
		a.ConfigApps[d.App] = d.ConfigApps
	}
	a.Root = w.stepRoot(a)
	if err := errors.Join(w.generate(a), w.assets(a)); err != nil {
		return err
	}
	a.Image, err = w.imagePackages(w.config.Base.Suite)
	return err
}

// stepRoot plans the root file systems of steps.
func (w *workspace) stepRoot(a *builder.MixApp) func(builder.Need) (layers.RootFS, error) {
	return func(n builder.Need) (layers.RootFS, error) {
		name, sets := "configure", []string(nil)
		if len(a.Locked) > 0 {
			sets = []string{env.SetHex, env.SetRebar3}
		}
		if n.Compilers {
			if len(w.set(env.SetNative)) == 0 {
				return layers.RootFS{}, errors.New("toolchain.lock pins no compilers: add [nif.NAME] for the dependency to toolchain.toml, with build = [\"make\"] if make compiles it, and run retort lock")
			}
			name, sets = name+":native", append(sets, env.SetNative)
		}
		if n.Git {
			name, sets = name+":git", append(sets, env.SetGit)
		}
		for _, nif := range n.NIFs {
			name, sets = name+":"+nif, append(sets, env.NIFBuildSet(nif))
		}
		if n.Cross {
			set := env.CrossSet(a.Cross.Platform)
			if len(w.set(set)) == 0 {
				return layers.RootFS{}, noCompilers(a.Cross.Platform, a.Platform)
			}
			name, sets = name+":"+set, append(sets, set)
		}
		return w.programRoot(name, sets...)
	}
}

// programRoot plans the root file system that programs of the toolchain run in,
// with further sets.
func (w *workspace) programRoot(name string, sets ...string) (layers.RootFS, error) {
	return w.rootFS(name, append([]string{env.SetToolchain, env.SetElixir}, sets...)...)
}

// rootFS plans the root file system of a step: the essential packages, and those
// of the sets.
func (w *workspace) rootFS(name string, sets ...string) (layers.RootFS, error) {
	compiled := len(w.config.Toolchain.FromSource()) > 0
	roots := slices.Clone(w.set(env.SetEssential))
	var bare []string
	for _, set := range sets {
		if compiled && slices.Contains(env.BareSets(), set) {
			bare = append(bare, w.set(set)...)
		} else {
			roots = append(roots, w.set(set)...)
		}
	}
	return layers.Toolchain(w.lock, w.config.Platform, w.config.Base.Suite, name, roots, bare)
}

// imagePackages unpacks what the image holds besides the release, and nothing
// that these packages depend on only to be configured.
func (w *workspace) imagePackages(suite string) ([]layers.Recipe, error) {
	names, err := w.wholePackages()
	if err != nil {
		return nil, err
	}
	var out []layers.Recipe
	for _, p := range w.lock.Packages {
		switch {
		case p.Platform != w.config.Platform || !slices.Contains(names, p.Name):
		case w.host != nil:
			out = append(out, layers.ForeignDebRecipe(p, suite))
		default:
			out = append(out, layers.DebRecipe(p, suite))
		}
	}
	return out, nil
}

// set returns the root packages of a set, as the target has it. The lock has a
// set of the target's own where it differs from the plain build's, and neither
// where the target does not ask for any.
func (w *workspace) set(name string) []string {
	sets := w.lock.Sets[w.config.Platform]
	if w.config.Target == "" {
		return sets[name]
	}
	if roots, ok := sets[targetSet(w.config.Target, name)]; ok {
		return roots
	}
	_, asked := w.config.Requirements()[name]
	if !asked && name != env.SetEssential && name != env.SetGit && !strings.HasPrefix(name, env.CrossSet("")) { // which no manifest asks for
		return nil
	}
	return sets[name]
}
