package env

import "github.com/opencontainers/go-digest"

// LockVersion is the format version which this program reads and writes.
const LockVersion = 1

// Lock is what a manifest resolved to: every input by digest, for every
// platform. Its canonical bytes are toolchain.lock. It names no mirror host.
type Lock struct {
	// Manifest is Manifest.LockDigest of the manifest that was resolved. A
	// lock whose digest differs from the manifest's is stale.
	Manifest digest.Digest
	// Suites record which signed indices the packages were taken from, sorted
	// by archive, then name.
	Suites []Suite
	// Plugins are the rebar3 plugins of the manifest and what they need,
	// sorted by name. A name is unique.
	Plugins []HexPin
	// Tools are the standalone programs of [assets.tools], sorted by platform,
	// then name. A name is unique within a platform.
	Tools []Tool
	// Sources are the source releases of the tools that are compiled, sorted by
	// tool, then want. The two are unique.
	Sources []Source
	// Sets name, for each platform, the root packages of each package set:
	// "toolchain", "image", "nif.NAME.build", "nif.NAME.runtime". Roots are
	// sorted.
	Sets map[Platform]map[string][]string
	// Packages are the Debian packages, sorted by platform, then name. A name
	// is unique within a platform.
	Packages []Package
}

// Suite is one Debian archive suite as it stood when the lock was made.
type Suite struct {
	Archive   string        // "debian" or "debian-security"
	Name      string        // "trixie", "trixie-updates", "trixie-security"
	Date      string        // Release Date, RFC 3339 in UTC
	InRelease digest.Digest // of the InRelease file as served
	Signers   []string      // fingerprints of the keys whose signatures verified, sorted
}

// HexPin is one pinned package of a Hex repository.
type HexPin struct {
	Name    string
	Version string
	Repo    string        // "hexpm", or a repository of the manifest
	Inner   digest.Digest // of VERSION, metadata.config and contents.tar.gz in turn
	Outer   digest.Digest // of the tarball
}

// Package is one pinned Debian binary package.
type Package struct {
	Platform     Platform
	Name         string
	Version      string // Debian version, epoch included
	Architecture string // "amd64", "arm64" or "all"
	Source       string // source package name
	Suite        string // Suite.Name it was taken from
	Archive      string // Suite.Archive
	Path         string // below the archive's root: pool/main/...
	Size         int64  // bytes of the .deb
	Digest       digest.Digest
	Depends      []string // names of packages of this lock and platform that satisfy its Pre-Depends and Depends, sorted
}

// Closure returns the packages of a platform that the named roots need, roots
// included, in lock order. A root that the lock lacks is an error.
func (l *Lock) Closure(p Platform, roots ...string) ([]Package, error) {
	return l.Selection(p, roots, nil)
}

// Selection is the closure of roots, and the bare packages as if they depended
// on nothing: what only these depend on is not in it.
func (l *Lock) Selection(p Platform, roots, bare []string) ([]Package, error) {
	return selection(l.Packages, p, roots, bare)
}
