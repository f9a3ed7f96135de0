package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/npm"
	"github.com/retort-build/retort/layers"
)

// assets plans what [assets] runs: with the toolchain and its packages, its
// tools, and a folder node_modules for each package-lock.json.
func (w *workspace) assets(a *builder.MixApp) error {
	c := w.config.Assets
	if c == nil {
		return nil
	}
	out := &builder.Assets{Run: c.Run, Outputs: c.Outputs}
	var err error
	if out.Root, err = a.Root(builder.Need{}); err != nil {
		return err
	}
	if len(w.set(env.SetAssets)) > 0 {
		if out.Root, err = w.programRoot("configure:"+builder.StepAssets, env.SetHex, env.SetAssets); err != nil {
			return err
		}
	}
	if c.Inputs != nil {
		if out.Files, err = builder.Select(a.Source, c.Inputs); err != nil {
			return fmt.Errorf("assets.inputs of toolchain.toml: %w", err)
		}
	}
	for _, t := range c.Tools {
		i := slices.IndexFunc(w.lock.Tools, func(pin env.Tool) bool { return pin.Platform == a.Platform && pin.Name == t.Name })
		if i < 0 {
			return fmt.Errorf("toolchain.lock has no %s for %s: run retort lock", t.Name, a.Platform)
		}
		out.Below = append(out.Below, builder.ToolRecipe(t, w.lock.Tools[i]))
	}
	for _, lock := range c.NPM {
		if err := w.npm(a, out, lock); err != nil {
			return err
		}
	}
	a.Assets = out
	return w.scripts(out)
}

// npm lays out what one package-lock.json names.
func (w *workspace) npm(a *builder.MixApp, out *builder.Assets, lock string) error {
	if !slices.ContainsFunc(a.Source, func(f layers.SourceFile) bool { return f.Path == lock }) {
		return fmt.Errorf("assets.npm of toolchain.toml: %s is no file of the project, or .gitignore excludes it", lock)
	}
	data, err := os.ReadFile(filepath.Join(w.dir, filepath.FromSlash(lock)))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("assets.npm of toolchain.toml: %w", err)
	}
	if err != nil {
		return err
	}
	parsed, err := npm.Parse(lock, data)
	if err != nil {
		return err
	}
	tree, err := parsed.Tree(path.Dir(lock), a.Platform)
	if err != nil {
		return err
	}
	out.Below = append(out.Below, builder.NPMRecipes(path.Dir(lock), tree)...)
	for _, p := range tree.Packages {
		switch {
		case !p.Script:
		case slices.Contains(w.config.Assets.Scripts, p.Name):
			out.Scripts = append(out.Scripts, p.Path)
		default:
			w.notes = append(w.notes, fmt.Sprintf("the install script of npm package %s is not run: name it in scripts of [assets] if it must", p.Name))
		}
	}
	return nil
}

// scripts fails for a package of assets.scripts that there is not, or that has
// no install script.
func (w *workspace) scripts(out *builder.Assets) error {
	for _, name := range w.config.Assets.Scripts {
		known := func(folder string) bool {
			r := slices.IndexFunc(out.Below, func(r layers.Recipe) bool { return r.Kind == layers.UnpackNPM && r.Prefix == folder })
			return r >= 0 && out.Below[r].Archive.Name == name
		}
		if !slices.ContainsFunc(out.Scripts, known) {
			return fmt.Errorf("assets.scripts of toolchain.toml: no npm package %s with an install script is installed on %s", name, w.config.Platform)
		}
	}
	return nil
}
