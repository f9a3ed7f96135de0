package builder

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// crossOf is the native code of a toolchain for another platform.
func crossOf(here Toolchain) CrossToolchain {
	root := func(step string, p env.Platform) func(string) (layers.RootFS, error) {
		return func(tool string) (layers.RootFS, error) {
			name := step + tool
			return layers.RootFS{
				Recipes:  []layers.Recipe{{Name: name, Kind: layers.UnpackDeb, Platform: p}, {Name: "configure:" + name, Kind: layers.Configure, Platform: here.Platform}},
				Packages: []string{name}, Config: "configure:" + name,
			}, nil
		}
	}
	return CrossToolchain{
		Platform: env.LinuxARM64, OpenSSL: here.OpenSSL, OTP: here.OTP,
		Root: root("deb:cross:", env.LinuxAMD64), Sysroot: root("deb:there:", env.LinuxARM64),
	}
}

// crossPlanOf plans a toolchain for this machine, and its native code for another.
func crossPlanOf(t *testing.T, here Toolchain, change func(*CrossToolchain)) layers.Plan {
	t.Helper()
	there := crossOf(here)
	if change != nil {
		change(&there)
	}
	own, err := here.Recipes()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := there.recipes(here)
	if err != nil {
		t.Fatal(err)
	}
	plan := layers.Plan{}.Append(own...).Append(foreign...)
	if err := plan.Check(); err != nil {
		t.Fatal(err)
	}
	return plan
}

// For the other platform OTP's native code is compiled from the same source, with
// this machine's OTP, which everything else of it comes from.
func TestCrossToolchain(t *testing.T) {
	here := compiled(nil)
	plan := crossPlanOf(t, here, nil)
	for _, r := range toolchainPlan(t, here).Recipes {
		other, ok := plan.Recipe(r.Name)
		if diff := cmp.Diff(&r, other); !ok || diff != "" {
			t.Errorf("%s is another step where the other platform is planned, too:\n%s", r.Name, diff)
		}
	}
	for _, tt := range []struct {
		step, other string
		want        bool
	}{
		{"otp:arm64", "otp", true},
		{"otp:arm64", "otp:configure:arm64", true},
		{"otp:arm64", "source:otp", true},
		{"otp:arm64", "openssl:build:arm64", false},
		{"otp:crypto:arm64", "openssl:lib:arm64", true},
		{"otp:crypto:arm64", "openssl:dev:arm64", true},
		{"otp:crypto:arm64", "openssl:build", false},
		{"openssl:build:arm64", "source:openssl", true},
	} {
		if got := reaches(t, plan, tt.step, tt.other); got != tt.want {
			t.Errorf("%s depends on %s: %v, want %v", tt.step, tt.other, got, tt.want)
		}
	}
	for _, step := range []string{"openssl:build:arm64", "otp:configure:arm64", "otp:arm64", "otp:crypto:arm64"} {
		r, _ := plan.Recipe(step)
		if r.Platform != env.LinuxARM64 || r.Build != env.LinuxAMD64 || !slices.Contains(r.Env, "CC=aarch64-linux-gnu-gcc") ||
			!slices.Contains(r.Sysroot, "deb:there:"+strings.Split(step, ":")[0]) || !slices.Contains(r.Over, stepCrossTools) {
			t.Errorf("%s is not compiled for the other platform: %+v", step, r)
		}
	}
	for _, tool := range []string{env.ToolElixir, env.ToolHex, env.ToolRebar3} {
		if _, ok := plan.Recipe(layers.ForeignStep(tool, env.LinuxARM64)); ok {
			t.Errorf("%s is compiled once more: it is BEAM code", tool)
		}
	}
	native, _ := plan.Recipe("openssl:build")
	if !slices.Contains(native.Env, "CC=x86_64-linux-gnu-gcc") {
		t.Errorf("the compiler's name is in OpenSSL's libraries, and here it is not the platform's: %q", native.Env)
	}
}

// The other platform may have another OpenSSL, from a source of its own or the suite's.
func TestCrossToolchainHasAnotherOpenSSL(t *testing.T) {
	here := compiled(nil)
	plan := crossPlanOf(t, here, func(there *CrossToolchain) {
		there.OpenSSL = &Source{Archive: layers.Archive{Name: "openssl", Version: "2"}, Patches: []layers.SourceFile{{Path: PatchFolder + "/000-a.patch"}}}
	})
	if !reaches(t, plan, "openssl:lib:arm64", "source:openssl:arm64") || !reaches(t, plan, "openssl:lib:arm64", "patch:openssl:arm64") || reaches(t, plan, "openssl:lib:arm64", "source:openssl") {
		t.Error("OpenSSL is not compiled from its own source")
	}
	plan = crossPlanOf(t, here, func(there *CrossToolchain) { there.OpenSSL = nil })
	if !reaches(t, plan, "otp:crypto:arm64", "deb:there:crypto") || reaches(t, plan, "otp:arm64", "deb:there:crypto") {
		t.Error("not crypto alone has the suite's OpenSSL")
	}
	if _, ok := plan.Recipe("openssl:lib:arm64"); ok {
		t.Error("OpenSSL is compiled that is a package")
	}
}

// Native code of a dependency is compiled against the platform's own OTP, by cross
// compilers or under an emulator, which runs none of this machine's.
func TestDependencyOnCrossToolchain(t *testing.T) {
	app, project := shopForARM64()
	app.Toolchain = compiled(nil)
	app.Cross.Toolchain = crossOf(app.Toolchain)
	app.Cross.Root = func(n Need) (layers.RootFS, error) {
		root, err := app.Root(n)
		return root.Foreign(env.LinuxARM64), err
	}
	r, _ := crossPlan(t, app, project).Recipe("dep:jiffy:arm64")
	for _, step := range []string{"openssl:lib:arm64", "otp:arm64", "otp:crypto:arm64", "openssl:dev:arm64"} {
		if !slices.Contains(r.Sysroot, step) {
			t.Errorf("%s is not in the sysroot %q", step, r.Sysroot)
		}
	}
	if !slices.Contains(r.Over, "otp") || slices.Contains(r.Over, "otp:arm64") {
		t.Errorf("Mix runs on %q", r.Over)
	}
	app.Cross.NIFs = []env.NIF{{Dep: "jiffy", Method: env.MethodEmulate}}
	r, _ = crossPlan(t, app, project).Recipe("dep:jiffy:arm64")
	for _, step := range []string{"openssl:lib", "otp", "otp:crypto", "openssl:dev"} {
		if slices.Contains(r.Over, step) || !slices.Contains(r.Over, step+":arm64") {
			t.Errorf("%s of this machine, or none, is in %q", step, r.Over)
		}
	}
	if !slices.Contains(r.Over, "elixir") || r.Platform != env.LinuxARM64 || r.Build != "" {
		t.Errorf("under an emulator: %+v", r)
	}
}
