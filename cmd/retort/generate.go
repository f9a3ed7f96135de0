package main

import (
	"fmt"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
)

// generate plans what the [generate] tables run: with the toolchain, rebar3
// where it is pinned, compilers and the table's packages.
func (w *workspace) generate(a *builder.MixApp) error {
	for _, g := range w.config.Generate {
		files, err := builder.Select(a.Source, g.Inputs)
		if err != nil {
			return fmt.Errorf("generate.%s.inputs of toolchain.toml: %w", g.Name, err)
		}
		root, err := w.programRoot("configure:"+builder.GenerateStep(g.Name), env.SetRebar3, env.SetNative, env.GenerateSet(g.Name))
		if err != nil {
			return err
		}
		a.Generate = append(a.Generate, builder.Generate{Name: g.Name, Root: root, Files: files, Run: g.Run, Outputs: g.Outputs})
	}
	return nil
}
