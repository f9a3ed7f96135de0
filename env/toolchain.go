package env

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
)

// The tools of a toolchain.
const (
	ToolOTP     = "otp"
	ToolElixir  = "elixir"
	ToolOpenSSL = "openssl"
	ToolHex     = "hex"
	ToolRebar3  = "rebar3"

	// ToolCrypto is OTP's native code for OpenSSL, as far as it needs packages of
	// its own. No manifest names it.
	ToolCrypto = "crypto"
)

// ToolNames lists the tools of a toolchain, each after those it is built with.
func ToolNames() []string {
	return []string{ToolOpenSSL, ToolOTP, ToolElixir, ToolHex, ToolRebar3}
}

// The values of ToolSpec.From.
const (
	FromDebian = "debian" // the suite's package
	FromSource = "source" // compiled from the source release
)

// The values of ToolSpec.Link.
const (
	LinkDynamic = "dynamic"
	LinkStatic  = "static"
)

// The places of ToolSpec.Sources. "debian:SUITE" is one suite.
const (
	PlaceUpstream = "upstream" // what the makers of a tool publish
	PlaceDebian   = "debian"   // Debian's upstream tarballs, of any suite
)

// Toolchain is the compilers and tools of a build.
type Toolchain struct {
	OTP     ToolSpec
	Elixir  ToolSpec
	OpenSSL ToolSpec // not asked for: whatever the suite has; likewise Hex and Rebar3
	Hex     ToolSpec
	Rebar3  ToolSpec
}

// Tools lists the tools that are asked for, in the order of ToolNames.
func (t Toolchain) Tools() []ToolSpec {
	return slices.DeleteFunc(t.All(), func(s ToolSpec) bool { return s.Version == "" })
}

// All lists all tools, in the order of ToolNames.
func (t Toolchain) All() []ToolSpec { return []ToolSpec{t.OpenSSL, t.OTP, t.Elixir, t.Hex, t.Rebar3} }

// FromSource lists those of Tools that are compiled from source.
func (t Toolchain) FromSource() []ToolSpec {
	return slices.DeleteFunc(t.All(), func(s ToolSpec) bool { return !s.FromSource() })
}

// ToolSpec is what a manifest says of one tool.
type ToolSpec struct {
	Tool    string // one of ToolNames
	Version string // exact, or the beginning of one: "27"; "" if the tool is not asked for
	From    string // FromDebian or FromSource

	// All below goes with FromSource only.

	Sources []string      // places in which the release is looked for, in this order
	URL     string        // where the source is, in place of Sources, or ""
	Path    File          // of the source, in place of Sources, or zero
	Digest  digest.Digest // which the file at URL or Path must have; "" takes any at Path

	Patches   []Pattern // applied in this order; the files of a pattern sorted by name
	Configure []string  // further options of configure
	CFlags    string    // further flags of the compiler
	LDFlags   string    // further flags of the linker
	Without   []string  // applications of OTP to leave out
	Packages  []string  // of the suite, which the tool is compiled with and runs with
	Link      string    // of OpenSSL: LinkDynamic or LinkStatic
}

// FromSource reports whether the tool is asked for and compiled from source.
func (s ToolSpec) FromSource() bool { return s.Version != "" && s.From == FromSource }

// Want is the identity of a tool's source release in a lock: specs of equal
// wants share a pin. It tells the version, and where the release is looked for
// unless that is left to the defaults: "27", "27 in debian:forky, upstream",
// "27.1 at https://example.org/otp.tar.gz", "27.1 at file:vendor/otp.tar.gz".
func (s ToolSpec) Want() string {
	switch {
	case s.URL != "":
		return s.Version + " at " + s.URL
	case s.Path.Path != "":
		return s.Version + " at " + s.Path.URL()
	case !slices.Equal(s.Sources, defaultPlaces()):
		return s.Version + " in " + strings.Join(s.Sources, ", ")
	}
	return s.Version
}

func defaultPlaces() []string { return []string{PlaceUpstream, PlaceDebian} }

// File is a file that a manifest names.
type File struct {
	Path string // joined to the folder of the manifest that says it
	Rel  string // relative to the folder of the lock, with slashes
}

// FileURL begins the address of a file in a lock. Its path relative to the
// lock's folder follows.
const FileURL = "file:"

// URL is the file's address in a lock.
func (f File) URL() string { return FileURL + f.Rel }

// Pattern names files beside a manifest.
type Pattern struct {
	Dir  string // folder of the manifest that says it
	Glob string // relative to it, as in path.Match
}

