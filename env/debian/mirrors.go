package debian

import (
	"errors"

	"github.com/retort-build/retort/env"
)

// Mirrors says where the archives are reached. The zero value knows the
// snapshot service alone.
type Mirrors struct {
	// Archive gives for "debian" and "debian-security" the base URLs, best
	// first. Without an entry for "debian-security", siblings of the bases of
	// "debian" are tried.
	Archive map[string][]string
	// Snapshot is the base of a service that keeps old states at
	// /<archive>/<YYYYMMDDTHHMMSSZ>/; "" is snapshot.debian.org, "none" none.
	Snapshot string
}

// FromBase reads a mirror's base URL as RETORT_DEBIAN_MIRROR gives it: the
// archives are its /debian and /debian-security, or it is itself the main
// archive when it ends with /debian.
func FromBase(base string) (Mirrors, error) { return Mirrors{}, errors.ErrUnsupported }

// FromAPT reads the mirrors of Debian suites from the APT sources of the
// system below root ("/" for this machine).
func FromAPT(root string) (Mirrors, error) { return Mirrors{}, errors.ErrUnsupported }

// Then returns m with other's bases after its own.
func (m Mirrors) Then(other Mirrors) Mirrors { return m }

// Candidates returns the URLs at which a package may be served, in the order
// in which to try them: mirrors first, then the snapshot service at the time
// of the suite that the package was taken from.
func (m Mirrors) Candidates(p env.Package, suites []env.Suite) []string { return nil }
