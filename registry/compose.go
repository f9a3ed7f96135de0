package registry

import (
	"errors"
	"fmt"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/tarball"
)

// Package is a runtime package that an image may take files from.
type Package struct {
	Name    string
	Version string
	Tree    Tree // with paths as they are unpacked at /
	// Whole takes all of the package but documentation and development files,
	// because the manifest names it or one that depends on it. Otherwise only
	// the libraries which ELF files need are taken.
	Whole bool
	// Own says that it was compiled for this build: its files take the place of
	// those of other packages, and are a layer of their own.
	Own bool
}

// Runtime is what the image of a release is composed of.
type Runtime struct {
	Platform env.Platform
	Release  Tree   // of mix release: bin, erts-*, lib, releases
	Name     string // of the release; may be empty if there is only one
	Packages []Package

	// Names of the applications below lib, by where they come from. What is
	// in none of them belongs to the application layer.
	OTP, Elixir, Dependencies []string

	// Shell adds /bin/sh and the tools that the start scripts call, and starts
	// the release by bin/NAME. The packages that have them must be given.
	Shell bool
	// Distribution is what RELEASE_DISTRIBUTION is: none (default), name or
	// sname; Node is RELEASE_NODE. A cookie comes at run time: in ERL_FLAGS, or
	// with Shell in RELEASE_COOKIE.
	Distribution, Node string
	// Ignore are patterns (path.Match) of ELF files of the release which are
	// not meant for this platform and need not load.
	Ignore []string
}

// Composition is a runtime image before its layers are packed.
type Composition struct {
	Layers     []ImageLayer // lowest first, by rate of change
	Included   []Included   // sorted by name
	Entrypoint []string
	Cmd        []string
	Eval       []string // argv that evaluates the expression appended to it
	Env        []string // sorted
	User       string
	WorkingDir string
	// Notes say what of the release will not work in this image, and why.
	Notes []string
}

// Included is a package of which an image has files.
type Included struct {
	Name    string
	Version string
	Whole   bool
	Files   int   // without licence and record
	Bytes   int64 // of those files
}

// Spec is the image's configuration as far as the composition decides it.
func (c Composition) Spec(p env.Platform, created time.Time) Spec {
	return Spec{
		Platform: p, Created: created, User: c.User, WorkingDir: c.WorkingDir, StopSignal: "SIGTERM",
		Env: c.Env, Entrypoint: c.Entrypoint, Cmd: c.Cmd,
	}
}

// prefix is where the release lies in the image.
const prefix = "app"

// Compose decides what the image of a release holds: the release, and of the
// packages what its ELF files need and what is named. It is pure: equal inputs
// give equal trees. The error is *LinkError if an ELF file would not load, and
// *ShellError if the release needs a shell and Shell is not set.
func Compose(rt Runtime) (Composition, error) {
	c, err := compose(rt)
	if err != nil {
		return Composition{}, fmt.Errorf("compose image for %s: %w", rt.Platform, err)
	}
	return c, nil
}

func compose(rt Runtime) (Composition, error) {
	if rt.Platform.Triplet() == "" {
		return Composition{}, fmt.Errorf("platform %q: want one machine's", rt.Platform)
	}
	rt.Packages = append([]Package(nil), rt.Packages...)
	sort.SliceStable(rt.Packages, func(i, j int) bool { return rt.Packages[i].Name < rt.Packages[j].Name })
	for i, p := range rt.Packages {
		if i > 0 && p.Name == rt.Packages[i-1].Name {
			return Composition{}, fmt.Errorf("package %s is given twice", p.Name)
		}
	}
	for _, pattern := range rt.Ignore {
		if _, err := path.Match(pattern, ""); err != nil {
			return Composition{}, fmt.Errorf("ignore %q: %w", pattern, err)
		}
	}
	rel, err := readRelease(rt.Release, rt.Name)
	if err != nil {
		return Composition{}, err
	}
	out := Composition{User: fmt.Sprintf("%d:%d", appID, appID), WorkingDir: "/" + prefix}
	epmd, err := out.start(rt, rel)
	if err != nil {
		return Composition{}, err
	}
	tree, err := rel.clean(rt.Release, epmd)
	if err != nil {
		return Composition{}, err
	}
	if tree, err = Relocate(tree, prefix); err != nil {
		return Composition{}, err
	}
	parts, err := takePackages(rt, tree)
	if err != nil {
		return Composition{}, err
	}
	out.Included = parts.included
	out.Notes = notes(rt, tree)
	return out, out.layer(rt, rel, tree, parts)
}

