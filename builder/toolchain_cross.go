package builder

import (
	"reflect"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

// A CrossToolchain is what a toolchain from source has of native code, for another
// platform than that of the programs which run. The rest of it is made once.
type CrossToolchain struct {
	Platform env.Platform
	// Root plans the root file system of programs that compile a tool, with
	// compilers for Platform; Sysroot the packages of Platform that it is compiled
	// against. They are pure functions.
	Root    func(tool string) (layers.RootFS, error)
	Sysroot func(tool string) (layers.RootFS, error)
	OpenSSL *Source
	OTP     *Source
}

const stepCrossTools = "compilers:cross:tools" // compilers for the other platform, and no more

// otpAnswers are what OTP's configure would find out by running programs, and
// where it is cross-compiled assumes the worst of: what it finds where it runs on
// Linux with the GNU C library (HOWTO/INSTALL-CROSS.md, "Cross System Root Locations"
// and after).
var otpAnswers = []string{
	"erl_xcomp_after_morecore_hook=no",
	"erl_xcomp_bigendian=no",
	"erl_xcomp_clock_gettime_cpu_time=yes",
	"erl_xcomp_dlsym_brk_wrappers=no",
	"erl_xcomp_double_middle_endian=no",
	"erl_xcomp_getaddrinfo=yes",
	"erl_xcomp_gethrvtime_procfs_ioctl=no",
	"erl_xcomp_kqueue=no",
	"erl_xcomp_linux_clock_gettime_correction=yes",
	"erl_xcomp_linux_nptl=yes",
	"erl_xcomp_linux_usable_sigaltstack=yes",
	"erl_xcomp_linux_usable_sigusrx=yes",
	"erl_xcomp_poll=yes",
	"erl_xcomp_posix_memalign=yes",
	"erl_xcomp_putenv_copy=no",
	"erl_xcomp_reliable_fpe=no",
	"i_cv_posix_fallocate_works=yes",
}

// steps names what lies over the packages of a sysroot, lowest first.
func (t CrossToolchain) steps() []string {
	return append(t.names(Toolchain.vm), t.names(Toolchain.dev)...)
}

// names are those of steps as they are for the platform.
func (t CrossToolchain) names(of func(Toolchain) []string) []string {
	var out []string
	for _, name := range of(Toolchain{OpenSSL: t.OpenSSL, OTP: t.OTP}) {
		out = append(out, layers.ForeignStep(name, t.Platform))
	}
	return out
}

// recipes are the steps that compile it, besides those of this machine's toolchain.
func (t CrossToolchain) recipes(here Toolchain) ([]layers.Recipe, error) {
	var out []layers.Recipe
	if t.OpenSSL != nil {
		c, err := t.compile(here, env.ToolOpenSSL, t.OpenSSL, here.OpenSSL)
		if err != nil {
			return nil, err
		}
		c.openssl(t.OpenSSL)
		out = append(out, c.recipes...)
	}
	if t.OTP != nil {
		c, err := t.compile(here, env.ToolOTP, t.OTP, here.OTP)
		if err != nil {
			return nil, err
		}
		if err := t.otp(c, here); err != nil {
			return nil, err
		}
		out = append(out, c.recipes...)
	}
	return out, nil
}

// compile begins to compile a tool: with the source as this machine's tool is
// compiled from it, if it is the same.
func (t CrossToolchain) compile(here Toolchain, tool string, s, same *Source) (*toolSteps, error) {
	root, err := t.Root(tool)
	if err != nil {
		return nil, err
	}
	c := newToolSteps(here.Platform, root)
	if same != nil && same.Archive == s.Archive && reflect.DeepEqual(same.Patches, s.Patches) {
		c.work = []string{sourceStep(tool, s)}
	} else {
		c.foreign = t.Platform // the names, as these may be others' than this machine's
		c.source(tool, s)
	}
	c.foreign, c.platform, c.build = t.Platform, t.Platform, here.Platform
	c.recipes = append(c.recipes, linksRecipe(), ownPrograms(stepCrossTools, crossTools(t.Platform), t.Platform))
	c.over = append(c.over, stepCrossTools)
	c.environ = withEnv(c.environ, crossVariables(t.Platform))
	return c, t.against(c, tool)
}

// against has what comes next compiled against the packages of a tool.
func (t CrossToolchain) against(c *toolSteps, tool string) error {
	sysroot, err := t.Sysroot(tool)
	c.recipes = append(c.recipes, sysroot.Recipes...)
	c.sysroot = append([]string{stepLinks}, sysroot.Packages...)
	return err
}

// otp compiles the native code of OTP, and has the rest from this machine's.
func (t CrossToolchain) otp(c *toolSteps, here Toolchain) error {
	cross := append([]string{
		"--build=" + here.Platform.Triplet(), "--host=" + t.Platform.Triplet(), "erl_xcomp_sysroot=" + layers.SysrootDir,
	}, otpAnswers...)
	c.over = append(c.over, env.ToolOTP)
	c.environ = withEnv(c.environ, []string{"TARGET=" + t.Platform.Triplet()}) // which makefiles in the middle guess
	c.configureOTP(t.OTP, cross...)
	work := c.work
	c.work = append(slices.Clone(work), env.ToolOTP)
	c.run(env.ToolOTP, "otp-cross", "out")
	c.last().Jobs = true
	c.work = work
	all := Toolchain{OpenSSL: t.OpenSSL, OTP: t.OTP}
	if !all.crypto() {
		return nil
	}
	if t.OpenSSL == nil {
		if err := t.against(c, env.ToolCrypto); err != nil {
			return err
		}
	} else {
		c.sysroot = append(slices.Clone(c.sysroot), c.name(StepOpenSSL), c.name(stepOpenSSLDev))
	}
	c.crypto(t.OTP, t.OpenSSL, append(cross, "--with-ssl="+layers.SysrootDir+"/usr")...)
	return nil
}

// crossVariables tell makefiles and configure scripts which programs to call.
func crossVariables(p env.Platform) []string {
	var out []string
	for name, program := range crossPrograms {
		out = append(out, name+"="+p.Triplet()+"-"+program)
	}
	slices.Sort(out)
	return out
}

// crossTools are the platform's compilers with the sysroot, where PATH finds them first.
func crossTools(p env.Platform, options ...string) map[string][]byte {
	out := make(map[string][]byte)
	for _, name := range []string{"gcc", "g++", "cpp"} {
		program := p.Triplet() + "-" + name
		command := append([]string{"exec /usr/bin/" + program, "--sysroot=" + layers.SysrootDir}, options...)
		out["usr/local/bin/"+program] = []byte("#!/bin/sh\n" + strings.Join(command, " ") + " \"$@\"\n")
	}
	return out
}
