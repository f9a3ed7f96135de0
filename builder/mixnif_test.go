package builder

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// A [nif] table of a platform reaches the step of that platform.
func TestNIFOverrides(t *testing.T) {
	archive := func(arch, sum string) string {
		return fmt.Sprintf("precompiled = { url = \"https://example.org/jiffy-nif-2.15-%s.tar.gz\", sha256 = %q }\n", arch, strings.Repeat(sum, 32))
	}
	m, err := env.ParseManifest("toolchain.toml", []byte("[toolchain]\notp = \"27.3.4.1\"\nelixir = \"1.18.3\"\n"+
		"[nif.jiffy]\n[platform.amd64.nif.jiffy]\n"+archive("x86_64", "0a")+"[platform.arm64.nif.plug]\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	step := func(p env.Platform, name string) layers.Recipe {
		app, project := shop()
		c, err := m.For(p, "")
		if err != nil {
			t.Fatal(err)
		}
		app.Platform, app.NIFs = p, c.NIFs
		plan, err := app.ReleasePlan(project, "shop")
		if err == nil {
			err = plan.Check()
		}
		if err != nil {
			t.Fatal(err)
		}
		r, ok := plan.Recipe(name)
		if !ok {
			t.Fatalf("no step %s for %s", name, p)
		}
		return *r
	}
	amd, arm := step(env.LinuxAMD64, "dep:jiffy"), step(env.LinuxARM64, "dep:jiffy")
	if slices.Contains(amd.Over, stepCompilers) || slices.Contains(amd.Root, "deb:gcc") {
		t.Error("compilers are there although nothing is compiled")
	}
	for _, want := range []string{"ELIXIR_MAKE_CACHE_DIR=/build/project/_precompiled", "RUSTLER_PRECOMPILED_GLOBAL_CACHE_PATH=/build/project/_precompiled"} {
		if !slices.Contains(amd.Env, want) || slices.Contains(arm.Env, want) {
			t.Errorf("%s: %v, %v", want, amd.Env, arm.Env)
		}
	}
	if !slices.Contains(amd.Argv, "precompiled=jiffy-nif-2.15-x86_64.tar.gz") || !slices.Contains(amd.Work, "precompiled:jiffy") {
		t.Errorf("no archive for amd64: %q %q", amd.Argv, amd.Work)
	}
	if a := step(env.LinuxAMD64, "precompiled:jiffy"); a.Archive.Digest != digest.Digest("sha256:"+strings.Repeat("0a", 32)) || a.Prefix != "_precompiled/jiffy-nif-2.15-x86_64.tar.gz" {
		t.Errorf("archive %+v", a)
	}
	if !slices.Contains(arm.Over, stepCompilers) || slices.Contains(arm.Work, "precompiled:jiffy") {
		t.Errorf("arm64 does not compile: %q %q", arm.Over, arm.Work)
	}
	if plug := step(env.LinuxAMD64, "dep:plug"); slices.Contains(plug.Over, stepCompilers) {
		t.Error("a table of arm64 reaches amd64")
	}
	if plug := step(env.LinuxARM64, "dep:plug"); !slices.Contains(plug.Over, stepCompilers) {
		t.Error("the table of arm64 does not reach it")
	}
}

// What lies over the compilers is all in the key, and is there for whoever
// opens it.
func TestCompilersRecipe(t *testing.T) {
	for _, p := range env.Platforms() {
		r := compilersRecipe(p)
		var names []string
		for _, f := range r.Files {
			names = append(names, f.Path)
			content, ok := Script(&r, f)
			if !ok {
				t.Fatalf("%s: no %s", p, f.Path)
			}
			if got, err := digest.FromReader(content); err != nil || got != f.Digest {
				t.Errorf("%s: %s has %s, %v", p, f.Path, got, err)
			}
		}
		if got := strings.Join(names, " "); got != "retort/gcc.specs usr/bin/g++ usr/bin/gcc" {
			t.Errorf("%s: %s", p, got)
		}
	}
	if amd, arm := compilersRecipe(env.LinuxAMD64), compilersRecipe(env.LinuxARM64); amd.Files[2].Digest == arm.Files[2].Digest {
		t.Error("both platforms call the same compiler")
	}
}

func TestNIFEnv(t *testing.T) {
	app, project := shop()
	app.NIFs[0].Env = map[string]string{"MODE": "system", "LC_ALL": "C"}
	plan, err := app.ReleasePlan(project, "shop")
	if err != nil {
		t.Fatal(err)
	}
	for step, want := range map[string]bool{"dep:jiffy": true, "dep:plug": false, "compile": false} {
		r, _ := plan.Recipe(step)
		if !slices.IsSorted(r.Env) || slices.Contains(r.Env, "MODE=system") != want || slices.Contains(r.Env, "LC_ALL=C") != want || slices.Contains(r.Env, "LC_ALL=C.UTF-8") == want {
			t.Errorf("%s has %q", step, r.Env)
		}
	}
}

// Native code of the project's own folders is compiled with the application.
func TestOwnNIFs(t *testing.T) {
	app, project := shop()
	project.Deps = append(project.Deps, ProjectDep{App: "native", SCM: "Mix.SCM.Path", Manager: "mix", Dest: "libs/native", Options: "[]"})
	project.Apps = []ProjectApp{{App: "shop", Path: "."}}
	for _, name := range []string{"native", "shop"} {
		app.NIFs = []env.NIF{{Dep: name, Env: map[string]string{"MODE": name}}}
		plan, err := app.ReleasePlan(project, "shop")
		if err != nil {
			t.Fatal(err)
		}
		r, _ := plan.Recipe(StepCompile)
		if !slices.Contains(r.Over, stepCompilers) || !slices.Contains(r.Root, "deb:gcc") || !slices.Contains(r.Env, "MODE="+name) {
			t.Errorf("nif.%s: compile has root %q, over %q, env %q", name, r.Root, r.Over, r.Env)
		}
		app.NIFs[0].Precompiled = &env.Precompiled{}
		if _, err := app.ReleasePlan(project, "shop"); err == nil || !strings.Contains(err.Error(), "nif."+name+".precompiled") {
			t.Errorf("an archive for %s: %v", name, err)
		}
	}
}

func TestUnusedNIFs(t *testing.T) {
	app, project := shop()
	for _, tt := range []struct {
		nif          string
		alone, among string
	}{
		{"jiffy", "", ""},
		{"shop", "", ""},         // not a dependency: the application itself
		{"only_in_test", "", ""}, // locked, and not in this environment
		{"jify", "did you mean nif.jiffy?", "did you mean nif.jiffy?"},
		{"jason_native", "did you mean nif.jason?", "did you mean nif.jason?"},
		{"exqlite", "no such dependency", ""},
	} {
		for _, shared := range []bool{false, true} {
			app.NIFs, app.SharedNIFs = []env.NIF{{Dep: tt.nif}}, shared
			project.Apps = []ProjectApp{{App: "shop", Path: "."}}
			var got string
			for _, err := range app.unusedNIFs(project) {
				got += err.Error()
			}
			want := tt.alone
			if shared {
				want = tt.among
			}
			if !strings.Contains(got, want) || want == "" && got != "" {
				t.Errorf("nif.%s, shared %v: %q, want %q", tt.nif, shared, got, want)
			}
		}
	}
}
