package builder

import (
	"cmp"
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
		return []string{
			fmt.Sprintf("have it compiled under an emulator: method = %q %s", env.MethodEmulate, table),
			fmt.Sprintf("or, if what it compiles does not depend on the answer: method = %q %s", env.MethodCross, table),
		}
	}
	return []string{fmt.Sprintf("add [nif.%s] to toolchain.toml and run retort lock", e.App)}
}

// checkPortable refuses native code in what a release for another platform has
// from this machine.
func (b *Builder) checkPortable(ctx context.Context, built Built, p env.Platform) error {
	check := func(step, app string) error {
		layer, ok := built.Layers[step]
		if _, foreign := built.Layers[layers.ForeignStep(step, p)]; !ok || foreign {
			return nil
		}
		name, err := b.native(ctx, layer)
		if err != nil || name == "" {
			return err
		}
		if _, rest, ok := strings.Cut(name, "/lib/"); ok && app == "" {
			app, _, _ = strings.Cut(rest, "/")
		}
		return &NativeError{App: cmp.Or(app, built.Project.name()), Path: name, Want: p}
	}
	if _, foreign := built.Layers[layers.ForeignStep(StepCompile, p)]; built.Project.ConfigAsked && !foreign {
		return &NativeError{App: built.Project.name(), Path: configFile, Want: p}
	}
	var apps []string
	for _, d := range built.Project.Deps {
		apps = append(apps, d.App)
	}
	slices.Sort(apps)
	for _, app := range apps {
		if err := check(DepStep(app), app); err != nil {
			return err
		}
	}
	return check(StepCompile, "")
}

// native names a program or library that a layer has in a folder priv, or else askedFile.
func (b *Builder) native(ctx context.Context, l layers.Layer) (string, error) {
	entries, err := b.Store.Entries(ctx, l)
	if err != nil {
		return "", err
	}
	asked := ""
	for _, e := range entries {
		if strings.HasSuffix(e.Path, askedFile) {
			asked = e.Path
		}
		if e.Kind != tarball.File || !inPriv(e.Path) {
			continue
		}
		f, err := b.Store.OpenFile(l, e.Path)
		if err != nil {
			return "", err
		}
		_, is, _ := elf.Read(f)
		if err := f.Close(); err != nil {
			return "", err
		}
		if is {
			return e.Path, nil
		}
	}
	return asked, nil
}
