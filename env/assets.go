package env

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Assets is how the files are made that browsers load: after the application
// is compiled, before its release is assembled.
type Assets struct {
	Packages []string    // system packages besides the toolchain
	NPM      []string    // package-lock.json files of the project
	Scripts  []string    // npm packages whose install scripts run
	Run      []string    // shell commands
	Inputs   []string    // patterns of the project's files; nil means all code
	Outputs  []string    // files and folders below the project's folder
	Tools    []AssetTool // sorted by Name
}

// AssetTool is a standalone program, for one platform.
type AssetTool struct {
	Name    string
	Version string
	URL     string // of the program, or of an archive which it is in
	File    string // in the archive, or "" if URL is the program itself
	Path    string // below the project's folder
}

// Tool is the pin of one AssetTool.
type Tool struct {
	Platform Platform
	Name     string
	Version  string
	URL      string // as the manifest has it
	Size     int64
	Digest   digest.Digest
}

// MaxTool bounds the bytes of a tool's file.
const MaxTool = 1 << 30

// NPM begins the address of a file at the npm registry, whichever one that is:
// manifests and locks name none. Its path at the registry follows.
const NPM = "npm:"

// tailwind is how the Mix packages tailwind and tailwindcss name their program.
const tailwind = "https://github.com/tailwindlabs/tailwindcss/releases/download/v{version}/tailwindcss-linux-{cpu}"

// knownTools are the tools that need no more than a version: those that the
// Mix packages of their names run, at the places where these look.
var knownTools = map[string]AssetTool{
	"esbuild": {
		URL:  NPM + "@esbuild/linux-{cpu}/-/linux-{cpu}-{version}.tgz",
		File: "package/bin/esbuild", Path: "_build/esbuild-linux-{cpu}",
	},
	"tailwind":    {URL: tailwind, Path: "_build/tailwind-linux-{cpu}"},
	"tailwindcss": {URL: tailwind, Path: "_build/tailwind-linux-{cpu}"},
}

// assetsOf returns nil if the manifest has no [assets].
func assetsOf(t table, p Platform) *Assets {
	if t == nil {
		return nil
	}
	a := &Assets{
		Packages: t.list("packages"), NPM: t.list("npm"), Scripts: t.list("scripts"),
		Run: t.list("run"), Inputs: t.list("inputs"), Outputs: t.list("outputs"),
	}
	if a.Run == nil {
		a.Run = []string{"mix assets.deploy"}
	}
	if a.Outputs == nil {
		a.Outputs = []string{"priv/static"}
	}
	tools := t.sub("tools")
	for _, name := range tools.names() {
		tool := tools.sub(name)
		known := knownTools[name]
		out := AssetTool{Name: name, Version: tool.text("version", "")}
		fill := strings.NewReplacer("{version}", out.Version, "{arch}", p.Arch(), "{cpu}", p.cpu(), "{machine}", p.machine()).Replace
		file := known.File
		if tool.text("url", "") != "" { // an address of the user's may be the program itself
			file = ""
		}
		out.URL = fill(tool.text("url", known.URL))
		out.File = fill(tool.text("file", file))
		out.Path = fill(tool.text("path", known.Path))
		a.Tools = append(a.Tools, out)
	}
	return a
}

// cpu and machine are the architecture as node and as the kernel write it.
func (p Platform) cpu() string {
	if p == LinuxAMD64 {
		return "x64"
	}
	return p.Arch()
}

func (p Platform) machine() string {
	machine, _, _ := strings.Cut(p.Triplet(), "-")
	return machine
}

