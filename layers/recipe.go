package layers

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/tarball"
)

// Kind says how a recipe is realised.
type Kind string

// The kinds of recipe.
const (
	UnpackDeb    Kind = "deb"       // one Debian package, unpacked and normalised
	UnpackHex    Kind = "hex"       // one Hex package below Prefix, with its .hex marker
	UnpackGit    Kind = "git"       // one git dependency below Prefix, at the commit of its mix.lock entry
	UnpackNPM    Kind = "npm"       // one npm package below Prefix
	UnpackTool   Kind = "tool"      // a standalone program, or a part of an archive, at Prefix
	UnpackSource Kind = "release"   // a source release, without the folder at its top
	Configure    Kind = "configure" // what maintainer scripts would have added to the packages in Inputs
	Files        Kind = "files"     // the files in Files: source, scripts
	Run          Kind = "run"       // a program in a sandbox; its layer is what it wrote to Outputs
)

// generation counts, for each kind, the times that equal recipes began to give
// other layers: a change in how packages are unpacked or configured, or in what
// a sandbox looks like from inside. Whoever changes such bytes counts up here,
// or stores would go on answering with the old ones.
var generation = map[Kind]int{UnpackDeb: 1, UnpackHex: 1, UnpackGit: 1, UnpackNPM: 1, UnpackTool: 1, UnpackSource: 1, Configure: 1, Files: 1, Run: 1}

// SysrootDir is where a cross-compiling step has the root file system that its
// results are for.
const SysrootDir = "/sysroot"

// Recipe is one step in full. What is not in it, in the contents of its inputs
// or in this program's key salt cannot reach the step's result.
type Recipe struct {
	// Name is unique within a plan: "deb:libc6", "compile". Not part of the key.
	Name     string
	Kind     Kind
	Platform env.Platform

	// Archive is what a recipe of a kind Unpack… unpacks.
	Archive Archive
	// Prefix is where in the layer the archive's tree lies; "" is its root.
	Prefix string
	// Facts are further values that decide the result, as key=value, sorted.
	Facts []string

	// Files are what a Files recipe holds, sorted by path.
	Files []SourceFile

	// Inputs name earlier steps. For Configure: the packages, in plan order.
	Inputs []string

	// Root names the steps merged into the root file system of a Run, lowest
	// first; Over those mounted above it one by one.
	Root, Over []string
	// Sysroot names the steps merged, lowest first, into a root file system of
	// Platform that is mounted at SysrootDir for the programs of Build.
	Sysroot []string
	// Build is the platform of the programs that make something for Platform; ""
	// is Platform itself.
	Build env.Platform
	// Work names the steps whose layers make up the project directory, lowest first.
	Work []string
	// Dir is the absolute path of the project directory inside.
	Dir     string
	Argv    []string
	Env     []string // complete, sorted
	Outputs []Output

	// Parallel tells the Erlang VM that the program runs in how many processors
	// there are; otherwise the sandbox shows it one. It is no part of the key: the
	// program must give the same with any number.
	Parallel bool
	// Jobs tells the program itself, as its last argument jobs=N. It is no part of
	// the key either.
	Jobs bool

	// Resumes, if not nil, lets the program begin from what an earlier run
	// left. It is no part of the key: the program must give the same either way.
	Resumes *Resume
	// Amends names steps in Work: where nothing but compiled modules differs in
	// them, the output of the last run is amended in place of another run. It is
	// no part of the key either.
	Amends []string
}

// Resume says which earlier runs of a program another may begin from: those
// whose recipe and inputs differ in nothing but some inputs.
type Resume struct {
	Fresh []string // names of steps in Work that may differ
	Facts []string // values that may not, sorted
}

// Archive is a pinned file and what the lock says of it.
type Archive struct {
	Name, Version, Arch string
	Digest              digest.Digest // of the file: sha256, or sha512 of an npm package
	Size                int64         // bytes; 0 where the lock has none (Hex, npm)
	// URL is where an npm package or a tool is served. It decides nothing and
	// is not part of the key.
	URL string
	// Lock is the mix.lock entry of a dependency, verbatim. Of a Hex package it
	// decides the .hex marker by which Mix knows the package; of a git
	// dependency, which has neither Digest nor Size, it decides everything.
	Lock string
}

// Output is one directory, relative to Dir, that a Run's layer keeps.
type Output struct {
	Path  string // kept with all below it; "." keeps everything
	Strip bool   // paths in the layer are relative to Path instead of Dir
	// Base names a step in Work: what its layer has below Path, and the program
	// left as it is, is part of the output too. Only for one that is stripped.
	Base string
}

