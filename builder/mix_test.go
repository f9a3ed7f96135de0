package builder

import (
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/layers"
)

func file(path string) layers.SourceFile {
	return layers.SourceFile{Path: path, Mode: 0o644, Digest: digest.FromString(path), Size: 1}
}

func text(s string) *string { return &s }

// shop is an application with one Elixir and one rebar3 dependency.
func shop() (MixApp, Project) {
	root := func(config string, packages ...string) layers.RootFS {
		r := layers.RootFS{Config: config, Packages: packages}
		for _, p := range packages {
			r.Recipes = append(r.Recipes, layers.Recipe{Name: p, Kind: layers.UnpackDeb, Platform: env.LinuxAMD64})
		}
		r.Recipes = append(r.Recipes, layers.Recipe{Name: config, Kind: layers.Configure, Platform: env.LinuxAMD64, Inputs: packages})
		return r
	}
	pkg := func(app string) hex.Locked {
		return hex.Locked{App: app, Kind: hex.Package, Name: app, Version: "1.0.0", Repo: "hexpm", Inner: digest.FromString(app + " inner"), Outer: digest.FromString(app), Text: "{:hex, :" + app + "}"}
	}
	app := MixApp{
		Platform: env.LinuxAMD64,
		Root: func(n Need) (layers.RootFS, error) {
			name, packages := "configure", []string{"deb:elixir"}
			if n.Compilers {
				name, packages = name+":native", append(packages, "deb:gcc")
			}
			for _, nif := range n.NIFs {
				name, packages = name+":"+nif, append(packages, "deb:lib"+nif+"-dev")
			}
			return root(name, packages...), nil
		},
		NIFs: []env.NIF{{Dep: "jiffy", Build: []string{"libjiffy-dev"}}},
		Source: []layers.SourceFile{
			file("README.md"), file("config/config.exs"), file("config/runtime.exs"), file("lib/shop.ex"),
			file("mix.exs"), file("mix.lock"), file("priv/x"), file("rel/env.sh.eex"), file("test/shop_test.exs"),
		},
		Locked:  []hex.Locked{pkg("jason"), pkg("jiffy"), pkg("only_in_test"), pkg("plug")},
		Plugins: []hex.Locked{{App: "pc", Kind: hex.Package, Name: "pc", Version: "1.15.0", Repo: "hexpm", Inner: digest.FromString("pc inner"), Outer: digest.FromString("pc")}},
		MixEnv:  "prod", MixTarget: "host",
	}
	return app, Project{App: "shop", Releases: []string{"shop"}, Deps: []ProjectDep{
		{App: "jason", SCM: "Hex.SCM", Manager: "mix", Dest: "deps/jason", Options: "[]"},
		{App: "jiffy", SCM: "Hex.SCM", Manager: "rebar3", Dest: "deps/jiffy", Options: "[env: :prod]"},
		{App: "plug", SCM: "Hex.SCM", Manager: "mix", Dest: "deps/plug", Options: "[]", Deps: []string{"jiffy"}},
	}, Config: map[string]*string{"jason": text("Amo="), "shop": text("Aw=="), "logger": text("Ag=="), "jiffy": text("AQ==")},
		ElixirApps: []string{"logger"}}
}

func paths(t *testing.T, plan layers.Plan, step string) []string {
	t.Helper()
	r, ok := plan.Recipe(step)
	if !ok {
		t.Fatalf("the plan has no step %s", step)
	}
	var out []string
	for _, f := range r.Files {
		out = append(out, f.Path)
	}
	return out
}

// TestCompiled: what an application of an umbrella puts into its source's priv
// is part of what it compiles to.
func TestCompiled(t *testing.T) {
	p := Project{Umbrella: true, Apps: []ProjectApp{{App: "store", Path: "apps/store"}, {App: "web", Path: "apps/web"}}}
	outputs := p.compiled()
	for name, want := range map[string]bool{
		"_build/prod/lib/web/ebin/web.beam": true, "apps/web/priv/web.so": true, "apps/store/priv": true, "apps/web/lib/web.ex": false, "priv/x": false,
	} {
		if got := keeps(outputs, name); got != want {
			t.Errorf("keeps %s: %t, want %t", name, got, want)
		}
	}
	if !keeps(Project{App: "shop", Apps: []ProjectApp{{App: "shop", Path: "."}}}.compiled(), "priv/shop.so") {
		t.Error("priv of a single application is not kept")
	}
}

