package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/internal/fixture"
	"github.com/retort-build/retort/layers"
)

// The edits test compiles a project after each of many random edits twice:
// incrementally from the state that all edits before it left, and from nothing
// with another number of schedulers. Both give the same layer, or the test
// says which file differs, and how to do it again:
//
//	RETORT_EDITS_SEED=7 RETORT_EDITS=200 RETORT_E2E=1 go test ./cmd/retort -run 'TestE2E/Edits'
//
// RETORT_EDITS_SUITE=bookworm does it with that suite's OTP and Elixir.

// editRuns are the projects and how many edits each of them sees.
var editRuns = []struct {
	name, projects string // archives of testdata/edits that make up the project
	real           bool   // with a real library among its own modules
	edits          int
}{
	{"library", "one", true, 30},
	{"large", "one large", false, 20},
	{"own", "one own", false, 40},
	{"umbrella", "umbrella", false, 120},
}

func (k *kit) testEdits(t *testing.T) {
	for _, run := range editRuns {
		t.Run(run.name, func(t *testing.T) {
			e := k.editor(t, strings.Fields(run.projects), run.real)
			e.run(t, number(t, "RETORT_EDITS", run.edits))
		})
	}
}

// number reads a number from the environment.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// An editor has a project that it edits and compiles.
type editor struct {
	dir     string
	session *session
	random  *rand.Rand
	tree    tree
	last    []tree // those before the latest edits

	behind             bool // the tree before was not compiled: an error, or a hit
	steps, incremental int  // compiled, and of those incrementally
	clean              errgroup.Group
}

// A tree is a project's files: a content, or the target of a symbolic link
// after "-> ".
type tree map[string]string

// editSuites are other toolchains that the projects may be compiled with.
var editSuites = map[string]string{
	"bookworm": "[toolchain]\notp = \"25.2.3\"\nelixir = \"1.14.0\"\n\n[base]\nsuite = \"bookworm\"\n",
	"forky":    "[toolchain]\notp = \"29.1.1\"\nelixir = \"1.20.4\"\n\n[base]\nsuite = \"forky\"\nallow_expired = [\"forky\", \"forky-updates\", \"forky-security\"]\n",
}

// editApp has the toolchain of the edited projects: leex wants erlang-dev.
func (k *kit) editApp(t *testing.T) app {
	t.Helper()
	s, err := readExample("hello")
	if err != nil {
		t.Fatal(err)
	}
	s.variant = "-edits"
	if suite := os.Getenv("RETORT_EDITS_SUITE"); suite != "" {
		s.variant += "-" + suite
		s.manifest = editSuites[suite]
	}
	s.files["toolchain.toml"] = "platforms = [\"linux/amd64\"]\n" + s.files["toolchain.toml"] + "\n[base]\npackages = [\"erlang-dev\"]\n"
	s.files["toolchain.lock"] = string(k.lock(t, s))
	return s
}