// SourceFile is one file of a Files recipe.
type SourceFile struct {
	Path   string        // in the layer
	Mode   uint32        // 0644, 0755, or 0777 for symlinks
	Dir    bool          // an empty folder; then neither Link nor Digest
	Link   string        // symlink target; then no Digest
	Digest digest.Digest // sha256 of the content
	Size   int64
}

// Entry is f as a layer holds it.
func (f SourceFile) Entry() tarball.Entry {
	e := tarball.Entry{Path: f.Path, Kind: tarball.File, Mode: f.Mode, Size: f.Size, Digest: f.Digest}
	switch {
	case f.Dir:
		e.Kind, e.Size, e.Digest = tarball.Dir, 0, ""
	case f.Link != "":
		e.Kind, e.Mode, e.Link, e.Size, e.Digest = tarball.Symlink, 0o777, f.Link, 0, ""
	}
	return e
}

// InputNames lists every step that r reads, each once, in first-use order.
func (r *Recipe) InputNames() []string {
	var out []string
	for _, list := range [][]string{r.Inputs, r.Root, r.Over, r.Sysroot, r.Work} {
		for _, name := range list {
			if !slices.Contains(out, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// ResumeKey returns the key under which r's runs keep what later ones may begin
// from, for the project of that name.
func ResumeKey(r *Recipe, inputs map[string]Layer, project string) (Key, error) {
	like := *r
	like.Facts = slices.Concat(r.Facts, r.Resumes.Facts, []string{"resume=" + project})
	like.Work = slices.DeleteFunc(slices.Clone(r.Work), func(name string) bool { return slices.Contains(r.Resumes.Fresh, name) })
	key, _, err := KeyOf(&like, inputs)
	return key, err
}

// HintKey returns the key under which r's runs keep, for the project of that
// name, what helps a later one and decides nothing.
func HintKey(r *Recipe, project string) Key {
	k := newKeyHash()
	k.add("hint", r.Name)
	k.add("project", project)
	return k.key()
}

// KeyOf returns the key of r given the layers its inputs realised to, by name,
// and the text that was hashed. An input without a layer is an internal error.
func KeyOf(r *Recipe, inputs map[string]Layer) (Key, string, error) {
	k := newKeyHash()
	k.add("kind", string(r.Kind))
	k.add("generation", strconv.Itoa(generation[r.Kind]))
	k.add("platform", string(r.Platform))
	switch r.Kind {
	case UnpackDeb, UnpackHex, UnpackGit, UnpackNPM, UnpackTool, UnpackSource:
		a := r.Archive
		k.add("name", a.Name)
		k.add("version", a.Version)
		k.add("arch", a.Arch)
		k.add("archive", a.Digest.String())
		k.add("lock", a.Lock)
		k.add("prefix", r.Prefix)
	case Files:
		k.add("files.len", strconv.Itoa(len(r.Files)))
		for _, f := range r.Files {
			kind := "file"
			switch {
			case f.Dir:
				kind = "folder"
			case f.Link != "":
				kind = "symlink"
			}
			k.add(kind, fmt.Sprintf("%s %o %s%s", f.Path, f.Mode, f.Link, f.Digest))
		}
	case Run:
		k.add("dir", r.Dir)
		k.list("argv", r.Argv)
		k.list("env", r.Env)
		for _, o := range r.Outputs {
			k.add("output", o.Path)
			k.add("strip", strconv.FormatBool(o.Strip))
			if o.Base != "" {
				k.add("base", "true") // which it is, the inputs say
			}
		}
	}
	k.list("fact", r.Facts)
	if r.Build != "" { // older keys have neither this nor a sysroot
		k.add("build", string(r.Build))
	}
	for _, in := range []struct {
		field string
		names []string
	}{{"input", r.Inputs}, {"root", r.Root}, {"over", r.Over}, {"sysroot", r.Sysroot}, {"work", r.Work}} {
		if in.field == "sysroot" && len(in.names) == 0 {
			continue
		}
		k.add(in.field+".len", strconv.Itoa(len(in.names)))
		for _, name := range in.names {
			layer, ok := inputs[name]
			if !ok {
				return "", "", fmt.Errorf("internal error: key of %s: input %s has no layer", r.Name, name)
			}
			k.input(in.field, layer.DiffID.String(), name)
		}
	}
	return k.key(), string(k.text), nil
}
