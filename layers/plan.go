package layers

import (
	"fmt"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
)

// Plan is recipes in dependency order. It is a value: made from manifest, lock
// and source, without effects.
type Plan struct {
	Recipes []Recipe
}

// Check reports a plan that cannot be realised: a name used twice, an input
// that is not an earlier recipe, a recipe without platform. Such a plan is a
// fault of this program.
func (p Plan) Check() error {
	seen := make(map[string]bool)
	for i := range p.Recipes {
		r := &p.Recipes[i]
		if r.Name == "" || seen[r.Name] {
			return fmt.Errorf("internal error: plan: recipe name %q is empty or used twice", r.Name)
		}
		if r.Platform == "" {
			return fmt.Errorf("internal error: plan: recipe %s has no platform", r.Name)
		}
		for _, in := range r.InputNames() {
			if !seen[in] {
				return fmt.Errorf("internal error: plan: %s reads %s, which is not an earlier recipe", r.Name, in)
			}
		}
		seen[r.Name] = true
	}
	return nil
}

// Append returns the plan followed by those of the recipes whose names it does
// not have yet.
func (p Plan) Append(more ...Recipe) Plan {
	have := make(map[string]bool, len(p.Recipes)+len(more))
	for i := range p.Recipes {
		have[p.Recipes[i].Name] = true
	}
	out := Plan{Recipes: slices.Clone(p.Recipes)}
	for _, r := range more {
		if !have[r.Name] {
			have[r.Name] = true
			out.Recipes = append(out.Recipes, r)
		}
	}
	return out
}

// Recipe returns the recipe of that name.
func (p Plan) Recipe(name string) (*Recipe, bool) {
	for i := range p.Recipes {
		if p.Recipes[i].Name == name {
			return &p.Recipes[i], true
		}
	}
	return nil, false
}

// DebStep is the name of the step that unpacks a Debian package.
func DebStep(name string) string { return "deb:" + name }

// ForeignStep is the name of a step's counterpart for another platform than that
// of the programs that run: "dep:jiffy:arm64", as Debian writes foreign packages.
func ForeignStep(name string, p env.Platform) string { return name + ":" + p.Arch() }

// RootFS is the plan of one root file system: the steps that unpack its
// packages, lowest layer first, and the step that configures them.
type RootFS struct {
	Recipes  []Recipe
	Packages []string
	Config   string
}

// Toolchain plans the root file system made of the closure of the given roots,
// and of the bare packages alone: a layer a package, and one configuration layer
// named name. Distributions before Debian 13 get their /bin, /sbin and /lib paths
// moved below /usr.
func Toolchain(lock *env.Lock, p env.Platform, suite, name string, roots, bare []string) (RootFS, error) {
	pkgs, err := lock.Selection(p, roots, bare)
	if err != nil {
		return RootFS{}, fmt.Errorf("plan %s: %w", name, err)
	}
	root := RootFS{Config: name}
	for _, pkg := range pkgs {
		root.Recipes = append(root.Recipes, DebRecipe(pkg, suite))
		root.Packages = append(root.Packages, DebStep(pkg.Name))
	}
	facts := append(rewrite(suite), "suite="+suite)
	for _, pkg := range pkgs {
		facts = append(facts, PackageFact(pkg))
	}
	slices.Sort(facts)
	root.Recipes = append(root.Recipes, Recipe{
		Name: name, Kind: Configure, Platform: p, Inputs: root.Packages, Facts: facts,
	})
	return root, nil
}

// Foreign returns a root file system with the names of ForeignStep.
func (r RootFS) Foreign(p env.Platform) RootFS {
	out := RootFS{Config: ForeignStep(r.Config, p), Packages: foreignSteps(r.Packages, p)}
	for _, recipe := range r.Recipes {
		recipe.Name, recipe.Inputs = ForeignStep(recipe.Name, p), foreignSteps(recipe.Inputs, p)
		out.Recipes = append(out.Recipes, recipe)
	}
	return out
}

func foreignSteps(names []string, p env.Platform) []string {
	var out []string
	for _, name := range names {
		out = append(out, ForeignStep(name, p))
	}
	return out
}

// ForeignDebRecipe is DebRecipe under the name of ForeignStep.
func ForeignDebRecipe(p env.Package, suite string) Recipe {
	r := DebRecipe(p, suite)
	r.Name = ForeignStep(r.Name, p.Platform)
	return r
}

// DebRecipe unpacks one package of a suite.
func DebRecipe(p env.Package, suite string) Recipe {
	return Recipe{
		Name: DebStep(p.Name), Kind: UnpackDeb, Platform: p.Platform,
		Archive: Archive{Name: p.Name, Version: p.Version, Arch: p.Architecture, Digest: p.Digest, Size: p.Size},
		Facts:   rewrite(suite),
	}
}

// PackageFact is what a Configure recipe says of one of its packages: its
// name, version, architecture and the packages to be configured before it.
func PackageFact(p env.Package) string {
	return "package=" + strings.Join([]string{p.Name, p.Version, p.Architecture, strings.Join(p.Depends, ",")}, " ")
}

// ParsePackageFact reads what PackageFact wrote; false for another fact.
func ParsePackageFact(fact string) (env.Package, bool) {
	rest, ok := strings.CutPrefix(fact, "package=")
	fields := strings.Split(rest, " ")
	if !ok || len(fields) != 4 {
		return env.Package{}, false
	}
	p := env.Package{Name: fields[0], Version: fields[1], Architecture: fields[2]}
	if fields[3] != "" {
		p.Depends = strings.Split(fields[3], ",")
	}
	return p, true
}

// rewrite says whether packages of a suite may still hold paths outside /usr
// that Debian 13 (trixie) moved there (DEP 17).
func rewrite(suite string) []string {
	if suite == "bookworm" || suite == "bullseye" {
		return []string{"usrmerge=true"}
	}
	return nil
}
