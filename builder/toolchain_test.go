package builder

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// compiled is a toolchain all of which comes from source.
func compiled(change func(*Toolchain)) Toolchain {
	release := func(name string) *Source { return &Source{Archive: layers.Archive{Name: name, Version: "1"}} }
	t := Toolchain{
		Platform: env.LinuxAMD64,
		Root: func(tool string) (layers.RootFS, error) {
			return layers.RootFS{
				Recipes: []layers.Recipe{
					{Name: "deb:gcc", Kind: layers.UnpackDeb, Platform: env.LinuxAMD64},
					{Name: "configure:" + tool, Kind: layers.Configure, Platform: env.LinuxAMD64, Inputs: []string{"deb:gcc"}},
				},
				Packages: []string{"deb:gcc"}, Config: "configure:" + tool,
			}, nil
		},
		OpenSSL: release("openssl"), OTP: release("otp"), Elixir: release("elixir"), Hex: release("hex"), Rebar3: release("rebar3"),
	}
	if change != nil {
		change(&t)
	}
	return t
}

func toolchainPlan(t *testing.T, tc Toolchain) layers.Plan {
	t.Helper()
	recipes, err := tc.Recipes()
	if err != nil {
		t.Fatal(err)
	}
	plan := layers.Plan{}.Append(recipes...)
	if err := plan.Check(); err != nil {
		t.Fatal(err)
	}
	return plan
}

// reaches reports whether a step's result depends on another step.
func reaches(t *testing.T, plan layers.Plan, step, other string) bool {
	t.Helper()
	r, ok := plan.Recipe(step)
	if !ok {
		t.Fatalf("no step %s", step)
	}
	return slices.ContainsFunc(needed(plan, r), func(r layers.Recipe) bool { return r.Name == other })
}

// Another OpenSSL compiles crypto's native code and nothing else of OTP.
func TestToolchainSteps(t *testing.T) {
	plan := toolchainPlan(t, compiled(nil))
	for _, tt := range []struct {
		step, other string
		want        bool
	}{
		{"otp", SourceStep(env.ToolOpenSSL), false},
		{stepOTPCrypto, stepOpenSSLDev, true},
		{stepOTPCrypto, StepOpenSSL, true}, // which it is linked with
		{env.ToolElixir, env.ToolOTP, true},
		{env.ToolElixir, SourceStep(env.ToolOpenSSL), false},
		{env.ToolHex, stepOTPCrypto, true},
		{env.ToolHex, env.ToolElixir, true},
		{env.ToolElixir, env.ToolHex, false},
		{env.ToolRebar3, env.ToolOTP, true},
		{env.ToolRebar3, env.ToolElixir, false},
	} {
		if got := reaches(t, plan, tt.step, tt.other); got != tt.want {
			t.Errorf("%s depends on %s: %v, want %v", tt.step, tt.other, got, tt.want)
		}
	}
	for _, tool := range []string{env.ToolElixir, env.ToolHex, env.ToolRebar3} {
		if r, _ := plan.Recipe(tool); r.Platform != env.Any {
			t.Errorf("%s is for %s: it is BEAM code", tool, r.Platform)
		}
	}
	if r, _ := plan.Recipe(env.ToolOTP); !r.Jobs || slices.ContainsFunc(r.Argv, func(a string) bool { return strings.HasPrefix(a, "jobs=") }) {
		t.Error("otp: how many jobs there are must be told it outside of its key")
	}
}

func TestToolchainStatic(t *testing.T) {
	tc := compiled(func(tc *Toolchain) { tc.OpenSSL.Static = true })
	plan := toolchainPlan(t, tc)
	if r, _ := plan.Recipe(StepOpenSSL); !slices.Contains(r.Argv, "no-shared") {
		t.Errorf("there are libraries to load of an OpenSSL that is linked statically: %q", r.Argv)
	}
	r, _ := plan.Recipe(stepOTPCrypto)
	if !slices.Contains(r.Argv, "--disable-dynamic-ssl-lib") {
		t.Errorf("crypto is linked dynamically: %q", r.Argv)
	}
}

// The suite's OpenSSL is there where crypto compiles, and OTP is the same with
// either.
func TestToolchainOnOpenSSLOfTheSuite(t *testing.T) {
	plan := toolchainPlan(t, compiled(func(tc *Toolchain) { tc.OpenSSL = nil }))
	if !reaches(t, plan, stepOTPCrypto, "configure:crypto") || reaches(t, plan, env.ToolOTP, "configure:crypto") {
		t.Error("not crypto alone has the suite's OpenSSL")
	}
	without, _ := plan.Recipe(env.ToolOTP)
	with, _ := toolchainPlan(t, compiled(nil)).Recipe(env.ToolOTP)
	if diff := cmp.Diff(with, without); diff != "" {
		t.Error(diff)
	}
}

func TestToolchainOptions(t *testing.T) {
	tc := compiled(func(tc *Toolchain) {
		tc.OTP.Without, tc.OTP.Configure = []string{"wx", "megaco"}, []string{"--with-microstate-accounting=extra"}
		tc.OTP.CFlags = "-O3"
		tc.OTP.Patches = []layers.SourceFile{{Path: PatchFolder + "/000-a.patch"}, {Path: PatchFolder + "/001-b.patch"}}
	})
	plan := toolchainPlan(t, tc)
	for _, step := range []string{stepOTPConfigure, stepOTPCrypto} {
		r, _ := plan.Recipe(step)
		for _, want := range []string{"--with-microstate-accounting=extra", defaultCFlags + " -O3"} {
			if !slices.Contains(r.Argv, want) {
				t.Errorf("%s lacks %q: %q", step, want, r.Argv)
			}
		}
	}
	if r, _ := plan.Recipe(stepOTPConfigure); !slices.Contains(r.Argv, "wx megaco") {
		t.Errorf("nothing is left out: %q", r.Argv)
	}
	for _, step := range []string{stepOTPConfigure, env.ToolOTP, stepOTPCrypto} {
		if !reaches(t, plan, step, "patch:otp") {
			t.Errorf("%s takes the source as it was before the patches", step)
		}
	}
	patch, _ := plan.Recipe("patch:otp")
	if !slices.Equal(patch.Argv[len(patch.Argv)-2:], []string{PatchFolder + "/000-a.patch", PatchFolder + "/001-b.patch"}) {
		t.Errorf("patches in the order %q", patch.Argv)
	}
}

func TestToolchainWithoutCrypto(t *testing.T) {
	tc := compiled(func(tc *Toolchain) { tc.OTP.Without = []string{"crypto", "ssl"} })
	if _, ok := toolchainPlan(t, tc).Recipe(stepOTPCrypto); ok || slices.Contains(tc.run(), stepOTPCrypto) {
		t.Error("native code of an application that is left out is compiled")
	}
}

// The scripts are for a POSIX shell: dash runs them.
func TestToolchainScripts(t *testing.T) {
	files, err := toolchainFiles.ReadDir("toolchain")
	if err != nil || len(files) == 0 {
		t.Fatal(len(files), err)
	}
	for _, f := range files {
		text, err := toolchainFiles.ReadFile("toolchain/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := syntax.NewParser(syntax.Variant(syntax.LangPOSIX)).Parse(bytes.NewReader(text), f.Name()); err != nil {
			t.Error(err)
		}
	}
}
