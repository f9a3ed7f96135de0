package builder

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-build/retort/env/git"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/layers"
)

// withGit is shop with jiffy's place taken by a git dependency.
func withGit(t *testing.T, url, commit string) (MixApp, Project) {
	t.Helper()
	app, project := shop()
	locked, err := hex.ParseLock("mix.lock", fmt.Appendf(nil, "%%{\"icons\": {:git, %q, %q, [sparse: \"svg\"]}}", url, commit))
	if err != nil {
		t.Fatal(err)
	}
	app.Locked = append(app.Locked, locked...)
	root := app.Root
	app.Root = func(n Need) (layers.RootFS, error) {
		fs, err := root(n)
		if n.Git {
			fs.Config += ":git"
			fs.Recipes[len(fs.Recipes)-1].Name = fs.Config
		}
		return fs, err
	}
	project.Deps = append([]ProjectDep{{App: "icons", SCM: "Mix.SCM.Git", Manager: "mix", Dest: "deps/icons/svg", Options: "[git: \"" + url + "\", sparse: \"svg\"]"}}, project.Deps...)
	project.Deps[3].Deps = append(project.Deps[3].Deps, "icons") // plug
	return app, project
}

func TestReleasePlanWithGit(t *testing.T) {
	app, project := withGit(t, "https://git.example/icons.git", strings.Repeat("ab", 20))
	plan, err := app.ReleasePlan(project, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Check(); err != nil {
		t.Fatal(err)
	}
	source, ok := plan.Recipe("git:icons")
	if !ok || source.Kind != layers.UnpackGit || source.Prefix != "deps/icons" || !strings.Contains(source.Archive.Lock, "git.example") {
		t.Fatalf("source of a git dependency: %+v", source)
	}
	for step, want := range map[string]struct{ source, git bool }{
		StepProject: {true, true}, "dep:icons": {true, true}, "dep:plug": {true, true}, StepCompile: {true, true}, StepRelease: {true, true},
		"dep:jason": {false, false}, "dep:jiffy": {false, false},
	} {
		r, ok := plan.Recipe(step)
		if !ok {
			t.Fatalf("the plan has no step %s", step)
		}
		if got := slices.Contains(r.Work, "git:icons"); got != want.source {
			t.Errorf("%s sees the source: %v", step, got)
		}
		if got := slices.ContainsFunc(r.Over, func(s string) bool { return strings.HasSuffix(s, ":git") }); got != want.git {
			t.Errorf("%s has git: %v, it runs over %v", step, got, r.Over)
		}
	}
}

// TestRealiseGit makes the layer of a git dependency, in two stores.
func TestRealiseGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs the program git")
	}
	dir := filepath.Join(t.TempDir(), "icons")
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@x", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@x"}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	if err := os.MkdirAll(filepath.Join(dir, "svg"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"svg/a.svg", "README.md"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run("init", "-q")
	run("add", "-A")
	run("commit", "-q", "-m", "icons")
	app, _ := withGit(t, dir, run("rev-parse", "HEAD"))
	recipe := gitRecipe(app.Locked[len(app.Locked)-1])
	plan := layers.Plan{Recipes: []layers.Recipe{recipe}}

	var made []layers.Layer
	for range 2 {
		b := newBuilder(t, nil, nil)
		if _, err := b.Realise(t.Context(), plan); err == nil || !strings.Contains(err.Error(), "fetches nothing") {
			t.Errorf("without a cache: %v", err)
		}
		b.Git = &git.Cache{Dir: filepath.Join(t.TempDir(), "git"), Env: os.Environ()}
		var arrived int64
		b.OnEvent = func(e Event) { arrived = max(arrived, e.Bytes) }
		done, err := b.Realise(t.Context(), plan)
		if err != nil {
			t.Fatal(err)
		}
		if arrived == 0 {
			t.Error("no event told that something was fetched")
		}
		made = append(made, done["git:icons"])
		entries, err := b.Store.Entries(t.Context(), made[0])
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Path)
		}
		for _, want := range []string{"deps/icons/svg/a.svg", "deps/icons/.git/HEAD", "deps/icons/.git/config"} {
			if !slices.Contains(names, want) {
				t.Errorf("%s is not in the layer: %v", want, names)
			}
		}
		if slices.Contains(names, "deps/icons/README.md") {
			t.Error("a sparse checkout has a file of another folder")
		}
	}
	if made[0] != made[1] {
		t.Errorf("two layers of one commit: %v", made)
	}
	b := newBuilder(t, nil, nil)
	b.Git = &git.Cache{Dir: filepath.Join(t.TempDir(), "git"), Env: os.Environ()}
	plan.Recipes[0].Archive.Lock = strings.Replace(recipe.Archive.Lock, dir, "https://me:hunter2@git.example/x", 1)
	if _, err := b.Realise(t.Context(), plan); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a URL with a password: %v", err)
	}
}

// A repository may hold more than the dependency that is in it: a folder beside
// its own has the same source.
func TestFolderOfGitDependency(t *testing.T) {
	app, project := withGit(t, "https://git.example/icons.git", strings.Repeat("ab", 20))
	project.Deps = append([]ProjectDep{{App: "shapes", SCM: "Mix.SCM.Path", Manager: "mix", Dest: "deps/icons/shapes", Options: "[path: \"deps/icons/shapes\"]"}}, project.Deps...)
	project.Deps[1].Deps = []string{"shapes"}
	plan, err := app.ReleasePlan(project, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Check(); err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"dep:shapes", "dep:icons"} {
		r, ok := plan.Recipe(step)
		if !ok {
			t.Fatalf("the plan has no step %s", step)
		}
		sources := slices.DeleteFunc(slices.Clone(r.Work), func(s string) bool { return s != "git:icons" })
		if len(sources) != 1 {
			t.Errorf("%s works in %v, want the source of icons once", step, r.Work)
		}
	}
	if _, ok := plan.Recipe("source:path:shapes"); ok {
		t.Error("a folder of a git dependency is looked for in the project")
	}
}
