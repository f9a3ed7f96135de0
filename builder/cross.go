package builder

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// A Cross says how what depends on the machine is made for another platform than
// the one whose programs run. Everything else is made once, for both.
type Cross struct {
	Platform env.Platform
	// Sysroot plans what native code of the platform is compiled against,
	// besides Erlang/OTP: the build packages of [nif] tables, and the C library.
	// It is a pure function.
	Sysroot func(nifs []string) (layers.RootFS, error)
	// OTP is Erlang/OTP of the platform, as far as it comes as packages.
	OTP layers.RootFS
	// Toolchain is what of the toolchain is compiled from source, and so lies over
	// its packages.
	Toolchain CrossToolchain
	// Root plans the root file system of a step whose programs are of the
	// platform, and run under an emulator. It is a pure function.
	Root func(Need) (layers.RootFS, error)
	NIFs []env.NIF // as [nif] tables are for the platform, sorted by Dep
}

// Steps of cross compilation.
const (
	stepCross = "compilers:cross" // compilers for the other platform, and what tells tools of them
	stepLinks = "sysroot"         // symbolic links of a merged /usr
)

// nif returns the [nif] table of an application for the platform that is built for.
func (c *Cross) nif(app string) (env.NIF, bool) { return MixApp{NIFs: c.NIFs}.nif(app) }

// bound reports whether a dependency is compiled once for each platform.
func (g depGraph) bound(d ProjectDep) bool {
	c := g.app.Cross
	if c == nil {
		return false
	}
	_, here := g.app.nif(d.App)
	_, there := c.nif(d.App)
	return here || there || g.made(d)
}

// foreign makes of a step that compiles native code the one that does so for the
// other platform.
func (a MixApp) foreign(step layers.Recipe, n Need) (layers.Recipe, []layers.Recipe, error) {
	c := a.Cross
	n.Compilers, n.Cross = true, true
	root, err := a.root(n)
	if err != nil {
		return step, nil, err
	}
	sysroot, err := c.Sysroot(n.NIFs)
	if err != nil {
		return step, nil, err
	}
	recipes := slices.Concat(root.Recipes, sysroot.Recipes)
	step.Name = layers.ForeignStep(step.Name, c.Platform)
	step.Build, step.Platform = a.Platform, c.Platform
	step.Root, step.Over = root.Root, append(withTools(root.Over), stepCross)
	step.Sysroot = c.sysroot(sysroot.Packages)
	step.Env = withEnv(crossEnv(c.Platform), step.Env)
	return step, recipes, nil
}

// emulated makes of a step that compiles native code the one that does so with
// the other platform's own programs, under an emulator.
func (g depGraph) emulated(step layers.Recipe, n Need) (layers.Recipe, []layers.Recipe, error) {
	c := g.app.Cross
	there := g.app
	there.Platform, there.Root, there.Cross = c.Platform, c.Root, nil
	there.Toolchain.foreign = &c.Toolchain
	n.Compilers = true
	root, err := there.root(n)
	if err != nil {
		return step, nil, err
	}
	recipes := slices.Clone(root.Recipes)
	compilers := layers.ForeignStep(stepCompilers, c.Platform)
	for i := range recipes {
		if recipes[i].Name == stepCompilers {
			recipes[i].Name = compilers
		}
	}
	over := slices.Clone(root.Over)
	over[slices.Index(over, stepCompilers)] = compilers
	step.Name, step.Platform = layers.ForeignStep(step.Name, c.Platform), c.Platform
	step.Root, step.Over, step.Work = root.Root, withTools(over), slices.Clone(step.Work)
	for i, name := range step.Work {
		if d, ok := g.deps[strings.TrimPrefix(name, DepStep(""))]; ok && name == DepStep(d.App) && g.bound(d) {
			step.Work[i] = layers.ForeignStep(name, c.Platform)
		}
	}
	return step, recipes, nil
}

// inForeign is foreign or emulated, as the [nif] tables of the applications say
// that the step compiles.
func (g depGraph) inForeign(step layers.Recipe, n Need, apps ...string) (layers.Recipe, []layers.Recipe, error) {
	for _, app := range apps {
		if nif, _ := g.app.Cross.nif(app); nif.Method == env.MethodEmulate {
			return g.emulated(step, n)
		}
	}
	return g.app.foreign(step, n)
}

// crossBase is what steps for another platform have in common: its Erlang/OTP, and
// compilers.
func (a MixApp) crossBase() ([]layers.Recipe, error) {
	c := a.Cross
	if c == nil {
		return nil, nil
	}
	tools, err := c.Toolchain.recipes(a.Toolchain)
	return slices.Concat(c.OTP.Recipes, []layers.Recipe{linksRecipe(), crossRecipe(c.Platform)}, tools), err
}

