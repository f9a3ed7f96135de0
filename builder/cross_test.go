package builder

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/elf"
	"github.com/retort-build/retort/internal/elf/elftest"
	"github.com/retort-build/retort/layers"
)

// shopForARM64 is shop, with its release for another platform.
func shopForARM64() (MixApp, Project) {
	app, project := shop()
	sysroot := func(packages ...string) layers.RootFS {
		var r layers.RootFS
		for _, p := range packages {
			name := layers.ForeignStep("deb:"+p, env.LinuxARM64)
			r.Packages = append(r.Packages, name)
			r.Recipes = append(r.Recipes, layers.Recipe{Name: name, Kind: layers.UnpackDeb, Platform: env.LinuxARM64})
		}
		return r
	}
	app.Cross = &Cross{
		Platform: env.LinuxARM64, OTP: sysroot("erlang-base"), NIFs: app.NIFs,
		Sysroot: func(nifs []string) (layers.RootFS, error) {
			packages := []string{"erlang-base", "libc6-dev"}
			for _, n := range nifs {
				packages = append(packages, "lib"+n+"-dev")
			}
			return sysroot(packages...), nil
		},
	}
	return app, project
}

func crossPlan(t *testing.T, app MixApp, project Project) layers.Plan {
	t.Helper()
	plan, err := app.ReleasePlan(project, "shop")
	if err == nil {
		err = plan.Check()
	}
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// Whatever both platforms have in common is planned in the same way for both:
// it has the same keys, and is made once.
func TestCrossSharesSteps(t *testing.T) {
	app, project := shop()
	here := crossPlan(t, app, project)
	app, project = shopForARM64()
	there := crossPlan(t, app, project)
	for _, r := range here.Recipes {
		other, ok := there.Recipe(r.Name)
		if r.Name == stepBase || r.Name == StepRelease {
			continue
		}
		if !ok || !reflect.DeepEqual(r, *other) {
			t.Errorf("%s is another step:\n%+v\n%+v", r.Name, r, other)
		}
	}
	for _, r := range there.Recipes {
		if _, ok := here.Recipe(r.Name); !ok && r.Platform != env.LinuxARM64 && r.Name != stepLinks {
			t.Errorf("%s is only in the plan for arm64, and for %s", r.Name, r.Platform)
		}
	}
}

func TestCrossDependency(t *testing.T) {
	app, project := shopForARM64()
	plan := crossPlan(t, app, project)
	native, _ := plan.Recipe("dep:jiffy")
	cross, ok := plan.Recipe("dep:jiffy:arm64")
	if !ok {
		t.Fatal("native code is not compiled for arm64")
	}
	if cross.Platform != env.LinuxARM64 || cross.Build != env.LinuxAMD64 {
		t.Errorf("compiled for %s by programs for %s", cross.Platform, cross.Build)
	}
	if !slices.Equal(cross.Work, native.Work) || !slices.Equal(cross.Argv, native.Argv) {
		t.Errorf("not compiled as here:\n%q %q\n%q %q", native.Work, native.Argv, cross.Work, cross.Argv)
	}
	if got, want := strings.Join(cross.Sysroot, " "), "sysroot deb:erlang-base:arm64 deb:libc6-dev:arm64 deb:libjiffy-dev:arm64"; got != want {
		t.Errorf("sysroot is %s, want %s", got, want)
	}
	if !slices.Contains(cross.Env, "CC=aarch64-linux-gnu-gcc") || !slices.IsSorted(cross.Env) {
		t.Errorf("environment %q", cross.Env)
	}
	if _, ok := plan.Recipe("dep:jason:arm64"); ok {
		t.Error("code for the BEAM alone is compiled for arm64")
	}
}

func TestCrossRelease(t *testing.T) {
	app, project := shopForARM64()
	plan := crossPlan(t, app, project)
	for _, step := range []string{stepBase, StepRelease} {
		r, _ := plan.Recipe(step)
		if !slices.Contains(r.Work, "dep:jiffy:arm64") || slices.Contains(r.Work, "dep:jiffy") || !slices.Contains(r.Work, "dep:jason") {
			t.Errorf("%s is made of %q", step, r.Work)
		}
		if !slices.Contains(r.Sysroot, "deb:erlang-base:arm64") || r.Platform != env.LinuxARM64 || r.Build != env.LinuxAMD64 {
			t.Errorf("%s is %+v", step, r)
		}
	}
	project.Apps, app.NIFs = []ProjectApp{{App: "shop", Path: "."}}, append(app.NIFs, env.NIF{Dep: "shop"})
	r, _ := crossPlan(t, app, project).Recipe(StepRelease)
	if !slices.Contains(r.Work, "compile:arm64") || slices.Contains(r.Work, StepCompile) || !slices.Contains(r.Amends, "compile:arm64") {
		t.Errorf("native code of the application's own: the release is made of %q", r.Work)
	}
}

func TestMachine(t *testing.T) {
	recipe := &layers.Recipe{
		Name: "dep:jiffy:arm64", Platform: env.LinuxARM64, Build: env.LinuxAMD64, Outputs: []layers.Output{{Path: "_build/prod/lib/jiffy"}},
	}
	for _, c := range []struct {
		path    string
		machine elf.Machine
		wrong   bool
	}{
		{"_build/prod/lib/jiffy/priv/jiffy.so", elf.ARM64, false},
		{"_build/prod/lib/jiffy/priv/jiffy.so", elf.AMD64, true},
		{"_build/prod/lib/jiffy/priv/deep/er", elf.AMD64, true},
		{"_build/prod/lib/jiffy/tools/generator", elf.AMD64, false}, // a program of the build
		{"deps/other/priv/x.so", elf.AMD64, false},
	} {
		upper := t.TempDir()
		path := filepath.Join(upper, c.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, elftest.Build(elf.File{Machine: c.machine, Dynamic: true}), 0o755); err != nil {
			t.Fatal(err)
		}
		err := checkMachine(recipe, upper)
		var wrong *MachineError
		if errors.As(err, &wrong) != c.wrong || !c.wrong && err != nil {
			t.Errorf("%s for %s: %v", c.path, c.machine, err)
			continue
		}
		if c.wrong && (wrong.Path != c.path || !strings.Contains(strings.Join(wrong.Hints(), " "), "[nif.jiffy.platform.arm64]")) {
			t.Errorf("%v %q", wrong, wrong.Hints())
		}
	}
}

// Who compiled nothing cannot call another compiler.
func TestMachineOfAnArchive(t *testing.T) {
	hints := (&MachineError{Step: "dep:jiffy:arm64", Want: env.LinuxARM64, Precompiled: true}).Hints()
	if len(hints) != 1 || !strings.Contains(hints[0], "[platform.arm64.nif.jiffy.precompiled]") {
		t.Errorf("%q", hints)
	}
}
