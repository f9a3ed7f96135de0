package debian

import (
	"context"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/fetch"
)

// Archive is where packages come from and what makes them trusted.
type Archive struct {
	Mirrors Mirrors
	Fetch   *fetch.Client // nil is a Client with defaults
	Cache   Cache         // of package indices; nil keeps none
	Keyring []byte        // OpenPGP keys, armored or not, that replace the embedded ones; nil keeps those
	// Progress is told how many bytes of indices arrived since it was last
	// called, from several goroutines. nil is allowed.
	Progress func(n int64)
}

// Cache keeps bytes by digest between runs. Save may be called at once from
// several goroutines; what Load returns is verified before use.
type Cache interface {
	// Load returns an error that matches fs.ErrNotExist when it has no such bytes.
	Load(ctx context.Context, d digest.Digest) ([]byte, error)
	Save(ctx context.Context, d digest.Digest, b []byte) error
}

// Request is what a lock is to be made for.
type Request struct {
	Manifest  digest.Digest  // goes into the lock
	Suite     string         // code name of the base suite: "trixie", "sid"
	Platforms []env.Platform // none means those of Sets
	// Components are the parts of the archive to choose from; none is "main".
	Components []string
	// Sets are, for each platform, named lists of requirements as Debian
	// writes a dependency: "gcc", "erlang-base (>= 1:27)", "a | b".
	Sets map[env.Platform]map[string][]string
	// Bare names sets whose packages are pinned without what they depend on,
	// as they are only unpacked: an image takes a package's files, and the
	// libraries of those by itself. A package that another set needs as well,
	// be it by way of others, keeps its dependencies.
	Bare []string
	// Essential adds a set "essential" of the suite's essential packages.
	Essential bool
	// Tools demands upstream versions, or beginnings of them, of "otp",
	// "elixir", "hex", "rebar3" or "openssl" as the suite packages them (see
	// ToolPackage and Fits).
	Tools map[string]string
	// Previous is a lock whose pins stay wherever they still can.
	Previous *env.Lock
	// Update names packages, source packages or tools that move from their pins
	// in Previous to the newest versions, with all packages of their sources.
	Update []string
	// UpdateAll keeps no pin: Previous then only guards against mirrors that go
	// back in time, and is what Moved compares with.
	UpdateAll bool
	// Have says whether the bytes of a pin are at hand, which then needs no
	// mirror. nil has none.
	Have func(digest.Digest) bool
	// AllowExpired names suites whose index may be past its Valid-Until.
	AllowExpired []string
	// Snapshot resolves as of that instant; zero is as the mirror stands.
	Snapshot time.Time
	// Now is the time against which Valid-Until is checked. It must be set.
	Now time.Time
}

// Result is a lock, and what the user should know about it.
type Result struct {
	Lock    env.Lock
	Moved   []Moved  // against Request.Previous, by platform and name
	Skew    []Skew   // versions that differ between platforms
	Missing []string // optional suites that no mirror has, as "trixie-updates"
}

// Moved is a package whose pin changed. From or To is "" for a package that
// came or went.
type Moved struct {
	Platform env.Platform
	Name     string
	From, To string
}

// Skew is a source package that has not the same version on every platform.
type Skew struct {
	Source   string
	Versions map[env.Platform]string
}