// crossed plans what a release for another platform has in place of the layers
// that hold native code: foreign names the steps of these, by what they replace.
func (g depGraph) crossed(compile layers.Recipe, n Need, apps []string) (recipes []layers.Recipe, foreign map[string]string, err error) {
	c := g.app.Cross
	if c == nil {
		return nil, nil, nil
	}
	foreign = make(map[string]string)
	for _, d := range g.wanted() {
		if g.bound(d) {
			foreign[DepStep(d.App)] = layers.ForeignStep(DepStep(d.App), c.Platform)
		}
	}
	own, environ := n.Compilers, []string(nil)
	for _, app := range g.own(apps) {
		nif, there := c.nif(app)
		own, environ = own || there, append(environ, nifEnv(nif)...)
	}
	if own {
		compile.Env = cleanMemory(withEnv(g.app.parallelEnv(), environ))
		step, more, err := g.inForeign(compile, n, g.own(apps)...)
		if err != nil {
			return nil, nil, err
		}
		recipes = append(append(recipes, more...), step)
		foreign[StepCompile] = step.Name
	}
	return recipes, foreign, nil
}

// assemble has a step of the release take Erlang/OTP and native code of the
// other platform.
func (c *Cross) assemble(r *layers.Recipe, foreign map[string]string) {
	r.Build, r.Platform = r.Platform, c.Platform
	r.Over = append(slices.Clone(r.Over), stepCross)
	r.Sysroot = c.sysroot(nil)
	r.Env = withEnv(r.Env, []string{sysrootVariable})
	for _, list := range []*[]string{&r.Work, &r.Amends} {
		*list = slices.Clone(*list)
		for i, name := range *list {
			(*list)[i] = cmp.Or(foreign[name], name)
		}
	}
}

// sysrootVariable tells retort's own code in Elixir of the sysroot.
const sysrootVariable = "RETORT_SYSROOT=" + layers.SysrootDir

