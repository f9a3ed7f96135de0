package upstream

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// The schemes of addresses that name no host.
const (
	GitHub    = "github:"    // what follows is a path at GitHub
	OpenSSL   = "openssl:"   // what follows is the name of a file of an OpenSSL release
	HexBuilds = "hexbuilds:" // what follows is a path at builds.hex.pm
)

// Bases are where the services are reached: an http, https or file URL each,
// with the paths of the public service below it; "" is the public one.
type Bases struct {
	GitHub    string // https://github.com
	OpenSSL   string // https://www.openssl.org: with source/ and source/old/SERIES/
	HexBuilds string // https://builds.hex.pm
}

const (
	publicGitHub    = "https://github.com"
	publicOpenSSL   = "https://www.openssl.org"
	publicHexBuilds = "https://builds.hex.pm"
)

// Check refuses bases that nothing can be fetched from.
func (b Bases) Check() error {
	for _, base := range []struct{ key, address string }{{"github", b.GitHub}, {"openssl", b.OpenSSL}, {"hex_builds", b.HexBuilds}} {
		if base.address == "" {
			continue
		}
		u, err := url.Parse(base.address)
		if err != nil || u.Opaque != "" {
			return fmt.Errorf("upstream.%s is not a URL", base.key) // it may hold a password
		}
		web := (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
		file := u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/")
		if !web && !file || u.RawQuery != "" || u.Fragment != "" {
			return fmt.Errorf("upstream.%s is %s: want an http, https or file URL without query", base.key, u.Redacted())
		}
	}
	return nil
}

func (b Bases) github(path string) string {
	return join(b.GitHub, publicGitHub, path)
}

func join(base, public, path string) string {
	if base == "" {
		base = public
	}
	return strings.TrimRight(base, "/") + "/" + path
}

var (
	pathForm = regexp.MustCompile(`^[A-Za-z0-9_.+~-]+(/[A-Za-z0-9_.+~-]+)*$`)
	fileForm = regexp.MustCompile(`^openssl-(.+)\.tar\.gz(\.asc|\.sha256)?$`)
)

// Locate returns where to fetch a Release.URL from, the best place first. An
// address without a scheme of this package is refused.
func (c *Client) Locate(address string) ([]string, error) {
	scheme, path, _ := strings.Cut(address, ":")
	if !pathForm.MatchString(path) || slices.ContainsFunc(strings.Split(path, "/"), isDots) {
		return nil, fmt.Errorf("locate %.200q: not a path at an upstream service", address)
	}
	switch scheme + ":" {
	case GitHub:
		return []string{c.Bases.github(path)}, nil
	case HexBuilds:
		return []string{join(c.Bases.HexBuilds, publicHexBuilds, path)}, nil
	case OpenSSL:
		m := fileForm.FindStringSubmatch(path)
		if m == nil || !opensslForm.MatchString(m[1]) {
			return nil, fmt.Errorf("locate %.200q: not a file of an OpenSSL release", address)
		}
		return c.openssl(m[1], path), nil
	}
	return nil, fmt.Errorf("locate %.200q: not at an upstream service", address)
}

// openssl lists the places of a release's file: the release at GitHub, then
// openssl.org, where it moves to a folder of old ones when the next comes out. A
// mirror that the user named of openssl.org alone is asked before GitHub.
func (c *Client) openssl(version, file string) []string {
	urls := []string{
		c.Bases.github("openssl/openssl/releases/download/" + opensslTag(version) + "/" + file),
		join(c.Bases.OpenSSL, publicOpenSSL, "source/"+file),
		join(c.Bases.OpenSSL, publicOpenSSL, "source/old/"+opensslSeries(version)+"/"+file),
	}
	if c.Bases.OpenSSL != "" && c.Bases.GitHub == "" {
		urls = append(urls[1:], urls[0])
	}
	return urls
}

func isDots(part string) bool { return part == "." || part == ".." }
