package builder

import (
	"slices"
	"strings"
)

// Epoch is SOURCE_DATE_EPOCH inside every sandbox: 1980-01-01, the earliest
// time that all archive formats can hold. It is no commit's time, so that a
// commit which changes no input of a step changes nothing.
const Epoch = "315532800"

// clangOptions take out of clang's command line what the specs take out of
// GCC's; # keeps it from reporting each.
const clangOptions = "CCC_OVERRIDE_OPTIONS=# x-march=native x-mcpu=native x-mtune=native"

// env is the complete environment of Mix in a sandbox. No scheduler but one
// compiles, as modules done in another order intern atoms in another order,
// which reaches the bytes of code that iterates maps (OTP 26 and later).
func (a MixApp) env() []string {
	env := []string{
		clangOptions,
		"ERL_AFLAGS=+S 1:1 +SDio 1 +fnu",
		"ERL_COMPILER_OPTIONS=deterministic",
		"HEX_HOME=/nonexistent",
		"HEX_OFFLINE=1",
		"HOME=/home/retort",
		"LANG=C.UTF-8",
		"LC_ALL=C.UTF-8",
		"LOGNAME=retort",
		"MIX_BUILD_PATH=" + projectDir + "/" + a.buildDir(),
		"MIX_DEPS_PATH=" + projectDir + "/deps",
		"MIX_ENV=" + a.MixEnv,
		"MIX_HOME=/nonexistent",
		"MIX_OS_CONCURRENCY_LOCK=0",
		"MIX_PATH=/usr/lib/elixir/lib/hex/ebin",
		"MIX_REBAR3=/usr/bin/rebar3",
		"MIX_TARGET=" + a.MixTarget,
		"PATH=/usr/local/bin:/usr/bin:/bin",
		"REBAR_CACHE_DIR=/home/retort/rebar3",
		"REBAR_GLOBAL_CONFIG_DIR=/home/retort/rebar3",
		"REBAR_OFFLINE=1",
		"SHELL=/bin/sh",
		"SOURCE_DATE_EPOCH=" + Epoch,
		"TERM=dumb",
		"TMPDIR=/tmp",
		"TZ=UTC",
		"USER=retort",
		"ZERO_AR_DATE=1",
	}
	slices.Sort(env)
	return env
}

// parallelEnv is env for a program that makes the order of atoms its own
// business and so may use every processor: its recipe is parallel.
func (a MixApp) parallelEnv() []string {
	env := a.env()
	for i, kv := range env {
		if strings.HasPrefix(kv, "ERL_AFLAGS=") {
			env[i] = "ERL_AFLAGS=+fnu"
		}
	}
	return env
}

// cleanMemory is env for a VM that compiles modules. OTP up to 27 shows memory
// as it was found in them: PCRE leaves bytes of a compiled regular expression
// unset, behind the names of groups and at the end. +MDe has OTP take this memory
// from malloc, and the tunables have malloc fill it with zeros.
func cleanMemory(env []string) []string {
	out := append(slices.Clone(env), "GLIBC_TUNABLES=glibc.malloc.perturb=255:glibc.malloc.tcache_count=0")
	for i, kv := range out {
		if flags, ok := strings.CutPrefix(kv, "ERL_AFLAGS="); ok {
			out[i] = "ERL_AFLAGS=+MDe false " + flags
		}
	}
	slices.Sort(out)
	return out
}

// buildDir is where Mix puts what it compiles, below the project.
func (a MixApp) buildDir() string {
	if a.MixTarget != "host" {
		return "_build/" + a.MixTarget + "_" + a.MixEnv
	}
	return "_build/" + a.MixEnv
}
