package main

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// allPlatforms is what --platform calls those of the manifest.
const allPlatforms = "all"

// onePlatform reads --platform where there can be but one.
func (o sessionFlags) onePlatform() (env.Platform, error) {
	switch {
	case o.platform == "":
		return native(), nil
	case o.platform == allPlatforms || strings.Contains(o.platform, ","):
		return "", usagef("--platform %s: want one platform here; retort build takes several", o.platform)
	}
	p, err := env.ParsePlatform(o.platform)
	if err != nil {
		return "", usagef("--platform: %v", err)
	}
	return p, nil
}

// platforms reads --platform, in canonical order.
func (o sessionFlags) platforms(t *terminal) ([]env.Platform, error) {
	if o.platform == allPlatforms {
		_, m, err := t.loadManifest()
		if err != nil {
			return nil, err
		}
		return m.Platforms(), nil
	}
	var out []env.Platform
	names := strings.Split(o.platform, ",")
	for _, name := range names {
		if name == "" && len(names) > 1 {
			return nil, usagef("--platform %s: an empty name", o.platform)
		}
		o.platform = name
		p, err := o.onePlatform()
		if err != nil {
			return nil, err
		}
		if slices.Contains(out, p) {
			return nil, usagef("--platform: %s twice", p)
		}
		out = append(out, p)
	}
	slices.Sort(out)
	return out, nil
}

// chooseMethod settles how the release is made if this machine is of another
// platform, and refuses what it is not to build.
func (w *workspace) chooseMethod() error {
	p := w.config.Platform
	if p == native() || w.config.Method == env.MethodEmulate {
		return nil
	}
	if w.config.Method == env.MethodNative {
		return &hintError{
			fmt.Errorf("build for %s: toolchain.toml has method = %q in [platform.%s], and this machine is %s", p, env.MethodNative, p.Arch(), native()),
			"run retort on a machine of that architecture, or leave method out",
		}
	}
	here, err := w.manifest.ForCell(native(), w.config.Target, w.config.Cell)
	if err != nil {
		return &hintError{
			fmt.Errorf("build for %s on %s: %w", p, native(), err),
			fmt.Sprintf("add %q to platforms in toolchain.toml, whose programs run here, and run retort lock", native()),
		}
	}
	emulate := fmt.Sprintf("say method = %q in [platform.%s]", env.MethodEmulate, p.Arch())
	for i, t := range here.Toolchain.All() {
		if difference := codeDiffers(w.config.Toolchain.All()[i], t); difference != "" {
			return &hintError{
				fmt.Errorf("build for %s on %s: toolchain.toml has toolchain.%s.%s here, and code is compiled once for both", p, native(), t.Tool, difference), emulate,
			}
		}
	}
	if !reflect.DeepEqual(w.config.Generate, here.Generate) || !sameAssets(w.config.Assets, here.Assets) {
		return &hintError{
			fmt.Errorf("build for %s on %s: [generate] or [assets] of toolchain.toml differ, and both are made once for both", p, native()), emulate,
		}
	}
	host := *w
	host.config.Platform = here.Platform
	host.config.Toolchain, host.config.Base, host.config.NIFs, host.config.Assets = here.Toolchain, here.Base, here.NIFs, here.Assets
	w.host = &host
	return nil
}

// emulated is the environment of an Erlang/OTP under an emulator. Its code
// generator maps the code that it writes twice, for writing and for running, which
// QEMU does not notice: it crashes, or waits for ever. One mapping for both works
// (https://github.com/erlang/otp/pull/6340); 25.2.3 has no such flag.
func emulated(otp string) []string {
	release, _, _ := strings.Cut(otp, ".")
	if n, err := strconv.Atoi(release); err != nil || n < 26 {
		return nil
	}
	return []string{"ERL_FLAGS=+JMsingle true"}
}

