package builder

import (
	"strings"
	"testing"
	"unicode"
)

func TestHints(t *testing.T) {
	for _, tt := range []struct{ name, step, log, want string }{
		{"no compiler", "dep:bcrypt_elixir", "make: gcc: No such file or directory\nmake: *** [Makefile:28: x.so] Error 127\n", "gcc is there for dependencies with native code: add [nif.bcrypt_elixir] to toolchain.toml and run retort lock"},
		{"no make", "dep:bcrypt_elixir", "** (Mix) \"make\" not found in the path. If you have set the MAKE environment variable, please make sure it is correct.\n", "make is there for"},
		{"shell", "dep:jiffy", "sh: 1: cc: not found\n", "cc is there for dependencies with native code: add [nif.jiffy]"},
		{"shell, exec", "dep:jiffy", "sh: exec: line 0: gcc: not found\n/bin/sh: 1: exec: gcc: not found", "add [nif.jiffy]"},
		{"bash", "dep:a", "bash: line 1: cmake: command not found\n", "cmake is in the package cmake: add it to build of [nif.a]"},
		{"autotools", "dep:a", "/bin/sh: 1: autoreconf: not found", "in the package autoconf"},
		{"headers of Erlang", "dep:a", "c_src/a.c:1:10: fatal error: erl_nif.h: No such file or directory", "erl_nif.h is there for"},
		{"OpenSSL", "dep:fast_tls", "c_src/fast_tls.c:22:10: fatal error: openssl/err.h: No such file or directory", "openssl/err.h is in the package libssl-dev: add it to build of [nif.fast_tls]"},
		{"clang's words", "dep:a", "a.c:1:10: fatal error: 'zlib.h' file not found", "zlib.h is in the package zlib1g-dev"},
		{"unknown header", "dep:a", "a.c:1:10: fatal error: xyz/q.h: No such file or directory", "xyz/q.h is in a package that packages.debian.org finds"},
		{"library", "dep:a", "/usr/bin/ld: cannot find -lyaml: No such file or directory\ncollect2: error: ld returned 1 exit status", "-lyaml is in the package libyaml-dev"},
		{"rustler_precompiled", "dep:mdex", "** (RuntimeError) Error while downloading precompiled NIF: couldn't fetch NIF from https://example.org/v1/liba-v1-nif-2.15-x86_64-unknown-linux-gnu.so.tar.gz: {:failed_connect, [{:inet, [:inet], :nxdomain}]}.", `precompiled = { url = "https://example.org/v1/liba-v1-nif-2.15-x86_64-unknown-linux-gnu.so.tar.gz", sha256 = "..." } to [nif.mdex]`},
		{"network", "dep:a", "curl: (6) Could not resolve host: example.org", "no step has network: what a downloads"},
		{"an application of OTP", "release", "** (Mix) Could not find application :xmerl\n", "take it off without of [toolchain.otp]"},
		{"an application that is started", "compile", "** (Mix) Could not start application xmerl: could not find application file: xmerl.app", "xmerl is neither"},
		{"the application's own", "compile", "make: g++: No such file or directory", "add [nif.APP]"},
		{"an error of the code", "dep:a", "** (CompileError) lib/a.ex:1: undefined function gcc/0\na.c:3: error: 'x' undeclared\nmake: *** [Makefile:3: a.o] Error 1\nmake: a.h: not remade\nusr: not found", ""},
	} {
		hints := (&ExitError{Step: tt.step, Log: tt.log}).Hints()
		if tt.want == "" && len(hints) > 0 || tt.want != "" && (len(hints) == 0 || !strings.Contains(hints[0], tt.want)) {
			t.Errorf("%s: %q, want %q", tt.name, hints, tt.want)
		}
	}
}

// A log is foreign text; a hint is one line for a terminal.
func FuzzHints(f *testing.F) {
	f.Add("make: gcc: No such file or directory\nfatal error: 'a/../b.h' file not found\nfetch NIF from https://a/b\x1b[2J")
	f.Fuzz(func(t *testing.T, log string) {
		hints := (&ExitError{Step: "dep:a", Log: log}).Hints()
		if len(hints) > maxHints {
			t.Fatalf("%d hints", len(hints))
		}
		for _, h := range hints {
			if len(h) > 1000 || strings.ContainsFunc(h, unicode.IsControl) {
				t.Fatalf("hint %q", h)
			}
		}
	})
}

func TestToolHints(t *testing.T) {
	for _, tt := range []struct{ step, log, want string }{
		{"otp:arm64", "sh: 1: ./gen: Exec format error", "method = \"emulate\" in [platform.arm64]"},
		{"openssl:build:arm64", "fatal error: zstd.h: No such file or directory", "packages of [toolchain.openssl]"},
		{"otp:crypto", "/usr/bin/ld: cannot find -lodbc: No such file or directory", "packages of [toolchain.otp]"},
	} {
		hints := (&ExitError{Step: tt.step, Log: tt.log}).Hints()
		if len(hints) != 1 || !strings.Contains(hints[0], tt.want) {
			t.Errorf("%s: %q, want %q", tt.step, hints, tt.want)
		}
	}
}
