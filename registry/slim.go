package registry

import (
	"path"
	"strings"

	"github.com/retort-build/retort/internal/tarball"
)

// What a package ships that no running program reads. Licence texts stay
// (usr/share/doc/*/copyright), and so do the records that scanners read
// (var/lib/dpkg/status.d).
var slimPrefixes = []string{
	"usr/include/",
	"usr/lib/debug/",
	"usr/lib/pkgconfig/",
	"usr/share/bash-completion/",
	"usr/share/bug/",
	"usr/share/doc-base/",
	"usr/share/gdb/",
	"usr/share/info/",
	"usr/share/lintian/",
	"usr/share/linda/",
	"usr/share/locale/",
	"usr/share/man/",
	"usr/share/pkgconfig/",
	"usr/share/zsh/",
	"var/lib/dpkg/info/",
}

// slim reports whether a whole package keeps e.
func slim(e tarball.Entry) bool {
	p := e.Path
	if e.Kind == tarball.Dir {
		p += "/"
	}
	if rest, ok := strings.CutPrefix(p, "usr/share/doc/"); ok {
		// A package may have its documentation in another's, by a link.
		return path.Base(p) == "copyright" && e.Kind != tarball.Dir || !strings.Contains(rest, "/") && e.Kind == tarball.Symlink
	}
	for _, prefix := range slimPrefixes {
		if strings.HasPrefix(p, prefix) {
			return false
		}
	}
	if rest, ok := strings.CutPrefix(p, "usr/lib/"); ok {
		// gconv converts character sets for iconv, which nothing here calls;
		// libraries live in the triplet's directory or directly in usr/lib.
		parts := strings.Split(rest, "/")
		for _, part := range parts[:len(parts)-1] {
			if part == "gconv" || part == "pkgconfig" {
				return false
			}
		}
		switch path.Ext(rest) {
		case ".a", ".la", ".o":
			return false
		}
	}
	return true
}

// always are files that a runtime needs of a package though no ELF file names
// them. A path that ends in a slash is all that is below.
var always = map[string][]string{
	"base-files": {"etc/debian_version", "etc/os-release", "usr/lib/os-release"},
	"libc-bin":   {"usr/lib/locale/C.utf8/"}, // the VM asks the locale for its encoding
	"netbase":    {"etc/protocols", "etc/services"},
}

func alwaysNeeds(pkg, p string) bool {
	for _, want := range always[pkg] {
		if p == want || strings.HasSuffix(want, "/") && strings.HasPrefix(p, want) {
			return true
		}
	}
	return false
}

// The packages of the lowest layer: what every image of a suite shares.
var basePackages = map[string]bool{
	"base-files": true, "ca-certificates": true, "libc-bin": true, "libc6": true,
	"media-types": true, "netbase": true, "tzdata": true, "tzdata-legacy": true,
}

// Programs of ERTS that build or debug; no release runs them.
var buildTools = map[string]bool{
	"ct_run": true, "dialyzer": true, "erl_call": true, "erlc": true, "typer": true, "yielding_c_fun": true,
}

// The tools that the start scripts of a release call, and what one types first
// when inside a container.
var shellTools = []string{
	"awk", "basename", "cat", "cut", "date", "dd", "dirname", "env", "grep", "head", "id", "ln", "ls",
	"mkdir", "od", "printf", "readlink", "rm", "sed", "sh", "sleep", "tail", "tr", "uname",
}
