package builder

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/retort-build/retort/env"
)

// Hints says what in the manifest may be missing, as far as the log of a
// program that failed tells: system packages, an application of OTP, or the
// network that no step has.
func (e *ExitError) Hints() []string {
	app, isDep := strings.CutPrefix(e.Step, DepStep(""))
	app, arch, _ := strings.Cut(app, ":")
	foreign, err := env.ParsePlatform(arch)
	if !isDep {
		app = "APP"
	}
	if tool := toolOf(e.Step); tool != "" {
		return e.toolHints(tool)
	}
	var out []string
	add := func(format string, args ...any) {
		if hint := fmt.Sprintf(format, args...); !slices.Contains(out, hint) && len(out) < maxHints {
			out = append(out, hint)
		}
	}
	for _, m := range missingProgram.FindAllStringSubmatch(e.Log, -1) {
		name := m[1] + m[2] + m[3] + m[4]
		if slices.Contains(nativePrograms, name) {
			add("%s is there for dependencies with native code: add [nif.%s] to toolchain.toml and run retort lock", name, app)
		} else if pkg := programPackages[name]; pkg != "" {
			add("%s is in the package %s: add it to build of [nif.%s] in toolchain.toml and run retort lock", name, pkg, app)
		}
	}
	for _, m := range missingHeader.FindAllStringSubmatch(e.Log, -1) {
		file := m[1] + m[2]
		if slices.Contains(nativeHeaders, file) {
			add("%s is there for dependencies with native code: add [nif.%s] to toolchain.toml and run retort lock", file, app)
		} else {
			add("%s is in %s: add it to build of [nif.%s] in toolchain.toml and run retort lock", file, packageOf(headerPackages, file), app)
		}
	}
	for _, m := range missingLibrary.FindAllStringSubmatch(e.Log, -1) {
		add("-l%s is in %s: add it to build of [nif.%s] in toolchain.toml and run retort lock", m[1], packageOf(libraryPackages, m[1]), app)
	}
	for _, m := range missingApp.FindAllStringSubmatch(e.Log, -1) {
		add("%s is neither a dependency nor in this Erlang/OTP: take it off without of [toolchain.otp] in toolchain.toml, if it stands there, and run retort lock", m[1]+m[2])
	}
	if foreignProgram.MatchString(e.Log) && err == nil {
		add("it runs a program that it has compiled for %s: say method = \"emulate\" in [nif.%s.platform.%s] of toolchain.toml, or have it use $CC_FOR_BUILD for that program", foreign, app, foreign.Arch())
	}
	if foreignObject.MatchString(e.Log) && err == nil {
		add("it links with native code of this machine, as that of another dependency: say method = \"emulate\" in [nif.%s.platform.%s] of toolchain.toml", app, foreign.Arch())
	}
	if m := missingArchive.FindStringSubmatch(e.Log); m != nil {
		add("no step has network: add precompiled = { url = %q, sha256 = \"...\" } to [nif.%s] in toolchain.toml; deps/%s has the digest in its checksum file", m[1], app, app)
	} else if noNetwork.MatchString(e.Log) {
		add("no step has network: what %s downloads must be a dependency of the project or a package of [nif.%s] in toolchain.toml", app, app)
	}
	return out
}

// toolOf is the tool that a step compiles from source, "" for other steps.
func toolOf(step string) string {
	tool, _, _ := strings.Cut(step, ":")
	if slices.Contains(env.ToolNames(), tool) {
		return tool
	}
	return ""
}

// toolHints are those of a tool that is compiled from source.
func (e *ExitError) toolHints(tool string) []string {
	var out []string
	add := func(what, pkg string) {
		hint := fmt.Sprintf("%s is in %s: add it to packages of [toolchain.%s] in toolchain.toml and run retort lock", what, pkg, tool)
		if !slices.Contains(out, hint) && len(out) < maxHints {
			out = append(out, hint)
		}
	}
	for _, m := range missingHeader.FindAllStringSubmatch(e.Log, -1) {
		add(m[1]+m[2], packageOf(headerPackages, m[1]+m[2]))
	}
	for _, m := range missingLibrary.FindAllStringSubmatch(e.Log, -1) {
		add("-l"+m[1], packageOf(libraryPackages, m[1]))
	}
	_, arch, _ := strings.Cut(e.Step, ":")
	arch = arch[strings.LastIndex(arch, ":")+1:]
	if p, err := env.ParsePlatform(arch); err == nil && (foreignProgram.MatchString(e.Log) || foreignObject.MatchString(e.Log)) {
		out = append(out, fmt.Sprintf("it cannot be compiled on another machine: say method = %q in [platform.%s] of toolchain.toml", env.MethodEmulate, p.Arch()))
	}
	return out
}

// maxHints bounds what one failure is answered with: the first is most likely
// the cause of the others.
const maxHints = 3

