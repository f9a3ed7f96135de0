package builder

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/elf"
	"github.com/retort-build/retort/internal/tarball"
	"github.com/retort-build/retort/layers"
)

// MachineError says that native code came out for another machine than the
// platform's: the user's build, not ours.
type MachineError struct {
	Step string // that compiled it
	Path string // below the project
	Got  elf.Machine
	Want env.Platform
	// Precompiled: it came out of the archive that toolchain.toml names.
	Precompiled bool
}

func (e *MachineError) Error() string {
	return fmt.Sprintf("%s: %s is for %s, and the release for %s", e.Step, e.Path, e.Got, e.Want)
}

// Hints says what makes it come out for the right one.
func (e *MachineError) Hints() []string {
	arch := e.Want.Arch()
	app, isDep := strings.CutPrefix(strings.TrimSuffix(e.Step, ":"+arch), DepStep(""))
	if !isDep {
		app = "APP"
	}
	if e.Precompiled {
		return []string{fmt.Sprintf("name the archive for %s in [platform.%s.nif.%s.precompiled] of toolchain.toml", e.Want, arch, app)}
	}
	return []string{
		fmt.Sprintf("what compiles it does not call $CC, which is %s-gcc there: give it what it reads instead, such as env = { COMPILER = \"%s-gcc\" } in [platform.%s.nif.%s] of toolchain.toml", e.Want.Triplet(), e.Want.Triplet(), arch, app),
		fmt.Sprintf("or have it compiled under an emulator: method = %q in [nif.%s.platform.%s]", env.MethodEmulate, app, arch),
	}
}

// checkMachine refuses native code for another machine that a program left in a
// folder priv: what a release takes.
func checkMachine(r *layers.Recipe, upper string) error {
	return filepath.WalkDir(upper, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(upper, path)
		if err != nil || !inPriv(rel) || !keeps(r.Outputs, rel) {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		// What is damaged is the image's business, which says so.
		if file, is, _ := elf.Read(f); is && string(file.Machine) != r.Platform.Arch() {
			precompiled := slices.ContainsFunc(r.Argv, func(a string) bool { return strings.HasPrefix(a, "precompiled=") })
			return &MachineError{Step: r.Name, Path: rel, Got: file.Machine, Want: r.Platform, Precompiled: precompiled}
		}
		return nil
	})
}

func inPriv(path string) bool {
	return slices.Contains(strings.Split(filepath.ToSlash(path), "/"), "priv")
}

// askedFile is in the layer of a dependency that asked for the machine's
// architecture while it was compiled: see mix/asked.ex.
const askedFile = "/.mix/retort.asked"

// NativeError says that what was compiled once for all platforms holds native
// code, or asked which of them this machine is: nothing told so.
type NativeError struct {
	App  string
	Path string // in the layer of its step, or configFile
	Want env.Platform
	Own  bool // its source is in the project
}

// configFile is the configuration that is evaluated before compiling.
const configFile = "config/config.exs"

func (e *NativeError) Error() string {
	if e.Path == configFile {
		return e.Path + " asks for the machine's architecture, and is evaluated on this machine only"
	}
	if e.asked() {
		return fmt.Sprintf("%s asked for the machine's architecture while it was compiled, and is compiled for this machine only", e.App)
	}
	return fmt.Sprintf("%s has native code, %s, and is compiled for this machine only", e.App, e.Path)
}

func (e *NativeError) asked() bool { return strings.HasSuffix(e.Path, askedFile) }

// Hints says what has it compiled for each platform.
func (e *NativeError) Hints() []string {
	if e.Path == configFile {
		return []string{
			"move what asks to config/runtime.exs, which is evaluated where the release runs",
			fmt.Sprintf("or have everything made under an emulator: method = %q in [platform.%s] of toolchain.toml", env.MethodEmulate, e.Want.Arch()),
			fmt.Sprintf("or, if nothing depends on the answer: method = %q in [nif.%s.platform.%s], and run retort lock", env.MethodCross, e.App, e.Want.Arch()),
		}
	}
	if e.asked() {
		table := fmt.Sprintf("in [nif.%s.platform.%s] of toolchain.toml, and run retort lock", e.App, e.Want.Arch())
		hints := []string{
			fmt.Sprintf("have it compiled under an emulator: method = %q %s", env.MethodEmulate, table),
			fmt.Sprintf("or, if what it compiles does not depend on the answer: method = %q %s", env.MethodCross, table),
		}
		if e.Own {
			hints = append(hints, fmt.Sprintf("or, if it is mix.exs that asks, have everything made under an emulator: method = %q in [platform.%s]", env.MethodEmulate, e.Want.Arch()))
		}
		return hints
	}
	return []string{fmt.Sprintf("add [nif.%s] to toolchain.toml and run retort lock", e.App)}
}

// checkPortable refuses native code in what a release for another platform has
// from this machine, and what came of asking for its architecture.
func (b *Builder) checkPortable(ctx context.Context, built Built, c *Cross) error {
	own := func(app string) bool { _, step := built.Layers[DepStep(app)]; return !step }
	settled := func(n env.NIF) bool { return n.Method == env.MethodCross && own(n.Dep) }
	if built.Project.ConfigAsked && !slices.ContainsFunc(c.NIFs, settled) {
		return &NativeError{App: built.Project.name(), Path: configFile, Want: c.Platform}
	}
	var apps []string
	for _, d := range built.Project.Deps {
		apps = append(apps, d.App)
	}
	slices.Sort(apps)
	for _, app := range apps {
		layer, ok := built.Layers[DepStep(app)]
		if _, foreign := built.Layers[layers.ForeignStep(DepStep(app), c.Platform)]; !ok || foreign {
			continue
		}
		native, asked, err := b.native(ctx, layer)
		if err != nil {
			return err
		}
		if found := append(native, asked...); len(found) > 0 {
			return &NativeError{App: app, Path: found[0], Want: c.Platform}
		}
	}
	return b.checkOwn(ctx, built, c)
}

// checkOwn is checkPortable of the applications whose source is in the project.
// They are compiled together, for another platform too if one of them has native code.
func (b *Builder) checkOwn(ctx context.Context, built Built, c *Cross) error {
	layer, ok := built.Layers[StepCompile]
	if !ok {
		return nil
	}
	native, asked, err := b.native(ctx, layer)
	if err != nil {
		return err
	}
	there, foreign := built.Plan.Recipe(layers.ForeignStep(StepCompile, c.Platform))
	if !foreign && len(native) > 0 {
		return &NativeError{App: built.Project.appOf(native[0]), Path: native[0], Want: c.Platform, Own: true}
	}
	if foreign && there.Build == "" { // under an emulator
		return nil
	}
	for _, path := range asked {
		app := built.Project.appOf(path)
		if _, known := c.nif(app); !known {
			return &NativeError{App: app, Path: path, Want: c.Platform, Own: true}
		}
	}
	return nil
}

// native names programs and libraries that a layer has in folders priv, and its askedFiles.
func (b *Builder) native(ctx context.Context, l layers.Layer) (code, asked []string, err error) {
	entries, err := b.Store.Entries(ctx, l)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Path, askedFile) {
			asked = append(asked, e.Path)
		}
		if e.Kind != tarball.File || !inPriv(e.Path) {
			continue
		}
		f, err := b.Store.OpenFile(l, e.Path)
		if err != nil {
			return nil, nil, err
		}
		_, is, _ := elf.Read(f)
		if err := f.Close(); err != nil {
			return nil, nil, err
		}
		if is {
			code = append(code, e.Path)
		}
	}
	return code, asked, nil
}