// checkAssets finds what is wrong with the whole of [assets].
func checkAssets(a *Assets, fail func(string, error)) {
	if a == nil {
		return
	}
	if len(a.Run) == 0 {
		fail("assets.run", errors.New("empty: leave it out to run mix assets.deploy"))
	}
	if len(a.Outputs) == 0 {
		fail("assets.outputs", errors.New("empty: leave it out to keep priv/static"))
	}
	if a.Inputs != nil && len(a.Inputs) == 0 {
		fail("assets.inputs", errors.New("empty: leave it out to show all code of the project"))
	}
	if len(a.Scripts) > 0 && len(a.NPM) == 0 {
		fail("assets.scripts", errors.New("names npm packages, and assets.npm names no package-lock.json"))
	}
	paths := map[string]bool{}
	for _, tool := range a.Tools {
		at := joinKey("assets.tools", tool.Name)
		for _, missing := range []struct{ key, value, want string }{
			{"version", tool.Version, `an exact version, such as "0.25.4"`},
			{"url", tool.URL, "where the program is, with {version} and {arch}"},
			{"path", tool.Path, "where in the project the program is put"},
		} {
			if missing.value == "" {
				fail(joinKey(at, missing.key), errors.New("missing: "+missing.want))
			}
		}
		if paths[tool.Path] {
			fail(joinKey(at, "path"), fmt.Errorf("%s is the path of another tool too", quote(tool.Path)))
		}
		paths[tool.Path] = true
	}
}

// sameTools says whether two targets can share their pins: a lock has one pin
// of a name for a platform.
func sameTools(a, b *Assets) bool {
	if a == nil || b == nil {
		return true
	}
	for _, x := range a.Tools {
		for _, y := range b.Tools {
			if x.Name == y.Name && (x.Version != y.Version || x.URL != y.URL) {
				return false
			}
		}
	}
	return true
}

// placeholder is a part of a URL or path in braces.
var placeholder = regexp.MustCompile(`\{[^{}/]*\}`)

// withoutPlaceholders is a text with an example in place of each placeholder.
func withoutPlaceholders(s string) (string, error) {
	known := []string{"{version}", "{arch}", "{cpu}", "{machine}"}
	for _, name := range placeholder.FindAllString(s, -1) {
		if !slices.Contains(known, name) {
			return "", fmt.Errorf("%s: want one of %s", quote(name), strings.Join(known, ", "))
		}
	}
	return placeholder.ReplaceAllString(s, "0"), nil
}

func checkToolURL(s string) (string, error) {
	plain, err := withoutPlaceholders(s)
	if err == nil {
		err = checkAddress(plain)
	}
	if err != nil {
		return "", err
	}
	return s, nil
}

// checkAddress refuses what is neither a URL nor a path at the npm registry.
func checkAddress(s string) error {
	rest, ok := strings.CutPrefix(s, NPM)
	if !ok {
		u, err := checkURL(s)
		if err == nil && u != s {
			err = errors.New("URL ends in a slash")
		}
		return err
	}
	if rest == "" || len(s) > 2048 || strings.ContainsAny(rest, "?#\\%:") || path.Clean("/"+rest) != "/"+rest {
		return fmt.Errorf("%s: want npm: and a path at the npm registry, such as npm:sass/-/sass-1.0.0.tgz", quote(s))
	}
	return nil
}

func checkToolPath(s string) (string, error) {
	plain, err := withoutPlaceholders(s)
	if err == nil {
		_, err = checkProjectFile(plain)
	}
	if err != nil {
		return "", err
	}
	return s, nil
}

var npmNameForm = regexp.MustCompile(`^(@[a-z0-9~-][a-z0-9._~-]*/)?[A-Za-z0-9~-][A-Za-z0-9._~-]*$`)

func checkNPMName(s string) (string, error) {
	return matches(npmNameForm, "the name of an npm package, such as sharp or @parcel/watcher")(s)
}

// checkPackageLock keeps the path of a package-lock.json.
func checkPackageLock(s string) (string, error) {
	if _, err := checkProjectFile(s); err != nil || s != "package-lock.json" && !strings.HasSuffix(s, "/package-lock.json") {
		return "", fmt.Errorf("%s: want a package-lock.json below the project's folder, such as assets/package-lock.json", quote(s))
	}
	return s, nil
}

func compareTools(a, b Tool) int {
	return cmp.Or(strings.Compare(string(a.Platform), string(b.Platform)), strings.Compare(a.Name, b.Name))
}