// start decides how the release starts, and whether epmd stays for it.
func (c *Composition) start(rt Runtime, rel release) (epmd bool, err error) {
	root := "/" + prefix
	vars, err := rel.settings(rt.Release, root, rt.Distribution, rt.Node)
	var needsShell *ShellError
	if rt.Shell && (err == nil || errors.As(err, &needsShell)) {
		c.startByShell(rt, rel, root)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	rel.vm(root, vars)
	c.Entrypoint = rel.argv(root, vars)
	c.Eval = rel.eval(root, vars)
	if vars["ERL_INETRC"] == "" {
		vars["ERL_INETRC"] = "/" + inetrcPath
	}
	delete(vars, "ELIXIR_ERL_OPTIONS") // they are among the arguments
	c.Env = environment(vars)
	return vars["RELEASE_DISTRIBUTION"] != "none", nil
}

// startByShell runs the release's own script. The image has no cookie, so one
// is drawn at each start unless RELEASE_COOKIE is set.
func (c *Composition) startByShell(rt Runtime, rel release, root string) {
	vars := userSettings()
	vars["RELEASE_TMP"], vars["RELEASE_DISTRIBUTION"] = "/tmp", "none"
	if rt.Distribution != "" {
		vars["RELEASE_DISTRIBUTION"] = rt.Distribution
	}
	if rt.Node != "" {
		vars["RELEASE_NODE"] = rt.Node
	}
	script := root + "/bin/" + rel.name
	c.Entrypoint = []string{"/bin/sh", "-c",
		`if [ -z "$RELEASE_COOKIE" ]; then RELEASE_COOKIE=$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n'); export RELEASE_COOKIE; fi; exec "$0" "$@"`,
		script}
	c.Cmd = []string{"start"}
	c.Eval = append(append([]string(nil), c.Entrypoint...), "eval")
	c.Env = environment(vars)
}

// userSettings is the environment which any program of the image starts with.
func userSettings() map[string]string {
	return map[string]string{"HOME": appHome, "LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
}

// notes name the applications that start programs through /bin/sh.
func notes(rt Runtime, t Tree) []string {
	if rt.Shell {
		return nil
	}
	var out []string
	for _, e := range t.Entries() {
		if e.Kind == tarball.Dir && path.Dir(e.Path) == prefix+"/lib" && application(path.Base(e.Path)) == "os_mon" {
			out = append(out, "os_mon starts its programs through /bin/sh, which the image lacks: set shell, or do not start os_mon")
		}
	}
	return out
}

// application is the name in NAME-VSN.
func application(dir string) string {
	name, _, _ := strings.Cut(dir, "-")
	return name
}

// layer splits the files over the layers of the image.
func (c *Composition) layer(rt Runtime, rel release, tree Tree, parts packageFiles) error {
	base, err := Merge(parts.skeleton, parts.bundle, parts.base)
	if err != nil {
		return err
	}
	groups := []struct {
		name, by string
		apps     []string
	}{
		{"otp", "OTP applications", rt.OTP},
		{"elixir", "Elixir applications", rt.Elixir},
		{"dependencies", "dependencies of the application", rt.Dependencies},
	}
	of := make(map[string]string) // application: group
	for _, g := range groups {
		for _, app := range g.apps {
			if of[app] == "" {
				of[app] = g.name
			}
		}
	}
	group := func(e tarball.Entry) string {
		dirs := strings.Split(e.Path, "/")
		switch {
		case len(dirs) > 1 && dirs[1] == "erts-"+rel.erts:
			return "erts"
		case len(dirs) > 2 && dirs[1] == "lib" && of[application(dirs[2])] != "":
			return of[application(dirs[2])]
		}
		return "application"
	}
	add := func(name, by string, t Tree, err error) error {
		if err == nil && len(t.Entries()) > 0 {
			c.Layers = append(c.Layers, ImageLayer{Name: name, CreatedBy: "retort: " + by, Tree: t})
		}
		return err
	}
	part := func(name, by string) error {
		t, err := Filter(tree, func(e tarball.Entry) bool { return group(e) == name })
		return add(name, by, t, err)
	}
	if err := add("base", "accounts, certificates and the C library", base, nil); err != nil {
		return err
	}
	if err := add("libraries", "libraries that the release links with", parts.libraries, nil); err != nil {
		return err
	}
	for _, own := range parts.own {
		if err := add(own.Name, own.Name+" "+own.Version, own.tree, nil); err != nil {
			return err
		}
	}
	if err := part("erts", "Erlang runtime system "+rel.erts); err != nil {
		return err
	}
	for _, g := range groups {
		if err := part(g.name, g.by); err != nil {
			return err
		}
	}
	return part("application", "release "+rel.name+" "+rel.vsn)
}