// editor writes a project made of archives of testdata/edits.
func (k *kit) editor(t *testing.T, projects []string, real bool) *editor {
	t.Helper()
	s := k.editApp(t)
	e := &editor{tree: tree{}}
	for _, project := range projects {
		archive, err := txtar.ParseFile(filepath.Join("testdata", "edits", project+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			e.tree[f.Name] = string(f.Data)
		}
	}
	if real {
		e.addLibrary(t)
	}
	for _, name := range []string{"toolchain.toml", "toolchain.lock"} {
		e.tree[name] = s.files[name]
	}
	home := k.primedHome(t, s, 0)
	top := folder(t)
	if err := os.WriteFile(filepath.Join(top, "toolchain.toml"), []byte(s.manifest), 0o644); err != nil {
		t.Fatal(err)
	}
	e.dir = filepath.Join(top, "examples", projects[0])
	e.write(t, nil)
	e.session = k.session(t, home, e.dir)
	return e
}

// library is real code: a Markdown parser in Elixir, leex and yecc.
const library = "5090141c4c8375f8f4db12e92ac5e3c0843a01d74a66c2052c1bfb049979dff7"

func (e *editor) addLibrary(t *testing.T) {
	t.Helper()
	cache, err := fixture.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	mirrors, err := fixture.Mirrors(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range fixture.HexPackages() {
		if p.Source.Digest.Encoded() != library {
			continue
		}
		files, err := fixture.Sources{Dir: filepath.Join(cache, "sources"), Mirrors: mirrors}.Tree(t.Context(), p.Source, p.Folder)
		if err != nil {
			t.Fatal(err)
		}
		for name, f := range files {
			if strings.HasPrefix(name, "lib/") || strings.HasPrefix(name, "src/") {
				e.tree[name] = string(f.Content)
			}
		}
		return
	}
	t.Fatalf("the kit's repository has no package with the source %s", library)
}

// write makes the folder hold the tree, which it did before was another one.
func (e *editor) write(t *testing.T, before tree) {
	t.Helper()
	for name := range before {
		if _, ok := e.tree[name]; !ok {
			if err := os.Remove(filepath.Join(e.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, text := range e.tree {
		if old, ok := before[name]; ok && old == text {
			continue
		}
		path := filepath.Join(e.dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(path)
		var err error
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (e *editor) run(t *testing.T, edits int) {
	seed := number(t, "RETORT_EDITS_SEED", 1)
	e.random = rand.New(rand.NewPCG(uint64(seed), 0))
	t.Logf("RETORT_EDITS_SEED=%d RETORT_EDITS=%d", seed, edits)
	e.clean.SetLimit(2)
	defer func() { // also after a fatal error: what still runs wants the store
		if err := e.clean.Wait(); err != nil {
			t.Error(err)
		}
	}()
	e.step(t, 0, edit{name: "nothing yet", mode: cleanly})
	for i := 1; i <= edits && !t.Failed(); i++ {
		before := maps.Clone(e.tree)
		done := e.edit()
		e.last = append(e.last, before)
		e.write(t, before)
		e.step(t, i, done)
	}
	t.Logf("%d compilations, %d of them incremental", e.steps, e.incremental)
	if edits >= 30 && e.incremental*2 < e.steps {
		t.Errorf("only %d of %d compilations were incremental", e.incremental, e.steps)
	}
}

// step compiles the tree as it is in both ways. The clean compilation goes on
// beside the steps that follow.
func (e *editor) step(t *testing.T, i int, done edit) {
	t.Helper()
	ctx := context.Background()
	var log bytes.Buffer
	b := *e.session.builder
	b.Incremental = true
	b.Log = func(step string) io.Writer {
		if step == builder.StepCompile {
			return &log
		}
		return io.Discard
	}
	app, err := e.session.app(ctx)
	if err != nil {
		t.Fatal(err)
	}
	built, err := b.Plan(ctx, app, "")
	if err != nil {
		t.Fatalf("step %d, %s: %v", i, done, err)
	}
	plan := upTo(t, built.Plan, builder.StepCompile)
	results, err := b.Realise(ctx, plan)
	var exit *builder.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("step %d, %s: %v", i, done, err)
	}
	if err != nil && done.mode != broken {
		t.Fatalf("step %d, %s: %v\n%s", i, done, err, log.String())
	}
	e.mode(t, i, done, log.String(), err)
	layer := results[builder.StepCompile]

	// Its files are in the store by now, whatever the next edits do.
	other := scheduled(plan, []int{1, 2, 4, 16}[i%4])
	e.clean.Go(func() error {
		c := *e.session.builder
		c.Incremental = false
		want, wantErr := c.Realise(ctx, other)
		exit := &builder.ExitError{}
		if wantErr != nil && !errors.As(wantErr, &exit) {
			return fmt.Errorf("step %d, %s: clean: %w", i, done, wantErr)
		}
		if (err == nil) != (wantErr == nil) {
			t.Errorf("step %d, %s: incremental: %v; clean: %v\n%s", i, done, err, wantErr, exit.Log)
			return nil
		}
		if err == nil && want[builder.StepCompile].DiffID != layer.DiffID {
			t.Errorf("step %d, %s: differs from a clean compilation in\n%s", i, done, e.difference(layer, want[builder.StepCompile]))
		}
		return nil
	})
}

var (
	compiling = regexp.MustCompile(`Compiling (\d+) file`)
	again     = regexp.MustCompile(`Compiling everything.*`)
	excuses   = regexp.MustCompile(`cannot be continued|a map of many atoms|a module that was found at run time`)
)

// mode checks how a step was compiled: an incremental compilation compiles
// few files.
func (e *editor) mode(t *testing.T, i int, done edit, log string, err error) {
	t.Helper()
	files, all := 0, 0
	for _, m := range compiling.FindAllStringSubmatch(log, -1) {
		n, _ := strconv.Atoi(m[1])
		files += n
	}
	for name := range e.tree {
		switch filepath.Ext(name) {
		case ".ex", ".erl", ".xrl", ".yrl":
			all++
		}
	}
	incremental := files < all*9/10
	if os.Getenv("RETORT_EDITS_LOG") != "" {
		t.Logf("step %d, %s: %d of %d files compiled %s", i, done, files, all, again.FindString(log))
	}
	behind := e.behind
	if e.behind = err != nil || log == ""; err != nil {
		return
	}
	e.steps++
	if incremental {
		e.incremental++
	}
	if done.mode == cleanly && incremental {
		t.Errorf("step %d, %s: compiled %d of %d files: want all of them", i, done, files, all)
	}
	// The edit before may have left nothing to begin from, or is part of this one,
	// and this one may bring new names, or change an implementation of a protocol
	// that was looked for while something else was compiled.
	excused := behind || excuses.MatchString(log)
	if done.mode == partly && !incremental && !excused {
		t.Errorf("step %d, %s: compiled %d of %d files: want few\n%s", i, done, files, all, log)
	}
}

// upTo is the part of a plan that a step needs.
func upTo(t *testing.T, plan layers.Plan, step string) layers.Plan {
	t.Helper()
	need := map[string]bool{step: true}
	var out layers.Plan
	for _, r := range slices.Backward(plan.Recipes) {
		if need[r.Name] {
			out.Recipes = append(out.Recipes, r)
			for _, name := range r.InputNames() {
				need[name] = true
			}
		}
	}
	slices.Reverse(out.Recipes)
	return out
}

// scheduled is the plan with another number of schedulers for the compiler,
// and so another key for what it makes.
func scheduled(plan layers.Plan, n int) layers.Plan {
	out := layers.Plan{Recipes: slices.Clone(plan.Recipes)}
	last := &out.Recipes[len(out.Recipes)-1]
	last.Env, last.Parallel = slices.Clone(last.Env), false
	for i, kv := range last.Env {
		if strings.HasPrefix(kv, "ERL_AFLAGS=") {
			last.Env[i] = fmt.Sprintf("ERL_AFLAGS=+fnu +S %d:%d", n, n)
		}
	}
	return out
}

// difference lists the files that are not the same in two layers.
func (e *editor) difference(a, b layers.Layer) string {
	var out []string
	seen := map[string]string{}
	for _, l := range []layers.Layer{a, b} {
		entries, err := e.session.store.Entries(context.Background(), l)
		if err != nil {
			return err.Error()
		}
		for _, f := range entries {
			what := fmt.Sprintf("%v %o %s %s", f.Kind, f.Mode, f.Link, f.Digest)
			switch old, ok := seen[f.Path]; {
			case l == a:
				seen[f.Path] = what
				continue
			case !ok:
				out = append(out, "  only clean: "+f.Path)
			case old != what:
				out = append(out, "  "+f.Path+": "+old+" incrementally, "+what+" clean")
			}
			delete(seen, f.Path)
		}
	}
	for path := range seen {
		out = append(out, "  only incremental: "+path)
	}
	slices.Sort(out)
	out = append(out, fmt.Sprintf("  (%s and %s)", e.session.store.Path(a), e.session.store.Path(b)))
	return strings.Join(out, "\n")
}