// sysroot names the steps of a sysroot with more packages, lowest first.
func (c *Cross) sysroot(packages []string) []string {
	out := append([]string{stepLinks}, packages...)
	for _, name := range c.OTP.Packages {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return append(out, c.Toolchain.steps()...)
}

// linksRecipe holds the links through which linker scripts and programs of a
// merged /usr find libraries.
func linksRecipe() layers.Recipe {
	return filesRecipe(stepLinks, []layers.SourceFile{{Path: "lib", Link: "usr/lib", Mode: 0o777}})
}

// gnuArch is a platform's processor as GNU calls it.
func gnuArch(p env.Platform) string {
	cpu, _, _ := strings.Cut(p.Triplet(), "-")
	return cpu
}

// crossEnv tells what compiles native code which programs to call and where to
// find what it needs. elixir_make, rebar3's port compiler and plain makefiles take
// CC and the others, cc_precompiler and rustler_precompiled the variables
// TARGET_…, CMake its tool chain file, configure scripts CONFIG_SITE. CROSSCOMPILE
// is what Nerves sets; ERL_… and ERTS_INCLUDE_DIR are set inside, see mix/cross.ex.
func crossEnv(p env.Platform) []string {
	triplet := p.Triplet()
	lib := layers.SysrootDir + "/usr/lib/" + triplet
	out := []string{
		"CC_FOR_BUILD=gcc", "CXX_FOR_BUILD=g++", "HOSTCC=gcc", "HOSTCXX=g++",
		"CC_PRECOMPILER_CURRENT_TARGET=" + triplet,
		"CMAKE_TOOLCHAIN_FILE=/" + cmakeFile,
		"CONFIG_SITE=/" + siteFile,
		"CROSSCOMPILE=" + triplet,
		"MAKEFILES=/" + makeFile,
		"PKG_CONFIG_LIBDIR=" + lib + "/pkgconfig:" + layers.SysrootDir + "/usr/share/pkgconfig",
		"PKG_CONFIG_PATH=",
		"PKG_CONFIG_SYSROOT_DIR=" + layers.SysrootDir,
		"REBAR_TARGET_ARCH=" + triplet,
		"REBAR_TARGET_ARCH_WORDSIZE=64",
		sysrootVariable,
		"TARGET_ABI=gnu",
		"TARGET_ARCH=" + gnuArch(p),
		"TARGET_OS=linux",
	}
	out = append(out, crossVariables(p)...)
	slices.Sort(out)
	return out
}

// crossPrograms are the programs of a compiler and what makefiles call them.
var crossPrograms = map[string]string{
	"AR": "ar", "AS": "as", "CC": "gcc", "CXX": "g++", "CPP": "cpp", "LD": "ld", "NM": "nm", "OBJCOPY": "objcopy", "OBJDUMP": "objdump",
	"RANLIB": "ranlib", "READELF": "readelf", "STRIP": "strip",
}

// Files that tell build systems of the other platform.
const (
	cmakeFile = "retort/cross.cmake"
	siteFile  = "retort/cross.site"
	makeFile  = "retort/cross.mk"
)

// crossFiles put the platform's compilers, with the sysroot and the specs of all
// compilers, where PATH finds them first. They start programs with the code that the
// sysroot's C library has for it: that of Debian's cross compilers has a note besides.
func crossFiles(p env.Platform) map[string][]byte {
	triplet := p.Triplet()
	out := map[string][]byte{
		// A configure script that is not told of another platform would try to
		// run what it compiles.
		siteFile: fmt.Appendf(nil, `test -n "$host_alias" || host_alias=%[1]s
test -n "$ac_tool_prefix" || ac_tool_prefix=%[1]s-
cross_compiling=yes
: "${ac_cv_func_malloc_0_nonnull=yes}" "${ac_cv_func_realloc_0_nonnull=yes}" "${ac_cv_func_calloc_0_nonnull=yes}"
: "${ac_cv_func_memcmp_working=yes}" "${ac_cv_func_mmap_fixed_mapped=yes}" "${ac_cv_c_bigendian=no}"
`, triplet),
		// The rules that GNU make has itself pass TARGET_ARCH on to compilers, as
		// an option; to others it is a name.
		makeFile: []byte(`COMPILE.c = $(CC) $(CFLAGS) $(CPPFLAGS) -c
COMPILE.cc = $(CXX) $(CXXFLAGS) $(CPPFLAGS) -c
COMPILE.S = $(CC) $(ASFLAGS) $(CPPFLAGS) -c
COMPILE.s = $(AS) $(ASFLAGS)
COMPILE.C = $(COMPILE.cc)
COMPILE.cpp = $(COMPILE.cc)
LINK.c = $(CC) $(CFLAGS) $(CPPFLAGS) $(LDFLAGS)
LINK.cc = $(CXX) $(CXXFLAGS) $(CPPFLAGS) $(LDFLAGS)
LINK.S = $(CC) $(ASFLAGS) $(CPPFLAGS) $(LDFLAGS)
LINK.C = $(LINK.cc)
LINK.cpp = $(LINK.cc)
LINK.o = $(CC) $(LDFLAGS)
`),
		cmakeFile: fmt.Appendf(nil, `set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR %[1]s)
set(CMAKE_C_COMPILER %[2]s-gcc)
set(CMAKE_CXX_COMPILER %[2]s-g++)
set(CMAKE_SYSROOT %[3]s)
set(CMAKE_LIBRARY_ARCHITECTURE %[2]s)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
`, gnuArch(p), triplet, layers.SysrootDir),
	}
	options := append([]string{"-specs=/" + specsFile, "-B" + layers.SysrootDir + "/usr/lib/" + triplet}, prefixMaps(triplet)...)
	maps.Copy(out, crossTools(p, options...))
	return out
}

// prefixMaps have a cross compiler write of headers where they lie on the platform
// itself, into what debuggers read and __FILE__, so that what it makes is what the
// platform's own compiler makes. Of several that match GCC takes the last.
func prefixMaps(triplet string) []string {
	cross, own := "/usr/"+triplet+"/include/", "/usr/include/"+triplet+"/"
	maps := [][2]string{{layers.SysrootDir, ""}, {"/usr/lib/gcc-cross/", "/usr/lib/gcc/"}, {cross, "/usr/include/"}}
	for _, dir := range []string{"asm/", "bits/", "gnu/", "sys/"} {
		maps = append(maps, [2]string{cross + dir, own + dir})
	}
	for version := 10; version <= 20; version++ { // of GCC
		dir := fmt.Sprintf("c++/%d/", version)
		maps = append(maps, [2]string{cross + dir + triplet + "/", own + dir})
	}
	var out []string
	for _, m := range maps {
		out = append(out, "-ffile-prefix-map="+m[0]+"="+m[1])
	}
	return out
}

func crossRecipe(p env.Platform) layers.Recipe { return ownPrograms(stepCross, crossFiles(p), p) }

// ownPrograms are files of which those below usr are programs, and the folder of a
// sysroot.
func ownPrograms(step string, files map[string][]byte, p env.Platform) layers.Recipe {
	r := ownFiles(step, files, func(name string) bool { return strings.HasPrefix(name, "usr/") })
	r.Files = append(r.Files, layers.SourceFile{Path: layers.SysrootDir[1:], Dir: true, Mode: 0o755})
	slices.SortFunc(r.Files, func(a, b layers.SourceFile) int { return strings.Compare(a.Path, b.Path) })
	r.Platform = p
	return r
}
