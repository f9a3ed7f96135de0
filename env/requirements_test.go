package env

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCrossRequirements(t *testing.T) {
	source := ToolSpec{Version: "27", From: FromSource}
	nifs := []NIF{{Dep: "jiffy"}}
	compilers := []string{"g++-aarch64-linux-gnu", "gcc-aarch64-linux-gnu"}
	tools := sorted(compilers, []string{"make", "patch", "perl"})
	for _, tt := range []struct {
		name  string
		other Config
		want  map[string][]string
	}{
		{"neither", Config{Platform: LinuxARM64}, map[string][]string{}},
		{"itself", Config{Platform: LinuxAMD64, NIFs: nifs}, map[string][]string{}},
		{"native code", Config{Platform: LinuxARM64, NIFs: nifs}, map[string][]string{"cross.arm64": compilers, SetNative: nativePackages()}},
		{"OTP from source", Config{Platform: LinuxARM64, Toolchain: Toolchain{OTP: source}}, map[string][]string{"cross.arm64": tools}},
		{"OpenSSL from source", Config{Platform: LinuxARM64, Toolchain: Toolchain{OpenSSL: source}}, map[string][]string{"cross.arm64": tools}},
		{"Elixir from source", Config{Platform: LinuxARM64, Toolchain: Toolchain{Elixir: source}}, map[string][]string{}},
		{"emulated", Config{Platform: LinuxARM64, Method: MethodEmulate, NIFs: nifs, Toolchain: Toolchain{OTP: source}}, map[string][]string{}},
	} {
		if diff := cmp.Diff(tt.want, CrossRequirements(LinuxAMD64, []Config{tt.other})); diff != "" {
			t.Errorf("%s:\n%s", tt.name, diff)
		}
	}
}

// A target may have another toolchain, and one lock has both.
func TestCrossRequirementsOfTargets(t *testing.T) {
	all := []Config{
		{Platform: LinuxARM64, Toolchain: Toolchain{OTP: ToolSpec{Version: "27", From: FromSource}}},
		{Platform: LinuxARM64, NIFs: []NIF{{Dep: "jiffy"}}},
	}
	want := CrossRequirements(LinuxAMD64, all)
	if !slices.Contains(want["cross.arm64"], "make") {
		t.Errorf("%v", want)
	}
	slices.Reverse(all)
	if diff := cmp.Diff(want, CrossRequirements(LinuxAMD64, all)); diff != "" {
		t.Error(diff)
	}
}

func TestSetKey(t *testing.T) {
	for set, want := range map[string]string{
		NIFBuildSet("jiffy"): "nif.jiffy.build", NIFRuntimeSet("jiffy"): "nif.jiffy.runtime", SetExtra: "image.packages",
		SetToolchain: "base.packages", GenerateSet("css"): "generate.css.packages", SetAssets: "assets.packages",
		ToolBuildSet(ToolOTP): "toolchain.otp.packages", SetNative: "", SetHex: "", CrossSet(LinuxARM64): "",
	} {
		if got := SetKey(set); got != want {
			t.Errorf("%s is %q, want %q", set, got, want)
		}
	}
}