func TestReleasePlan(t *testing.T) {
	app, project := shop()
	plan, err := app.ReleasePlan(project, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Check(); err != nil {
		t.Fatal(err)
	}
	// What a step cannot see cannot change it.
	for step, want := range map[string]string{
		"source:mix":    "config/config.exs mix.exs mix.lock",
		"source:code":   "README.md lib/shop.ex mix.exs mix.lock priv/x",
		"source:config": "config/config.exs",
		"source:rest":   "config/runtime.exs rel/env.sh.eex",
	} {
		if got := strings.Join(paths(t, plan, step), " "); got != want {
			t.Errorf("%s holds %s, want %s", step, got, want)
		}
	}
	compile, _ := plan.Recipe(StepCompile)
	if slices.Contains(compile.Root, "deb:gcc") || slices.Contains(compile.Work, "source:rest") || slices.Contains(compile.Work, "source:config") {
		t.Error("compile sees what it does not need")
	}
	if !slices.Contains(compile.Over, "deb:libjiffy-dev") {
		t.Error("compile has no library for the NIF that it may load")
	}
	if compile.Dir != "/build/project" {
		t.Errorf("compile runs in %s", compile.Dir)
	}
	if _, ok := plan.Recipe("hex:only_in_test"); ok {
		t.Error("a dependency of tests is in the plan of the release")
	}
}

// A dependency sees its own source, what is below it, and no more: all of it is
// in the key, so nothing else can reach its layer.
func TestDependencyRecipe(t *testing.T) {
	app, project := shop()
	plan, err := app.ReleasePlan(project, "shop")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		step, work, root, over, argv string
	}{
		{
			"dep:jason", "hex:jason", "deb:elixir", "configure scripts tools",
			`jason|dep={:jason, ">= 0.0.0", override: true}|lock="jason": {:hex, :jason}|config=jason Amo=|config=logger Ag==`,
		},
		{
			"dep:jiffy", "hex:jiffy plugin:pc plugins", "deb:elixir deb:gcc", "deb:libjiffy-dev configure:native:jiffy scripts compilers tools",
			`jiffy|dep={:jiffy, ">= 0.0.0", override: true, env: :prod}|lock="jiffy": {:hex, :jiffy}|config=jiffy AQ==|config=logger Ag==|plugin=pc`,
		},
		{
			"dep:plug", "hex:jiffy dep:jiffy hex:plug", "deb:elixir", "deb:libjiffy-dev configure:jiffy scripts tools",
			`plug|dep={:jiffy, ">= 0.0.0", override: true, env: :prod}|dep={:plug, ">= 0.0.0", override: true}|lock="jiffy": {:hex, :jiffy}|lock="plug": {:hex, :plug}|config=jiffy AQ==|config=logger Ag==`,
		},
	} {
		r, ok := plan.Recipe(c.step)
		if !ok {
			t.Fatalf("no step %s", c.step)
		}
		for what, pair := range map[string][2]string{
			"work": {strings.Join(r.Work, " "), c.work}, "root": {strings.Join(r.Root, " "), c.root},
			"over": {strings.Join(r.Over, " "), c.over}, "argv": {strings.Join(r.Argv[8:], "|"), c.argv},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s of %s:\n got %s\nwant %s", what, c.step, pair[0], pair[1])
			}
		}
	}
	project.Config["logger"] = nil
	if plan, err = app.ReleasePlan(project, "shop"); err != nil {
		t.Fatal(err)
	}
	if r, _ := plan.Recipe("dep:jason"); !slices.Contains(r.Work, "source:config") || !slices.Contains(r.Argv, "config=whole") {
		t.Errorf("configuration that is no value: %q %q", r.Work, r.Argv)
	}
}

