package env

import (
	"slices"
	"strings"
)

// Names of package sets in a lock.
const (
	SetEssential = "essential"   // the distribution's essential packages
	SetToolchain = "toolchain"   // compiles an application
	SetHex       = "hex"         // Mix knows Hex packages
	SetRebar3    = "rebar3"      // compiles rebar3 dependencies
	SetElixir    = "elixir"      // Debian's Elixir, where OTP is compiled from source
	SetGit       = "git"         // Mix asks git about git dependencies
	SetNative    = "native"      // compilers, for native code and what is generated
	SetAssets    = "assets"      // what [assets] names
	SetImage     = "image"       // what every image has that no ELF file names
	SetExtra     = "image.extra" // what image.packages names, with dependencies
)

// BareSets are those whose packages are only unpacked, and so need nothing of
// what they depend on: an image gets libraries by its ELF files; rebar3 is one
// file, which depends on the graphical half of OTP for commands that no build
// calls; git needs a few libraries to tell a commit, and Perl for no more; Elixir
// depends on the OTP that another one takes the place of. One lock holds all
// builds: where another has such a package in full, a build with tools from source
// leaves out what it depends on all the same.
func BareSets() []string { return []string{SetElixir, SetGit, SetHex, SetImage, SetRebar3} }

// ToolBuildSet names the set that compiles a tool from source: "otp.build".
func ToolBuildSet(tool string) string { return tool + ".build" }

// VMPackages are what a virtual machine loads that was compiled here.
var VMPackages = []string{"libstdc++6", "libtinfo6", "zlib1g"}

// cryptoPackage is the library of the suite's OpenSSL. Its name has changed
// with the size of time_t.
const cryptoPackage = "libssl3t64 | libssl3"

// GitPackages are the roots of SetGit: git, and what its program links with.
var GitPackages = []string{"git", "libpcre2-8-0", "zlib1g"}

// NIFBuildSet and NIFRuntimeSet name the sets of a [nif.DEP] table.
func NIFBuildSet(dep string) string   { return "nif." + dep + ".build" }
func NIFRuntimeSet(dep string) string { return "nif." + dep + ".runtime" }

func nativePackages() []string { return []string{"g++", "gcc", "libc6-dev", "make"} }

// CrossSet names the set that compiles native code for another platform.
func CrossSet(p Platform) string { return "cross." + p.Arch() }

// crossTools compile a toolchain, besides compilers.
var crossTools = []string{"make", "patch", "perl"}

// CrossRequirements are the sets of a platform with compilers for those others
// that are made on it, by the configurations of these.
func CrossRequirements(p Platform, others []Config) map[string][]string {
	sets := make(map[string][]string)
	for _, c := range others {
		asked := c.Method == "" || c.Method == MethodCross
		if c.Platform == p || !asked {
			continue
		}
		if len(c.NIFs) > 0 {
			sets[SetNative] = nativePackages()
		}
		// Several configurations may be of one platform.
		set, compiled := CrossSet(c.Platform), c.Toolchain.OTP.FromSource() || c.Toolchain.OpenSSL.FromSource()
		if compiled || len(c.NIFs) > 0 {
			cpu := strings.ReplaceAll(c.Platform.Triplet(), "_", "-")
			sets[set] = sorted(sets[set], []string{"g++-" + cpu, "gcc-" + cpu})
		}
		if compiled {
			sets[set] = sorted(sets[set], crossTools)
		}
	}
	return sets
}

// GenerateSet names the set of a [generate.NAME] table.
func GenerateSet(name string) string { return "generate." + name }

// SetKey is the key of toolchain.toml whose packages are a set's roots; "" if retort
// itself names them.
func SetKey(set string) string {
	first, rest, _ := strings.Cut(set, ".")
	switch {
	case set == SetExtra:
		return "image.packages"
	case set == SetToolchain:
		return "base.packages"
	case first == "nif":
		return set
	case first == "generate" || set == SetAssets:
		return set + ".packages"
	case rest == "build":
		return "toolchain." + first + ".packages"
	}
	return ""
}

// Requirements are the root packages that a configuration asks its
// distribution for, by set, besides its essential packages.
func (c Config) Requirements() map[string][]string {
	sets := c.Toolchain.requirements()
	sets[SetToolchain] = sorted(sets[SetToolchain], c.Base.Packages)
	sets[SetImage] = []string{"base-files", "netbase"}
	if c.Image.CACertificates {
		sets[SetImage] = append(sets[SetImage], "ca-certificates")
	}
	if c.Image.Timezones {
		sets[SetImage] = append(sets[SetImage], "tzdata")
	}
	if c.Image.Shell {
		sets[SetImage] = append(sets[SetImage], ShellPackages...)
	}
	if len(c.NIFs) > 0 || len(c.Generate) > 0 {
		sets[SetNative] = nativePackages()
	}
	for _, g := range c.Generate {
		sets[GenerateSet(g.Name)] = sorted(g.Packages)
	}
	if c.Assets != nil {
		sets[SetAssets] = sorted(c.Assets.Packages)
	}
	sets[SetImage] = sorted(sets[SetImage])
	sets[SetExtra] = sorted(c.Image.Packages)
	for _, n := range c.NIFs {
		sets[NIFBuildSet(n.Dep)] = sorted(n.Build)
		if len(n.Runtime) > 0 {
			sets[NIFRuntimeSet(n.Dep)] = sorted(n.Runtime)
		}
	}
	for name, roots := range sets {
		if len(roots) == 0 {
			delete(sets, name)
		}
	}
	return sets
}

// requirements are the packages that are the tools, that they load, and that
// they are compiled with.
func (t Toolchain) requirements() map[string][]string {
	sets := map[string][]string{SetToolchain: {"erlang-base", "erlang-dev", "erlang-nox"}}
	asked := func(s ToolSpec) bool { return s.Version != "" && !s.FromSource() }
	if asked(t.Hex) {
		sets[SetHex] = []string{"erlang-hex"}
	}
	if asked(t.Rebar3) {
		sets[SetRebar3] = []string{"rebar3"}
	}
	for _, s := range t.FromSource() {
		sets[ToolBuildSet(s.Tool)] = []string{"make", "patch"}
	}
	if t.OpenSSL.FromSource() {
		sets[ToolBuildSet(ToolOpenSSL)] = sorted([]string{"gcc", "libc6-dev", "make", "patch", "perl"}, t.OpenSSL.Packages)
	}
	if !t.OTP.FromSource() {
		if asked(t.Elixir) {
			sets[SetToolchain] = append(sets[SetToolchain], "elixir")
		}
		return sets
	}
	sets[SetToolchain] = sorted(VMPackages, t.OTP.Packages, t.OpenSSL.Packages)
	build := sorted([]string{"g++", "gcc", "libc6-dev", "libncurses-dev", "make", "patch", "perl", "zlib1g-dev"}, t.OTP.Packages)
	if !t.OpenSSL.FromSource() {
		sets[SetToolchain] = sorted(sets[SetToolchain], []string{cryptoPackage})
		sets[ToolBuildSet(ToolCrypto)] = sorted(build, []string{"libssl-dev"})
	}
	sets[ToolBuildSet(ToolOTP)] = build
	if asked(t.Elixir) {
		sets[SetElixir] = []string{"elixir"}
	}
	return sets
}

// ShellPackages are what the start script of a Mix release calls.
var ShellPackages = []string{"coreutils", "dash", "grep", "mawk", "sed"}

func sorted(lists ...[]string) []string {
	out := slices.Concat(lists...)
	slices.Sort(out)
	return slices.Compact(out)
}
