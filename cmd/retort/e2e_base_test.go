package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/layers"
)

// testBase assembles releases with and without what is laid out before there
// is an application, whatever mix.exs says: the trees are equal.
func (k *kit) testBase(t *testing.T) {
	const tidy = `steps: [:assemble, fn r ->
      File.rm_rf!(Path.join([r.path, "lib", "iex-#{r.applications[:iex][:vsn]}"]))
      File.write!(Path.join([r.path, "lib", "logger-#{r.applications[:logger][:vsn]}", "NOTE"], "x"))
      r end]`
	for _, tt := range []struct {
		name, example, options string // options of the release in hello's mix.exs
		files                  map[string]string
		laidOut                bool
	}{
		{name: "hello", example: "hello", laidOut: true},
		{name: "umbrella", example: "umbrella", laidOut: true},
		{name: "Steps", example: "hello", options: strings.Replace(tidy, `"NOTE"], "x"))`, `"NOTE"]), "x")`, 1), laidOut: true},
		{name: "Strip", example: "hello", options: "strip_beams: [keep: [\"Docs\"]]", laidOut: true},
		{name: "Without", example: "hello", options: "include_erts: false", laidOut: true},
		{
			name: "Overlay", example: "hello", laidOut: true,
			files: map[string]string{"rel/overlays/lib/extra/x": "x", "rel/overlays/erts.txt": "y"},
		},
		// What only the project's code says differs when it is not there yet.
		{
			name: "Fewer", example: "hello", laidOut: true,
			options: "applications: (if File.exists?(\"lib/hello/application.ex\"), do: [], else: [tools: :load, runtime_tools: :permanent])",
		},
		{name: "Raises", example: "hello", options: "strip_beams: File.exists?(\"lib/hello/application.ex\") or raise(\"no code\")"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := k.exampleFor(t, tt.example)
			if tt.options != "" {
				mix := strings.Replace(s.files["mix.exs"], "releases: [hello: [", "releases: [hello: fn -> ["+tt.options+", ", 1)
				mix = strings.Replace(mix, "[:unix]]]", "[:unix]] end]", 1)
				if mix == s.files["mix.exs"] {
					t.Fatal("mix.exs of hello has changed")
				}
				s.files["mix.exs"] = mix
			}
			for name, text := range tt.files {
				s.files[name] = text
			}
			k.sameWithoutBase(t, s, tt.laidOut)
		})
	}
}

func (k *kit) sameWithoutBase(t *testing.T, s app, laidOut bool) {
	t.Helper()
	session, built := k.planned(t, s)
	with, err := session.builder.Realise(t.Context(), built.Plan)
	if err != nil {
		t.Fatal(err)
	}
	const base = "release:base"
	entries, err := session.store.Entries(t.Context(), with[base])
	if err != nil {
		t.Fatal(err)
	}
	if got := len(entries) > 100; got != laidOut {
		t.Errorf("laid out is %v, want %v: %d entries", got, laidOut, len(entries))
	}
	bare := layers.Plan{Recipes: slices.Clone(built.Plan.Recipes)}
	for i := range bare.Recipes {
		if r := &bare.Recipes[i]; r.Name == builder.StepRelease {
			r.Work = slices.DeleteFunc(slices.Clone(r.Work), func(step string) bool { return step == base })
			r.Outputs = []layers.Output{{Path: r.Outputs[0].Path, Strip: true}}
		}
	}
	without, err := session.builder.Realise(t.Context(), bare)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := with[builder.StepRelease], without[builder.StepRelease]; a != b {
		left, _ := session.store.Entries(t.Context(), a)
		right, _ := session.store.Entries(t.Context(), b)
		t.Error(cmp.Diff(right, left))
		t.Errorf("release %s, without what is laid out %s", a.DiffID, b.DiffID)
	}
}
