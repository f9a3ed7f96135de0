package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/layers"
)

// amended are releases of hello by what their options in mix.exs do with the
// module Hello.Request, which the test then edits, and whether the release can
// then be made without running Mix.
var amended = []struct {
	name, options string
	want          bool
}{
	{"plain", "", true},
	{"docs", `strip_beams: [keep: ["Docs"]]`, true},
	{"packed", `strip_beams: [compress: true]`, false},
	{"whole", `strip_beams: false`, false},
	{"reads", step(`File.read!("_build/prod/lib/hello/ebin/Elixir.Hello.Request.beam")`), false},
	{"reads_copy", step(`File.read!(Path.wildcard(r.path <> "/lib/hello-*/ebin/Elixir.Hello.Request.beam") |> hd())`), false},
	{"reads_source", step(`File.read!("lib/hello/request.ex")`), false},
	{"reads_another", step(`File.read!("_build/prod/lib/hello/ebin/Elixir.Hello.Signals.beam") <> File.read!("lib/hello/signals.ex")`), true},
	{"asks_size", step(`"#{File.stat!("_build/prod/lib/hello/ebin/Elixir.Hello.Request.beam").size}"`), false},
	{"runs", step(`inspect(Hello.Request.module_info(:md5))`), false},
	{"commands", step(`to_string(elem(System.cmd("/bin/sh", ["-c", "cat _build/prod/lib/hello/ebin/*Request.beam"]), 1))`), false},
	{"moves", step(`File.rename!(hd(Path.wildcard(r.path <> "/lib/hello-*/ebin/Elixir.Hello.Request.beam")), r.path <> "/Elixir.Hello.Request.beam") && ""`), false},
	{"removes", step(`File.rm!(hd(Path.wildcard(r.path <> "/lib/hello-*/ebin/Elixir.Hello.Request.beam"))) && ""`), true},
}

// step is a release step that writes the value of an expression, in which the
// release is r.
func step(value string) string {
	return fmt.Sprintf(`steps: [:assemble, fn r -> File.write!(Path.join(r.path, "written"), %s); r end]`, value)
}

// testAmend edits a module and builds releases that look at it in every way, and
// then from nothing: the results are equal, and Mix runs where it has to.
func (k *kit) testAmend(t *testing.T) {
	s := k.exampleFor(t, "hello")
	var releases []string
	for _, r := range amended {
		releases = append(releases, fmt.Sprintf("%s: fn -> [include_executables_for: [:unix], %s] end", r.name, r.options))
	}
	mix := strings.Replace(s.files["mix.exs"], "hello: [include_executables_for: [:unix]]", strings.ReplaceAll(strings.Join(releases, ",\n"), ", ] end", "] end"), 1)
	if mix == s.files["mix.exs"] {
		t.Fatal("mix.exs of hello has changed")
	}
	s.files["mix.exs"] = mix
	dir := s.write(t, folder(t), writeOptions{})
	session := k.session(t, k.primedHome(t, s, 0), dir)

	build := func(name string, incremental bool) (release layers.Layer, ran bool) {
		t.Helper()
		var log bytes.Buffer
		b := *session.builder
		b.Incremental = incremental
		b.Log = func(step string) io.Writer {
			if step == builder.StepRelease {
				ran = true
			}
			return &log
		}
		app, err := session.app(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		built, err := b.Release(t.Context(), app, name)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, log.String())
		}
		return built.Release, ran
	}
	write := func(file, text string) {
		t.Helper()
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const file = "lib/hello/request.ex"
	first := map[string]layers.Layer{}
	for _, r := range amended {
		first[r.name], _ = build(r.name, true)
	}
	const module = "defmodule Hello.Request do\n"
	write(file, strings.Replace(s.files[file], module, module+"  @doc false\n  def amended, do: 1\n", 1))
	for _, r := range amended {
		got, ran := build(r.name, true)
		if ran == r.want {
			t.Errorf("%s: Mix ran is %v, want %v", r.name, ran, !r.want)
		}
		want, _ := build(r.name, false)
		if got.DiffID != want.DiffID {
			t.Errorf("%s: the release is %s, and %s from nothing", r.name, got.DiffID, want.DiffID)
		}
		if gone := r.name == "removes"; (got.DiffID == first[r.name].DiffID) != gone {
			t.Errorf("%s: the edit is not in the release", r.name)
		}
	}
	for _, change := range []struct{ what, file, text string }{
		{"one module more", file, "defmodule Hello.More do\nend\n\n" + s.files[file]},
		{"the description of the application", "mix.exs", strings.Replace(mix, "[:logger, :crypto", "[:logger, :tools, :crypto", 1)},
		{"one file more", "priv/more.txt", "one"},
		{"a file that is copied", "priv/more.txt", "two"},
	} {
		write(change.file, change.text)
		got, ran := build("plain", true)
		if want, _ := build("plain", false); !ran || got.DiffID != want.DiffID {
			t.Errorf("%s: Mix ran is %v; the release is %s, and %s from nothing", change.what, ran, got.DiffID, want.DiffID)
		}
	}
}