// codeDiffers names a key of a tool on which BEAM code depends, and which is another
// on another platform, with both values; "" if there is none. What is in OpenSSL, and
// flags of compilers, reach none.
func codeDiffers(there, here env.ToolSpec) string {
	if here.Tool == env.ToolOpenSSL || here.Version == "" && there.Version == "" {
		return ""
	}
	for _, k := range []struct {
		key         string
		there, here any
	}{
		{"version", there.Version, here.Version},
		{"from", there.From, here.From},
		{"sources", there.Sources, here.Sources},
		{"url", there.URL, here.URL},
		{"path", there.Path.Rel, here.Path.Rel},
		{"sha256", there.Digest, here.Digest},
		{"patches", globs(there), globs(here)},
		{"configure", there.Configure, here.Configure},
		{"packages", sorted(there.Packages), sorted(here.Packages)},
		{"without", sorted(there.Without), sorted(here.Without)},
	} {
		if a, b := fmt.Sprintf("%q", k.there), fmt.Sprintf("%q", k.here); a != b {
			return fmt.Sprintf("%s %s there and %s", k.key, a, b)
		}
	}
	return ""
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

func globs(s env.ToolSpec) []string {
	var out []string
	for _, p := range s.Patches {
		out = append(out, p.Glob)
	}
	return out
}

// sameAssets compares but for tools, which are those of the machine that runs them.
func sameAssets(a, b *env.Assets) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := *a, *b
	x.Tools, y.Tools = nil, nil
	return reflect.DeepEqual(x, y)
}

// cross fills in how root file systems are planned where programs of this
// machine make the release for another platform.
func (w *workspace) cross(a *builder.MixApp) error {
	p := w.config.Platform
	if len(w.lock.Sets[p]) == 0 {
		return fmt.Errorf("toolchain.lock has no packages for %s: run retort lock", p)
	}
	sysroot := func(sets ...string) (layers.RootFS, error) {
		root, err := w.rootFS("sysroot", sets...)
		root.Recipes = root.Recipes[:max(0, len(root.Recipes)-1)] // as it is unpacked
		return root.Foreign(p), err
	}
	tools, err := w.crossToolchain(sysroot)
	if err != nil {
		return err
	}
	c := &builder.Cross{Platform: p, Toolchain: tools, NIFs: w.config.NIFs, Sysroot: func(nifs []string) (layers.RootFS, error) {
		sets := []string{env.SetToolchain, env.SetNative}
		for _, nif := range nifs {
			sets = append(sets, env.NIFBuildSet(nif))
		}
		return sysroot(sets...)
	}}
	c.Root = func(n builder.Need) (layers.RootFS, error) {
		root, err := w.stepRoot(a)(n)
		return root.Foreign(p), err
	}
	if c.OTP, err = sysroot(env.SetToolchain); err != nil {
		return err
	}
	a.Platform, a.Cross = w.host.config.Platform, c
	w.host.store = w.store
	if err := w.host.roots(a); err != nil {
		return err
	}
	w.notes = append(w.notes, w.host.notes...)
	a.Image, err = w.imagePackages(w.config.Base.Suite)
	return err
}

// crossToolchain is what of the toolchain this machine's programs compile for the
// platform.
func (w *workspace) crossToolchain(sysroot func(sets ...string) (layers.RootFS, error)) (builder.CrossToolchain, error) {
	all, err := w.toolchain()
	return builder.CrossToolchain{
		Platform: w.config.Platform, OpenSSL: all.OpenSSL, OTP: all.OTP,
		Root: func(tool string) (layers.RootFS, error) {
			set := env.CrossSet(w.config.Platform)
			if !slices.Contains(w.host.set(set), "make") { // nor do locks of before
				return layers.RootFS{}, noCompilers(w.config.Platform, w.host.config.Platform)
			}
			return w.host.rootFS("configure:"+set, env.SetToolchain, set)
		},
		Sysroot: func(tool string) (layers.RootFS, error) { return sysroot(env.ToolBuildSet(tool)) },
	}, err
}

// opensslStep names the step whose layer is the OpenSSL that a release loads, if it
// is compiled from source.
func (w *workspace) opensslStep() string {
	if w.host != nil {
		return layers.ForeignStep(builder.StepOpenSSL, w.config.Platform)
	}
	return builder.StepOpenSSL
}

func noCompilers(p, here env.Platform) error {
	return fmt.Errorf("%w: it pins no compilers for %s on %s", env.ErrLockLacks, p, here)
}
