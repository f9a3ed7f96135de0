package layers

import (
	"fmt"

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

// Append returns the plan followed by more recipes.
func (p Plan) Append(more ...Recipe) Plan {
	return Plan{Recipes: append(p.Recipes[:len(p.Recipes):len(p.Recipes)], more...)}
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

// Root is the plan of one root file system and the names of its steps, lowest
// layer first: the packages, then their configuration.
type Root struct {
	Recipes []Recipe
	Steps   []string
}

// Toolchain plans the root file system made of the closure of the given roots:
// a layer a package, and one configuration layer named name. Distributions
// before Debian 13 get their /bin, /sbin and /lib paths moved below /usr.
func Toolchain(lock *env.Lock, p env.Platform, suite, name string, roots []string) (Root, error) {
	pkgs, err := lock.Closure(p, roots...)
	if err != nil {
		return Root{}, fmt.Errorf("plan %s: %w", name, err)
	}
	var root Root
	facts := []string{"suite=" + suite}
	for _, pkg := range pkgs {
		root.Recipes = append(root.Recipes, Recipe{
			Name: DebStep(pkg.Name), Kind: UnpackDeb, Platform: p,
			Archive: Archive{Name: pkg.Name, Version: pkg.Version, Arch: pkg.Architecture, Digest: pkg.Digest, Size: pkg.Size},
			Facts:   rewrite(suite),
		})
		root.Steps = append(root.Steps, DebStep(pkg.Name))
	}
	root.Recipes = append(root.Recipes, Recipe{
		Name: name, Kind: Configure, Platform: p, Facts: facts, Inputs: root.Steps,
	})
	root.Steps = append(root.Steps[:len(root.Steps):len(root.Steps)], name)
	return root, nil
}

// rewrite says whether packages of a suite may still hold paths outside /usr
// that Debian 13 (trixie) moved there (DEP 17).
func rewrite(suite string) []string {
	if suite == "bookworm" || suite == "bullseye" {
		return []string{"usrmerge=true"}
	}
	return nil
}
