package builder

import (
	"strconv"

	"github.com/retort-build/retort/layers"
)

// Generate is commands that write files of the project before Mix is asked
// about it, such as ./configure. Each of several sees what those before it
// wrote.
type Generate struct {
	Name    string
	Root    layers.RootFS // that the commands run in
	Files   []layers.SourceFile
	Run     []string // each for sh -ec, in the project's folder
	Outputs []string // files and folders that must be there at the end
}

// GenerateStep is the name of the step of a [generate.NAME] table.
func GenerateStep(name string) string { return "generate:" + name }

// generated names the steps whose layers lie over the source. They are inputs
// of every step that has the source.
func (a MixApp) generated() []string {
	var out []string
	for _, g := range a.Generate {
		out = append(out, GenerateStep(g.Name))
	}
	return out
}

// generateRecipes are the steps that generate, with all that they need.
func (a MixApp) generateRecipes() []layers.Recipe {
	var out []layers.Recipe
	for i, g := range a.Generate {
		source := filesRecipe("source:generate:"+g.Name, g.Files)
		out = append(append(out, g.Root.Recipes...), source, layers.Recipe{
			Name: GenerateStep(g.Name), Kind: layers.Run, Platform: a.Platform,
			Root: g.Root.Packages, Over: a.over(g.Root),
			Work:    append([]string{source.Name}, a.generated()[:i]...),
			Dir:     projectDir,
			Argv:    commands(g.Run, g.Outputs),
			Env:     a.env(),
			Outputs: outputs(g.Outputs),
		})
	}
	return out
}

// runCommands is a script for sh: its first argument counts the commands that
// follow, each for a shell of its own; the rest are files and folders that
// these must leave.
const runCommands = `n=$1; shift
while [ "$n" -gt 0 ]; do
  printf '$ %s\n' "$1"
  sh -ec "$1"
  shift; n=$((n-1))
done
for file; do
  [ -e "$file" ] || [ -L "$file" ] || { echo "the commands ended well but left no $file" >&2; exit 1; }
done`

// commands is the program that runs shell commands and checks their outputs.
func commands(run, outputs []string) []string {
	argv := append([]string{"/bin/sh", "-ec", runCommands, "run", strconv.Itoa(len(run))}, run...)
	return append(argv, outputs...)
}

func outputs(paths []string) []layers.Output {
	var out []layers.Output
	for _, p := range paths {
		out = append(out, layers.Output{Path: p})
	}
	return out
}