// Files lists the files that match, sorted. None is an error.
func (p Pattern) Files() ([]string, error) {
	// fs.Glob does not climb: what has no special characters goes before.
	parts := strings.Split(p.Glob, "/")
	n := slices.IndexFunc(parts, func(s string) bool { return strings.ContainsAny(s, `*?[\`) })
	if n < 0 {
		n = len(parts) - 1
	}
	root := filepath.Join(p.Dir, filepath.Join(parts[:n]...))
	names, err := fs.Glob(os.DirFS(root), path.Join(parts[n:]...))
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("no such file below %s", root)
	}
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", quote(p.Glob), err)
	}
	slices.Sort(names)
	for i, name := range names {
		names[i] = filepath.Join(root, filepath.FromSlash(name))
	}
	return names, nil
}

// toolchainOf reads [toolchain]; dir is the lock's folder.
func toolchainOf(t table, dir string) Toolchain {
	return Toolchain{
		OTP:     toolOf(t, ToolOTP, dir),
		Elixir:  toolOf(t, ToolElixir, dir),
		OpenSSL: toolOf(t, ToolOpenSSL, dir),
		Hex:     toolOf(t, ToolHex, dir),
		Rebar3:  toolOf(t, ToolRebar3, dir),
	}
}

func toolOf(toolchain table, tool, dir string) ToolSpec {
	t := toolchain.sub(tool)
	s := ToolSpec{Tool: tool, Version: t.text("version", ""), From: t.text("from", toolchain.text("from", FromDebian))}
	if s.From != FromSource {
		return s
	}
	if s.Sources = t.list("sources"); s.Sources == nil {
		s.Sources = toolchain.list("sources")
	}
	if s.Sources == nil {
		s.Sources = defaultPlaces()
	}
	s.URL = t.text("url", "")
	if f := t.file("path"); f.path != "" {
		s.Path = File{Path: f.path, Rel: relative(dir, f.path)}
	}
	if hex := t.text("sha256", ""); hex != "" {
		s.Digest = digest.NewDigestFromEncoded(digest.SHA256, hex)
	}
	refs, _ := t["patches"].([]fileRef)
	for _, ref := range refs {
		s.Patches = append(s.Patches, Pattern{Dir: ref.dir, Glob: ref.written})
	}
	s.Configure, s.Without, s.Packages = t.list("configure"), t.list("without"), t.list("packages")
	s.CFlags, s.LDFlags = t.text("cflags", ""), t.text("ldflags", "")
	if tool == ToolOpenSSL {
		s.Link = t.text("link", LinkDynamic)
	}
	return s
}

// relative is a path as seen from a folder. Both are as manifests were named:
// one of them may be absolute and the other not, and then there is no way.
func relative(dir, path string) string {
	rel, err := filepath.Rel(dir, path)
	if err != nil {
		rel = path
	}
	return filepath.ToSlash(rel)
}

// checkToolchain finds what is wrong with tools as a whole; written is what the
// manifest has of them.
func checkToolchain(t Toolchain, written table, fail func(string, error)) {
	for _, s := range t.All() {
		at := joinKey("toolchain", s.Tool)
		missing := map[string]string{
			ToolOTP: `missing: the version of Erlang/OTP, such as "27.3.4.1"`, ToolElixir: `missing: the version of Elixir, such as "1.18.3"`,
		}[s.Tool]
		has := written.sub(s.Tool)
		switch {
		case s.Version != "":
		case missing != "":
			fail(at, errors.New(missing))
		case has != nil:
			fail(joinKey(at, "version"), errors.New("missing: which version to take"))
		}
		if s.From == FromSource {
			checkSpec(at, s, fail)
			continue
		}
		for _, key := range has.names() {
			if key != "version" && key != "from" {
				fail(joinKey(at, key), errors.New(`needs from = "source" for the tool: it is a package of Debian's now`))
			}
		}
	}
	if t.OpenSSL.FromSource() && t.OTP.From != FromSource {
		fail("toolchain.openssl.from", errors.New(`"source" needs from = "source" for otp as well: Debian's OTP links with Debian's OpenSSL`))
	}
}

// checkSpec finds what is wrong with a tool from source.
func checkSpec(at string, s ToolSpec, fail func(string, error)) {
	if len(s.Sources) == 0 {
		fail(joinKey(at, "sources"), errors.New(`empty: leave it out to look upstream, then in Debian`))
	}
	switch {
	case s.URL != "" && s.Path.Path != "":
		fail(joinKey(at, "path"), errors.New("url says where the source is, too: want one of them"))
	case s.URL != "" && s.Digest == "":
		fail(joinKey(at, "sha256"), errors.New("missing: the digest of the file at url"))
	case s.URL == "" && s.Path.Path == "" && s.Digest != "":
		fail(joinKey(at, "sha256"), errors.New("only goes with url or path"))
	case s.Path.Path != "" && !sourceForm.MatchString(path.Base(s.Path.Rel)):
		fail(joinKey(at, "path"), fmt.Errorf("%s: want a .tar.gz or .tar.xz", quote(s.Path.Rel)))
	case s.Path.Path != "" && checkRelative(s.Path.Rel) != nil:
		fail(joinKey(at, "path"), checkRelative(s.Path.Rel))
	}
}
