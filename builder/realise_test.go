package builder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// A scripted engine does in this process what a program would do: what the
// sandbox does with a real one is enginetest's matter.
type scripted struct {
	mu   sync.Mutex
	runs []string
	do   map[string]func(Process) error // by argv[0]
}

func (e *scripted) Run(ctx context.Context, p Process) error {
	e.mu.Lock()
	e.runs = append(e.runs, p.Argv[0])
	e.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	return e.do[p.Argv[0]](p)
}

// writes makes a program that writes one output.
func writes(name, text string) func(Process) error {
	return func(p Process) error {
		path := filepath.Join(p.Work.Upper, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(text), 0o600)
	}
}

func newBuilder(t *testing.T, e Engine, content map[string]string) *Builder {
	t.Helper()
	store, err := layers.Open(filepath.Join(t.TempDir(), "store"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return &Builder{Store: store, Engine: e, Jobs: 2, Open: func(_ *layers.Recipe, f layers.SourceFile) (io.ReadCloser, error) {
		text, ok := content[f.Path]
		if !ok {
			return nil, os.ErrNotExist
		}
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

func source(content map[string]string, name string, paths ...string) layers.Recipe {
	r := layers.Recipe{Name: name, Kind: layers.Files, Platform: env.Any}
	for _, p := range paths {
		r.Files = append(r.Files, layers.SourceFile{Path: p, Mode: 0o644, Digest: digest.FromString(content[p]), Size: int64(len(content[p]))})
	}
	return r
}

func program(name string, work ...string) layers.Recipe {
	return layers.Recipe{
		Name: name, Kind: layers.Run, Platform: env.LinuxAMD64, Dir: "/build/app",
		Argv: []string{name}, Work: work, Outputs: []layers.Output{{Path: "out"}},
	}
}

func TestRealiseRunsOnceAndCutsOffEarly(t *testing.T) {
	content := map[string]string{"a": "1"}
	engine := &scripted{do: map[string]func(Process) error{
		"generate": writes("out/same", "whatever the input"),
		"use":      writes("out/used", "x"),
	}}
	b := newBuilder(t, engine, content)
	plan := func() layers.Plan {
		return layers.Plan{Recipes: []layers.Recipe{source(content, "source", "a"), program("generate", "source"), program("use", "generate")}}
	}
	ctx := context.Background()
	first, err := b.Realise(ctx, plan())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(engine.runs, " "); got != "generate use" {
		t.Fatalf("ran %q", got)
	}
	if _, err := b.Realise(ctx, plan()); err != nil {
		t.Fatal(err)
	}
	if len(engine.runs) != 2 {
		t.Fatalf("a build with nothing to do ran %q", engine.runs[2:])
	}
	// Another input, the same output: what comes after must not run again.
	content["a"] = "2"
	second, err := b.Realise(ctx, plan())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(engine.runs[2:], " "); got != "generate" {
		t.Errorf("after an edit that changes nothing, %q ran, want generate alone", got)
	}
	if first["use"] != second["use"] || first["source"] == second["source"] {
		t.Errorf("layers %v, then %v", first, second)
	}
}

func TestRealiseKeepsOnlyOutputs(t *testing.T) {
	content := map[string]string{"a": "1"}
	engine := &scripted{do: map[string]func(Process) error{"p": func(p Process) error {
		return errors.Join(writes("out/kept", "k")(p), writes("stray", "s")(p))
	}}}
	b := newBuilder(t, engine, content)
	done, err := b.Realise(context.Background(), layers.Plan{Recipes: []layers.Recipe{source(content, "source", "a"), program("p", "source")}})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := b.Store.Entries(context.Background(), done["p"])
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, fmt.Sprintf("%s %o %d:%d", e.Path, e.Mode, e.UID, e.GID))
	}
	if want := "out 755 0:0, out/kept 644 0:0"; strings.Join(got, ", ") != want {
		t.Errorf("the layer holds %s, want %s", strings.Join(got, ", "), want)
	}
}

func TestRealiseReportsTheProgramsFailure(t *testing.T) {
	content := map[string]string{"a": "1"}
	engine := &scripted{do: map[string]func(Process) error{"p": func(p Process) error {
		fmt.Fprintln(p.Stdout, "compiling")
		fmt.Fprintln(p.Stderr, "** (SyntaxError) lib/a.ex:1")
		return &ExitError{Code: 1}
	}}}
	b := newBuilder(t, engine, content)
	plan := layers.Plan{Recipes: []layers.Recipe{source(content, "source", "a"), program("p", "source")}}
	_, err := b.Realise(context.Background(), plan)
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Step != "p" || exit.Code != 1 || exit.Log != "compiling\n** (SyntaxError) lib/a.ex:1\n" {
		t.Fatalf("error %v (%+v)", err, exit)
	}
	// Nothing of the failed step stays; the next build runs it again.
	engine.do["p"] = writes("out/x", "x")
	if _, err := b.Realise(context.Background(), plan); err != nil {
		t.Fatal(err)
	}
}

func TestRealiseRefusesSourceThatChanges(t *testing.T) {
	content := map[string]string{"a": "1"}
	b := newBuilder(t, &scripted{}, content)
	plan := layers.Plan{Recipes: []layers.Recipe{source(content, "source", "a")}}
	content["a"] = "2"
	if _, err := b.Realise(context.Background(), plan); err == nil || !strings.Contains(err.Error(), "changed while the build read it") {
		t.Errorf("error %v", err)
	}
}

func TestRealiseStopsWhenCancelled(t *testing.T) {
	content := map[string]string{"a": "1"}
	ctx, cancel := context.WithCancel(context.Background())
	engine := &scripted{do: map[string]func(Process) error{
		"p": func(Process) error { cancel(); return ctx.Err() },
		"q": writes("out/q", "q"),
	}}
	b := newBuilder(t, engine, content)
	_, err := b.Realise(ctx, layers.Plan{Recipes: []layers.Recipe{source(content, "source", "a"), program("p", "source"), program("q", "p")}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if strings.Contains(strings.Join(engine.runs, " "), "q") {
		t.Error("a step ran after the cancellation")
	}
}

func TestBuildWithoutFetcherNamesTheStep(t *testing.T) {
	b := newBuilder(t, &scripted{}, nil)
	r := layers.Recipe{Name: "deb:bash", Kind: layers.UnpackDeb, Platform: env.LinuxAMD64, Archive: layers.Archive{Name: "bash", Digest: digest.FromString("x"), Size: 1}}
	_, err := b.Realise(context.Background(), layers.Plan{Recipes: []layers.Recipe{r}})
	if err == nil || !strings.Contains(err.Error(), "fetch deb:bash: not in the store") {
		t.Errorf("error %v", err)
	}
}