func TestWhatFilesAreFor(t *testing.T) {
	for name, want := range map[string]string{
		"mix.exs": "mix code", "apps/a/mix.exs": "mix code", "libs/m/mix.exs": "mix code", ".formatter.exs": "mix code",
		"lib/a/test/b.ex": "code", "apps/a/lib/a/test/b.ex": "code", "libs/m/lib/m.ex": "code", "apps/a.txt": "code", "README.md": "code",
		"test/a_test.exs": "test", "apps/a/test/support/b.ex": "test", "apps/a/rel/x": "code", "rel/vm.args.eex": "", "config/runtime.exs": "",
		"config/config.exs": "mix code config", "apps/a/config/config.exs": "mix code config",
	} {
		var got []string
		for _, is := range []struct {
			name string
			is   func(string) bool
		}{{"mix", isMix}, {"code", isCode}, {"config", isConfig}, {"test", isTest}} {
			if is.is(name) {
				got = append(got, is.name)
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s is %q, want %q", name, s, want)
		}
	}
}

// Mix does not say that make compiles a dependency before its source is there.
func TestDependencyOfMakeGetsCompilers(t *testing.T) {
	app, project := shop()
	app.Locked[0].Managers, project.Deps[0].Manager = []string{"make"}, ""
	plan, err := app.ReleasePlan(project, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if r, _ := plan.Recipe("dep:jason"); !slices.Contains(r.Root, "deb:gcc") {
		t.Errorf("dep:jason has no compilers: %q", r.Root)
	}
	app.Locked[0].Managers = []string{"make", "rebar3"}
	project.Deps[0].Manager = "rebar3"
	if plan, err = app.ReleasePlan(project, "shop"); err != nil {
		t.Fatal(err)
	}
	if r, _ := plan.Recipe("dep:jason"); slices.Contains(r.Root, "deb:gcc") {
		t.Errorf("dep:jason has compilers, and rebar3 needs none: %q", r.Root)
	}
}

func TestReleasePlanNamesWhatIsMissing(t *testing.T) {
	app, project := shop()
	app.Locked = app.Locked[:1]
	if _, err := app.ReleasePlan(project, "shop"); err == nil || !strings.Contains(err.Error(), "jiffy is not in mix.lock: run mix deps.get") {
		t.Errorf("missing entry: %v", err)
	}
}

func TestReleaseName(t *testing.T) {
	for _, c := range []struct {
		name, want string
		project    Project
		got, fails string
	}{
		{"no releases", "", Project{App: "a"}, "a", ""},
		{"only one", "", Project{App: "a", Releases: []string{"web"}}, "web", ""},
		{"default", "", Project{App: "a", Releases: []string{"web", "worker"}, DefaultRelease: "worker"}, "worker", ""},
		{"asked", "web", Project{App: "a", Releases: []string{"web", "worker"}}, "web", ""},
		{"several", "", Project{App: "a", Releases: []string{"web", "worker"}}, "", "several releases (web, worker)"},
		{"unknown", "api", Project{App: "a", Releases: []string{"web"}}, "", `"api" is not in mix.exs, which has: web`},
		{"umbrella without", "", Project{Umbrella: true}, "", "no releases"},
	} {
		got, err := c.project.ReleaseName(c.want)
		if got != c.got || (err != nil) != (c.fails != "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %q, %v; want %q, %q", c.name, got, err, c.got, c.fails)
		}
	}
}

func FuzzParseProject(f *testing.F) {
	f.Add([]byte(`{"app":"hello","apps":[{"app":"hello","path":"."}],"deps":[{"app":"jason","scm":"Hex.SCM"}],"releases":["hello"]}`))
	f.Add([]byte(`{"app":"../../etc"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProject(data)
		if err != nil {
			return
		}
		for _, d := range p.Deps {
			if strings.ContainsAny(d.App, "/.\x00") {
				t.Fatalf("dependency %q", d.App)
			}
		}
		if name, err := p.ReleaseName(""); err == nil && strings.ContainsAny(name, "/.\x00") {
			t.Fatalf("release %q", name)
		}
	})
}
