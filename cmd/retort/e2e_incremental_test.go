package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/retort-build/retort/builder"
)

// testIncremental builds a project as its work tree changes: a clean commit is
// compiled from nothing, anything else incrementally, a flag overrules both,
// and the release never depends on it.
func (k *kit) testIncremental(t *testing.T) {
	s := k.example(t, "hello")
	top := folder(t)
	dir := s.write(t, top, writeOptions{})
	o := start{dir: dir, home: k.primedHome(t, s, 0)}
	const file = "lib/hello/request.ex"
	edit := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(s.files[file]+text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	commit := func() {
		t.Helper()
		for _, args := range [][]string{{"add", "-A"}, {"commit", "-q", "-m", "edit"}} {
			cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", top, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("git %s: %v\n%s", args[0], err, out)
			}
		}
	}
	all := strings.Count(strings.Join(sortedKeys(s.files, false), "\n")+"\n", ".ex\n")
	releases := map[string]string{}
	build := func(what, source string, compiled int, flags ...string) {
		t.Helper()
		r := k.must(t, o, append([]string{"build", "--progress", "plain", "-v"}, flags...)...)
		got := 0
		if m := compiling.FindStringSubmatch(r.stderr); m != nil {
			got, _ = strconv.Atoi(m[1])
		}
		if got != compiled {
			t.Errorf("%s: %d files were compiled, want %d\n%s", what, got, compiled, r.stderr)
		}
		d, _ := r.outputs(t)
		if was, ok := releases[source]; ok && was != d.release.String() {
			t.Errorf("%s: the release is %s, was %s", what, d.release, was)
		}
		releases[source] = d.release.String()
	}

	build("a clean commit", "as it was", all)
	edit("# one\n")
	build("a dirty work tree", "one", 1)
	build("the same work tree", "one", 0)
	build("a dirty work tree, told to compile all", "one", all, "--incremental=false")
	edit("# two\n")
	commit()
	build("another clean commit", "two", all)
	edit("# three\n")
	commit()
	build("a clean commit, told not to", "three", 1, "--incremental")
	build("the same commit, not told", "three", all)
	edit("# four\n")
	build("a dirty work tree, told to compile all", "four", all, "--incremental=false")
}

// testBrokenStates reads hundreds of broken states where states are read, in the
// sandbox. None may stop a compilation.
func (k *kit) testBrokenStates(t *testing.T) {
	e := k.editor(t, []string{"umbrella"}, false)
	app, err := e.session.app(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := *e.session.builder
	b.Incremental = true
	built, err := b.Plan(t.Context(), app, "")
	if err != nil {
		t.Fatal(err)
	}
	plan := upTo(t, built.Plan, builder.StepCompile)
	if _, err := b.Realise(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err = b.Exec(t.Context(), plan, builder.StepCompile, builder.Command{
		Argv:   []string{"/usr/bin/elixir", "-pa", "/retort/ebin", "-e", breakStates},
		Stdout: &out, Stderr: &out,
	})
	if err != nil || !strings.Contains(out.String(), "500 states") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// breakStates makes a state out of the project, and then 500 that are broken:
// bytes flipped, the end cut off, and terms that are not what they should be.
const breakStates = `
alias Retort.State
:rand.seed(:exsss, {1, 2, 3})
build = System.fetch_env!("MIX_BUILD_PATH")
File.mkdir_p!(".retort")
files = State.files()
good = %{State.new(files) | projects: [{"", "lib/core", ["apps/core/lib"]}], seen: [{"a", "b"}], manifests: [{"lib/core/.mix/compile.elixir", "x"}]}
write = fn term -> File.write!(".retort/state", if(is_binary(term), do: term, else: :erlang.term_to_binary(term, compressed: 1))) end
write.(good)
{:incremental, _} = State.begin(files, build, fn _state -> nil end)
data = File.read!(".retort/state")
plain = :erlang.term_to_binary(good)
odd = [nil, [], %{}, "", 1, -1, :clean, {1, 2}, [nil], %{nil => 1}, 1.5, [1 | 2]]
flip = fn data -> n = :rand.uniform(byte_size(data)) - 1; <<a::binary-size(n), b, rest::binary>> = data; <<a::binary, Bitwise.bxor(b, :rand.uniform(255)), rest::binary>> end

broken =
  for(_ <- 1..200, do: flip.(plain)) ++
    for(_ <- 1..100, do: flip.(data)) ++
    for(_ <- 1..60, do: binary_part(data, 0, :rand.uniform(byte_size(data)) - 1)) ++
    for(_ <- 1..140, key = Enum.random(Map.keys(good) -- [:__struct__]), do: Map.put(good, key, Enum.random(odd)))

for state <- broken do
  write.(state)
  {mode, %State{}} = State.begin(files, build, fn _state -> nil end)
  true = mode in [:clean, :incremental]
end

IO.puts("#{length(broken)} states")
`
