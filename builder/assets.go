package builder

import (
	"slices"
	"strings"

	"github.com/retort-build/retort/layers"
)

// StepAssets is the step that makes what browsers load.
const StepAssets = "assets"

// assetMix is the program that asset commands call as mix.
const assetMix = "retort/bin/mix"

// Assets is how the files are made that browsers load, once the application is
// compiled.
type Assets struct {
	Root layers.RootFS // that the commands run in
	// Below are the steps whose layers lie below the project's code: folders
	// node_modules and tools.
	Below []layers.Recipe
	// Scripts are the folders of npm packages whose install scripts run first.
	Scripts []string
	Files   []layers.SourceFile // that the commands see; nil is all code
	Run     []string            // each for sh -ec, in the project's folder
	Outputs []string            // files and folders that must be there at the end
}

// assetRecipes are the steps that make assets, with all that they need. work
// names the steps of the project as it is once compiled.
func (a MixApp) assetRecipes(work []string) []layers.Recipe {
	if a.Assets == nil {
		return nil
	}
	out := slices.Concat(a.Assets.Root.Recipes, a.Assets.Below)
	if a.Assets.Files != nil {
		source := filesRecipe("source:assets", a.Assets.Files)
		out = append(out, source)
		work = slices.Clone(work)
		work[slices.Index(work, stepCode)] = source.Name
	}
	return append(out, layers.Recipe{
		Name: StepAssets, Kind: layers.Run, Platform: a.Platform,
		Root: a.Assets.Root.Packages, Over: withTools(append(a.over(a.Assets.Root), stepScripts)),
		Work: append(names(a.Assets.Below), work...),
		Dir:  projectDir, Argv: a.Assets.argv(), Env: a.assetEnv(),
		Outputs: outputs(a.Assets.Outputs),
	})
}

// assetSteps names the step whose layer lies over the project in a release.
func (a MixApp) assetSteps() []string {
	if a.Assets == nil {
		return nil
	}
	return []string{StepAssets}
}

// argv runs the install scripts and the commands, and settles times in what
// they left.
func (s *Assets) argv() []string {
	run := slices.Clone(s.Run)
	if len(s.Scripts) > 0 {
		run = slices.Insert(run, 0, "node /retort/npm-scripts.js "+quoteAll(s.Scripts))
	}
	argv := commands(run, s.Outputs)
	argv[2] += "\nexec " + quoteAll(tool("Settle")) + ` "$@"` // the outputs
	return argv
}

func names(recipes []layers.Recipe) []string {
	var out []string
	for _, r := range recipes {
		out = append(out, r.Name)
	}
	return out
}

// quoteAll writes words for a shell.
func quoteAll(words []string) string {
	var out []string
	for _, w := range words {
		out = append(out, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return strings.Join(out, " ")
}

// assetEnv is the environment of the commands: mix compiles nothing again, and
// npm, where they call it, looks for nothing outside.
func (a MixApp) assetEnv() []string {
	env := a.env()
	for i, kv := range env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			env[i] = "PATH=/retort/bin:" + path
		}
	}
	env = append(env, "npm_config_offline=true", "npm_config_update_notifier=false", "npm_config_cache=/tmp/npm")
	slices.Sort(env)
	return env
}
