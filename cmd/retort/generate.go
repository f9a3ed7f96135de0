package main

import (
	"fmt"
	"slices"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// generate plans what the [generate] tables run: with the toolchain, rebar3
// where it is pinned, compilers and the table's packages.
func (w *workspace) generate(a *builder.MixApp) error {
	for _, g := range w.config.Generate {
		files, err := builder.Select(a.Source, g.Inputs)
		if err != nil {
			return fmt.Errorf("generate.%s.inputs of toolchain.toml: %w", g.Name, err)
		}
		roots := slices.Concat(w.set(env.SetEssential), w.set(env.SetToolchain), w.set(env.SetRebar3),
			w.set(env.SetNative), w.set(env.GenerateSet(g.Name)))
		root, err := layers.Toolchain(w.lock, a.Platform, w.config.Base.Suite, "configure:"+builder.GenerateStep(g.Name), roots)
		if err != nil {
			return err
		}
		a.Generate = append(a.Generate, builder.Generate{Name: g.Name, Root: root, Files: files, Run: g.Run, Outputs: g.Outputs})
	}
	return nil
}