// What shells, make, elixir_make, gcc, ld and the tools that download say.
var (
	missingProgram = regexp.MustCompile(`(?m)` +
		`(?:^|[ /])(?:sh|bash|dash)(?:: line)?:? ?[0-9]*: (?:exec: )?([A-Za-z0-9+_.-]{1,40}): (?:command )?not found` +
		`|^make(?:\[\d+\])?: ([A-Za-z0-9+_.-]{1,40}): No such file or directory` +
		`|"([A-Za-z0-9+_.-]{1,40})" not found in the path` +
		`|(?:could not find|cannot find|unable to find|no such) (?:executable|program|command)[: ]+["']?([A-Za-z0-9+_.-]{1,40})`)
	missingHeader = regexp.MustCompile(`(?m)fatal error: '?([A-Za-z0-9+_./-]{1,100})'?(?:: No such file or directory| file not found)` +
		`|cannot find (?:header|include) file ([A-Za-z0-9+_./-]{1,100})`)
	missingLibrary = regexp.MustCompile(`(?m)(?:cannot|unable to) find (?:library )?-l([A-Za-z0-9+_.-]{1,60})`)
	missingApp     = regexp.MustCompile(`Could not find application :([a-z][a-zA-Z0-9_]{0,60})\b|could not find application file: ([a-z][a-zA-Z0-9_]{0,60})\.app\b`)
	foreignProgram = regexp.MustCompile(`Exec format error|cannot execute binary file|Could not open '/lib/ld-linux|cannot run C compiled programs`)
	foreignObject  = regexp.MustCompile(`file in wrong format|skipping incompatible .*\.(?:so|a) `)
	missingArchive = regexp.MustCompile(`fetch NIF from (https?://[A-Za-z0-9._~:/@%+-]{1,500}[A-Za-z0-9])`)
	noNetwork      = regexp.MustCompile(`nxdomain|Could not resolve host|Temporary failure in name resolution|Name or service not known|` +
		`Network is unreachable|enetunreach|no such host|failed to lookup address`)
)

// What every root file system with compilers has.
var (
	nativePrograms = []string{"ar", "c++", "cc", "g++", "gcc", "ld", "make"}
	nativeHeaders  = []string{"ei.h", "erl_driver.h", "erl_nif.h", "math.h", "stdint.h", "stdio.h", "stdlib.h", "string.h"}
)

var programPackages = map[string]string{
	"aclocal": "automake", "autoconf": "autoconf", "autoheader": "autoconf", "autoreconf": "autoconf", "automake": "automake",
	"bison": "bison", "cargo": "cargo", "clang": "clang", "clang++": "clang", "cmake": "cmake", "curl-config": "libcurl4-openssl-dev",
	"flex": "flex", "gfortran": "gfortran", "git": "git", "go": "golang-go", "libtool": "libtool-bin", "libtoolize": "libtool",
	"m4": "m4", "nasm": "nasm", "ninja": "ninja-build", "patch": "patch", "perl": "perl", "pkg-config": "pkgconf", "pkgconf": "pkgconf",
	"protoc": "protobuf-compiler", "python3": "python3", "rustc": "rustc", "swig": "swig", "unzip": "unzip", "which": "debianutils",
	"xxd": "xxd", "yasm": "yasm", "zig": "zig",
}

// headerPackages name the package of a header, or of all below a folder.
var headerPackages = map[string]string{
	"bzlib.h": "libbz2-dev", "curl/": "libcurl4-openssl-dev", "curses.h": "libncurses-dev", "expat.h": "libexpat1-dev", "ffi.h": "libffi-dev",
	"gd.h": "libgd-dev", "gmp.h": "libgmp-dev", "jpeglib.h": "libjpeg-dev", "leveldb/": "libleveldb-dev", "libpq-fe.h": "libpq-dev",
	"lmdb.h": "liblmdb-dev", "lz4.h": "liblz4-dev", "lzma.h": "liblzma-dev", "magic.h": "libmagic-dev", "ncurses.h": "libncurses-dev",
	"netinet/sctp.h": "libsctp-dev", "openssl/": "libssl-dev", "pcre2.h": "libpcre2-dev", "png.h": "libpng-dev", "rocksdb/": "librocksdb-dev",
	"security/": "libpam0g-dev", "snappy.h": "libsnappy-dev", "sodium.h": "libsodium-dev", "sql.h": "unixodbc-dev", "sqlext.h": "unixodbc-dev",
	"sqlite3.h": "libsqlite3-dev", "systemd/": "libsystemd-dev", "unicode/": "libicu-dev", "uuid/": "uuid-dev", "vips/": "libvips-dev",
	"webp/": "libwebp-dev", "yaml.h": "libyaml-dev", "zlib.h": "zlib1g-dev", "zmq.h": "libzmq3-dev", "zstd.h": "libzstd-dev",
}

var libraryPackages = map[string]string{
	"bz2": "libbz2-dev", "crypto": "libssl-dev", "curl": "libcurl4-openssl-dev", "expat": "libexpat1-dev", "ffi": "libffi-dev", "gd": "libgd-dev",
	"gmp": "libgmp-dev", "icuuc": "libicu-dev", "jpeg": "libjpeg-dev", "leveldb": "libleveldb-dev", "lmdb": "liblmdb-dev", "lz4": "liblz4-dev",
	"lzma": "liblzma-dev", "magic": "libmagic-dev", "ncurses": "libncurses-dev", "odbc": "unixodbc-dev", "pam": "libpam0g-dev", "png": "libpng-dev",
	"pq": "libpq-dev", "rocksdb": "librocksdb-dev", "sctp": "libsctp-dev", "snappy": "libsnappy-dev", "sodium": "libsodium-dev",
	"sqlite3": "libsqlite3-dev", "ssl": "libssl-dev", "systemd": "libsystemd-dev", "uuid": "uuid-dev", "vips": "libvips-dev", "webp": "libwebp-dev",
	"yaml": "libyaml-dev", "z": "zlib1g-dev", "zmq": "libzmq3-dev", "zstd": "libzstd-dev",
}

// packageOf names the package of a file, if it is known.
func packageOf(packages map[string]string, file string) string {
	folder, _, below := strings.Cut(file, "/")
	if pkg := packages[file]; pkg != "" {
		return "the package " + pkg
	}
	if pkg := packages[folder+"/"]; pkg != "" && below {
		return "the package " + pkg
	}
	return "a package that packages.debian.org finds by its contents"
}
