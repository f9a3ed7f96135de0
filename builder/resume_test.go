package builder

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/layers"
)

// A resumable program of these tests leaves what it was given as its output
// and says that it was incremental if it found a state.
type resumable struct {
	scripted
	found []string // by run: the state and the names it found
	leave map[string]string
}

func newResumable() *resumable {
	e := &resumable{leave: map[string]string{stateFile: "state", madeFile: "made"}}
	e.do = map[string]func(Process) error{"compile": e.run}
	return e
}

func (e *resumable) run(p Process) error {
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(p.Work.Upper, name))
		if err != nil {
			return "none"
		}
		return string(data)
	}
	e.found = append(e.found, strings.Join([]string{read(stateFile), read(madeFile), read("out/result")}, " "))
	files := maps.Clone(e.leave)
	files[modeFile] = "clean"
	if read(stateFile) != "none" {
		files[modeFile] = modeIncremental
	}
	files["out/result"] = files[modeFile]
	for name, text := range files {
		path := filepath.Join(p.Work.Upper, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// compilation is a plan whose program may resume when code alone has changed.
func compilation(content map[string]string, facts ...string) layers.Plan {
	r := program("compile", "deps", "code")
	r.Resumes = &layers.Resume{Fresh: []string{"code"}, Facts: facts}
	return layers.Plan{Recipes: []layers.Recipe{source(content, "deps", "dep"), source(content, "code", "code"), r}}
}

func TestResume(t *testing.T) {
	content := map[string]string{"code": "one", "dep": "dep"}
	engine := newResumable()
	b := newBuilder(t, engine, content)
	b.Project = "here"
	realise := func(incremental bool, facts ...string) layers.Layer {
		t.Helper()
		b.Incremental = incremental
		done, err := b.Realise(t.Context(), compilation(content, facts...))
		if err != nil {
			t.Fatal(err)
		}
		return done["compile"]
	}
	want := func(what string, runs ...string) {
		t.Helper()
		if got := strings.Join(engine.found, "; "); got != strings.Join(runs, "; ") {
			t.Fatalf("%s: the runs found %q, want %q", what, got, runs)
		}
		engine.found = nil
	}

	realise(true)
	want("first", "none none none")
	realise(true)
	want("the same again")
	content["code"] = "two"
	resumed := realise(true)
	want("new code", "state made clean")
	if again := realise(true); again != resumed {
		t.Errorf("the same again: %v, want %v", again, resumed)
	}
	want("new code again")

	clean := realise(false)
	want("clean after incremental", "none made none")
	if clean == resumed {
		t.Error("a clean build was given the incremental result")
	}
	if again := realise(true); again != clean {
		t.Errorf("incremental after clean: %v, want the clean result %v", again, clean)
	}
	want("incremental after clean")

	content["dep"] = "another"
	realise(true)
	want("another dependency", "none made none")
	content["code"] = "three"
	realise(true, "mix.exs=1")
	want("another definition", "none made none")
	content["code"] = "four"
	b.Project = "there"
	realise(true)
	want("another project", "none none none")
}

// TestResumeFromNothing takes away what a state consists of.
func TestResumeFromNothing(t *testing.T) {
	point := func(t *testing.T, b *Builder, plan layers.Plan) layers.Key {
		t.Helper()
		inputs, err := b.Realise(t.Context(), layers.Plan{Recipes: plan.Recipes[:2]})
		if err != nil {
			t.Fatal(err)
		}
		key, err := layers.ResumeKey(&plan.Recipes[2], inputs, b.Project)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, b *Builder, key layers.Key)
		want  string
	}{
		{"nothing is spoilt", func(*testing.T, *Builder, layers.Key) {}, "state made clean"},
		{"the value is broken", func(t *testing.T, b *Builder, key layers.Key) {
			if err := b.Store.PutValue(t.Context(), key, []byte("{")); err != nil {
				t.Fatal(err)
			}
		}, "none made none"},
		{"there is no such layer", func(t *testing.T, b *Builder, key layers.Key) {
			text := `{"result":"` + strings.Repeat("0", len(key)) + `","state":"` + digest.FromString("state").String() + `"}`
			if err := b.Store.PutValue(t.Context(), key, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}, "none made none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			content := map[string]string{"code": "one", "dep": "dep"}
			engine := newResumable()
			b := newBuilder(t, engine, content)
			b.Incremental, b.Project = true, "here"
			if _, err := b.Realise(t.Context(), compilation(content)); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, b, point(t, b, compilation(content)))
			content["code"] = "two"
			if _, err := b.Realise(t.Context(), compilation(content)); err != nil {
				t.Fatal(err)
			}
			if got := engine.found[len(engine.found)-1]; got != c.want {
				t.Errorf("the second run found %q, want %q", got, c.want)
			}
		})
	}
}

// TestResumeLeavesNothing has a program that leaves no state, or one that is
// no file.
func TestResumeLeavesNothing(t *testing.T) {
	content := map[string]string{"code": "one", "dep": "dep"}
	engine := newResumable()
	engine.leave = map[string]string{}
	b := newBuilder(t, engine, content)
	b.Incremental = true
	for _, code := range []string{"one", "two"} {
		content["code"] = code
		if _, err := b.Realise(t.Context(), compilation(content)); err != nil {
			t.Fatal(err)
		}
	}
	if want := "none none none"; engine.found[1] != want {
		t.Errorf("the second run found %q, want %q", engine.found[1], want)
	}
}

// TestResumeKeepsWhatChanged: a file that a program only touched, to give it
// another time, is none that it made.
func TestResumeKeepsWhatChanged(t *testing.T) {
	content := map[string]string{"out/touched/same": "same", "out/same": "same", "out/other": "other", "out/longer": "longer", "dep": "dep"}
	engine := newResumable()
	engine.leave = map[string]string{"out/touched/same": "same", "out/same": "same", "out/other": "OTHER", "out/longer": "longer still", "out/new": "new"}
	b := newBuilder(t, engine, content)
	plan := compilation(content)
	plan.Recipes[0], plan.Recipes[1] = source(content, "deps", "dep"), source(content, "code", "out/longer", "out/other", "out/same", "out/touched/same")
	plan.Recipes[2].Outputs = append([]layers.Output{{Path: "_build"}}, plan.Recipes[2].Outputs...)
	done, err := b.Realise(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := b.Store.Entries(t.Context(), done["compile"])
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Path)
	}
	if got, want := strings.Join(names, " "), "out out/longer out/new out/other out/result"; got != want {
		t.Errorf("the layer has %q, want %q", got, want)
	}
}
