package builder

import (
	"embed"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// Steps of tools that are compiled in parts. The others' are their names.
const (
	StepOpenSSL      = "openssl:lib"      // the libraries that programs load
	stepOpenSSLBuild = "openssl:build"    // all that OpenSSL installs
	stepOpenSSLDev   = "openssl:dev"      // headers and what is linked against
	stepOTPConfigure = "otp:configure"    // what OTP's configure writes
	stepOTPCrypto    = "otp:crypto"       // native code of the application crypto
	toolchainDir     = "/build/toolchain" // where a tool's source lies
)

// SourceStep is the name of the step that unpacks a tool's source release.
func SourceStep(tool string) string { return "source:" + tool }

// PatchFolder is where the patches of a tool lie in its source.
const PatchFolder = ".retort-patches"

// Flags of native code: what Debian hardens its packages with.
const (
	defaultCFlags  = "-O2 -fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2 -Wformat -Werror=format-security"
	defaultLDFlags = "-Wl,-z,relro -Wl,-z,now"
)

//go:embed toolchain
var toolchainFiles embed.FS

// A Source is one tool that is compiled from its source release.
type Source struct {
	Archive   layers.Archive
	Patches   []layers.SourceFile // of the project, in the order they are applied
	Configure []string            // further options of configure
	CFlags    string              // appended to retort's own
	LDFlags   string
	Without   []string // applications of OTP that are left out
	Static    bool     // OpenSSL becomes part of what uses it
}

// A Toolchain is those tools that are compiled from source.
type Toolchain struct {
	Platform env.Platform
	// Root plans the root file system that a tool is compiled in, besides the
	// tools that it needs itself. It is a pure function.
	Root    func(tool string) (layers.RootFS, error)
	OpenSSL *Source
	OTP     *Source
	Elixir  *Source
	Hex     *Source
	Rebar3  *Source

	foreign *CrossToolchain // whose native code there is in place of this one's
}

// vm names the steps of a virtual machine that runs, lowest first.
func (t Toolchain) vm() []string {
	if t.foreign != nil {
		return t.foreign.names(Toolchain.vm)
	}
	var out []string
	if t.OpenSSL != nil {
		out = append(out, StepOpenSSL)
	}
	if t.OTP != nil {
		out = append(out, env.ToolOTP)
	}
	if t.crypto() {
		out = append(out, stepOTPCrypto)
	}
	return out
}

// crypto reports whether OTP's application crypto is compiled.
func (t Toolchain) crypto() bool {
	return t.OTP != nil && !slices.Contains(t.OTP.Without, "crypto")
}

// run names the steps that lie over the packages wherever a program of the
// toolchain runs, lowest first; dev those where native code is compiled, too.
func (t Toolchain) run() []string {
	out := t.vm()
	for _, tool := range []struct {
		name   string
		source *Source
	}{{env.ToolElixir, t.Elixir}, {env.ToolHex, t.Hex}, {env.ToolRebar3, t.Rebar3}} {
		if tool.source != nil {
			out = append(out, tool.name)
		}
	}
	return out
}

func (t Toolchain) dev() []string {
	if t.foreign != nil {
		return t.foreign.names(Toolchain.dev)
	}
	if t.OpenSSL == nil {
		return nil
	}
	return []string{stepOpenSSLDev}
}

// Recipes are the steps that compile the toolchain.
func (t Toolchain) Recipes() ([]layers.Recipe, error) {
	var out []layers.Recipe
	for _, part := range []func() ([]layers.Recipe, error){t.openssl, t.otp, t.elixir, t.hex, t.rebar3} {
		recipes, err := part()
		if err != nil {
			return nil, err
		}
		out = append(out, recipes...)
	}
	return out, nil
}

func (t Toolchain) openssl() ([]layers.Recipe, error) {
	if t.OpenSSL == nil {
		return nil, nil
	}
	c, err := t.compile(env.ToolOpenSSL, t.OpenSSL, nil)
	if err != nil {
		return nil, err
	}
	c.openssl(t.OpenSSL)
	return c.recipes, nil
}

// openssl adds the steps that compile OpenSSL. The compiler's name is in its
// libraries: they have the one that means the platform, wherever it runs.
func (c *toolSteps) openssl(s *Source) {
	kind := "shared"
	if s.Static {
		kind = "no-shared"
	}
	environ := c.environ
	c.environ = withEnv(environ, []string{"CC=" + c.platform.Triplet() + "-gcc"})
	libdir := "lib/" + c.platform.Triplet()
	c.run(stepOpenSSLBuild, "openssl", "out", append([]string{opensslTarget(c.platform), libdir, kind, s.cflags(), s.ldflags()}, s.Configure...)...)
	c.last().Jobs = true
	c.environ, c.work = environ, []string{c.name(stepOpenSSLBuild)}
	c.run(stepOpenSSLDev, "openssl-dev", "dev", libdir)
	c.run(StepOpenSSL, "openssl-run", "run", libdir, kind)
}

// opensslTarget is what OpenSSL's Configure calls a platform.
func opensslTarget(p env.Platform) string {
	if p == env.LinuxARM64 {
		return "linux-aarch64"
	}
	return "linux-x86_64"
}

func (t Toolchain) otp() ([]layers.Recipe, error) {
	s := t.OTP
	if s == nil {
		return nil, nil
	}
	c, err := t.compile(env.ToolOTP, s, nil)
	if err != nil {
		return nil, err
	}
	c.configureOTP(s)
	c.run(env.ToolOTP, "otp", "out")
	c.last().Jobs = true
	if !t.crypto() {
		return c.recipes, nil
	}
	if t.OpenSSL == nil { // the suite's, which OTP itself does without
		if c.root, err = t.Root(env.ToolCrypto); err != nil {
			return nil, err
		}
		c.recipes, c.over = append(c.recipes, c.root.Recipes...), []string{c.root.Config}
	} else {
		c.over = append(c.over, StepOpenSSL, stepOpenSSLDev)
	}
	c.crypto(s, t.OpenSSL, "--with-ssl=/usr")
	return c.recipes, nil
}

// configureOTP adds the step that configures OTP, with more options of its own.
func (c *toolSteps) configureOTP(s *Source, more ...string) {
	c.run(stepOTPConfigure, "otp-configure", ".", slices.Concat([]string{s.cflags(), s.ldflags(), strings.Join(s.Without, " ")}, more, s.Configure)...)
	c.work = append(c.work, c.name(stepOTPConfigure))
}

// crypto adds the step that compiles OTP's application crypto with an OpenSSL, which
// is a package if it is nil.
func (c *toolSteps) crypto(s, openssl *Source, more ...string) {
	ssl := "--enable-dynamic-ssl-lib"
	if openssl != nil && openssl.Static {
		ssl = "--disable-dynamic-ssl-lib"
	}
	c.run(stepOTPCrypto, "otp-crypto", "out", slices.Concat([]string{s.cflags(), s.ldflags(), ssl}, more, s.Configure)...)
	c.last().Jobs = true
}

func (t Toolchain) elixir() ([]layers.Recipe, error) {
	var over []string
	if t.OTP != nil {
		over = append(over, env.ToolOTP) // and nothing of OpenSSL: another one leaves Elixir as it is
	}
	return t.beam(env.ToolElixir, t.Elixir, over)
}

func (t Toolchain) hex() ([]layers.Recipe, error) {
	over := t.vm()
	if t.Elixir != nil {
		over = append(over, env.ToolElixir)
	}
	return t.beam(env.ToolHex, t.Hex, over)
}

func (t Toolchain) rebar3() ([]layers.Recipe, error) {
	return t.beam(env.ToolRebar3, t.Rebar3, t.vm())
}

// beam compiles a tool that is BEAM code with the tools in over.
func (t Toolchain) beam(name string, s *Source, over []string) ([]layers.Recipe, error) {
	if s == nil {
		return nil, nil
	}
	c, err := t.compile(name, s, over)
	if err != nil {
		return nil, err
	}
	c.run(name, name, "out")
	r := c.last()
	r.Platform = env.Any
	r.Argv[2] = toolScript("names") + r.Argv[2]
	return c.recipes, nil
}

// toolSteps gather the steps that compile one tool.
type toolSteps struct {
	platform env.Platform // that the tool is for
	build    env.Platform // of the programs, if they are another's; then there is a sysroot
	foreign  env.Platform // that the steps are named after, if any
	root     layers.RootFS
	over     []string
	sysroot  []string
	work     []string
	environ  []string
	recipes  []layers.Recipe
}

func newToolSteps(p env.Platform, root layers.RootFS) *toolSteps {
	return &toolSteps{platform: p, root: root, over: []string{root.Config}, environ: toolEnv(), recipes: slices.Clone(root.Recipes)}
}

// compile begins with the steps that lay out a tool's source.
func (t Toolchain) compile(tool string, s *Source, over []string) (*toolSteps, error) {
	root, err := t.Root(tool)
	if err != nil {
		return nil, err
	}
	c := newToolSteps(t.Platform, root)
	c.over = append(c.over, over...)
	c.source(tool, s)
	return c, nil
}

// source adds the steps that lay out a tool's source.
func (c *toolSteps) source(tool string, s *Source) {
	source := layers.Recipe{Name: c.name(SourceStep(tool)), Kind: layers.UnpackSource, Platform: env.Any, Archive: s.Archive}
	c.recipes, c.work = append(c.recipes, source), []string{source.Name}
	if len(s.Patches) > 0 {
		patches := filesRecipe(c.name("patches:"+tool), s.Patches)
		c.recipes, c.work = append(c.recipes, patches), append(c.work, patches.Name)
		c.run(patchedStep(tool), "patch", "out", pathsOf(s.Patches)...)
		c.work = []string{c.last().Name}
	}
}

func patchedStep(tool string) string { return "patch:" + tool }

// sourceStep names the step whose layer is a tool's source with its patches.
func sourceStep(tool string, s *Source) string {
	if len(s.Patches) > 0 {
		return patchedStep(tool)
	}
	return SourceStep(tool)
}

// name is a step's, as it is for the platform.
func (c *toolSteps) name(step string) string {
	if c.foreign == "" {
		return step
	}
	return layers.ForeignStep(step, c.foreign)
}

func pathsOf(files []layers.SourceFile) []string {
	var out []string
	for _, f := range files {
		out = append(out, f.Path)
	}
	return out
}

// run adds a step that runs one of the scripts. What it leaves in the folder
// output is the step's layer; "." is all that it changed.
func (c *toolSteps) run(step, script, output string, args ...string) {
	text := toolScript(script)
	c.recipes = append(c.recipes, layers.Recipe{
		Name: c.name(step), Kind: layers.Run, Platform: c.platform, Build: c.build,
		Root: c.root.Packages, Over: slices.Clone(c.over), Sysroot: slices.Clone(c.sysroot), Work: slices.Clone(c.work),
		Dir: toolchainDir, Env: c.environ,
		Argv:    append([]string{"/bin/sh", "-euc", text, script}, args...),
		Outputs: []layers.Output{{Path: output, Strip: output != "."}},
	})
}

func toolScript(name string) string {
	text, err := toolchainFiles.ReadFile("toolchain/" + name + ".sh")
	if err != nil {
		panic(err) // the program is built wrongly
	}
	return string(text)
}

func (c *toolSteps) last() *layers.Recipe { return &c.recipes[len(c.recipes)-1] }

func (s *Source) cflags() string  { return strings.TrimSpace(defaultCFlags + " " + s.CFlags) }
func (s *Source) ldflags() string { return strings.TrimSpace(defaultLDFlags + " " + s.LDFlags) }

// toolEnv is the environment that tools are compiled in.
func toolEnv() []string {
	a := MixApp{MixEnv: "prod", MixTarget: "host"}
	env := override(a.env(), []string{
		"MIX_BUILD_PATH=" + toolchainDir + "/_build/prod",
		"MIX_DEPS_PATH=" + toolchainDir + "/deps",
		"MIX_PATH=",
	})
	slices.Sort(env)
	return env
}
