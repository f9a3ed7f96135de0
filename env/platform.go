package env

import (
	"fmt"
	"strings"
)

// Platform names the machine a pin, recipe or layer is for, as OCI writes it
// (os/architecture): linux/amd64, linux/arm64, or any for bytes that are the
// same on all of them.
type Platform string

// The platforms that retort knows.
const (
	Any        Platform = "any"
	LinuxAMD64 Platform = "linux/amd64"
	LinuxARM64 Platform = "linux/arm64"
)

// Platforms lists the machine platforms in canonical order.
func Platforms() []Platform { return []Platform{LinuxAMD64, LinuxARM64} }

// ParsePlatform reads os/architecture; a bare architecture means linux.
func ParsePlatform(s string) (Platform, error) {
	p := Platform(s)
	if !strings.Contains(s, "/") {
		p = Platform("linux/" + s)
	}
	for _, known := range Platforms() {
		if p == known {
			return p, nil
		}
	}
	return "", fmt.Errorf("platform %q: want linux/amd64 or linux/arm64", s)
}

// Arch is the architecture part, in Go's, Debian's and OCI's common spelling.
func (p Platform) Arch() string {
	_, arch, _ := strings.Cut(string(p), "/")
	return arch
}

// Triplet is the GNU multiarch tuple, which Debian uses in library paths.
func (p Platform) Triplet() string {
	switch p {
	case LinuxAMD64:
		return "x86_64-linux-gnu"
	case LinuxARM64:
		return "aarch64-linux-gnu"
	}
	return ""
}
