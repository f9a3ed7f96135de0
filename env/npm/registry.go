package npm

import (
	"context"
	_ "crypto/sha512" // digests of this algorithm
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/fetch"
)

// maxMetadata bounds what a registry says of one version.
const maxMetadata = 4 << 20

// Registry is where npm packages are fetched.
type Registry struct {
	Base string // or "": Ask says it, if not nil and if anybody needs it
	Ask  func() (string, error)
}

// ErrNoRegistry says that nobody knows of an npm registry.
var ErrNoRegistry = errors.New("no npm registry is known: set RETORT_NPM_REGISTRY, or registry in ~/.npmrc")

// CheckBase refuses an address that no registry can have.
func CheckBase(base string) error {
	u, err := url.Parse(base)
	if err != nil {
		return errors.New("the address of the npm registry is no URL") // it may hold a password
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("npm registry %s: want an http or https URL without query", u.Redacted())
	}
	return nil
}

func (r Registry) base() (string, error) {
	base := r.Base
	if base == "" && r.Ask != nil {
		var err error
		if base, err = r.Ask(); err != nil {
			return "", err
		}
	}
	if base == "" {
		return "", ErrNoRegistry
	}
	return strings.TrimRight(base, "/") + "/", CheckBase(base)
}

// Locate returns where to fetch what a lock or manifest says is at an address,
// the best place first. What a package-lock.json took from a registry may be at
// this one, too: it is known by its digest.
func (r Registry) Locate(address string) ([]string, error) {
	if rest, ok := strings.CutPrefix(address, env.NPM); ok {
		base, err := r.base()
		return []string{base + rest}, err
	}
	if m := registryForm.FindStringSubmatch(address); m != nil && r.Base != "" {
		if here := strings.TrimRight(r.Base, "/") + "/" + m[1]; here != address {
			return []string{here, address}, nil
		}
	}
	return []string{address}, nil
}

// The path of a tarball at a registry, and an address that ends in one.
var (
	tarballForm  = regexp.MustCompile(`^((?:@[^/]+/)?([^/@]+))/-/([^/]+)\.tgz$`)
	registryForm = regexp.MustCompile(`^https?://[^/]+/(?:.*?/)??((?:@[^/]+/)?[^/@]+/-/[^/]+\.tgz)$`)
)

// PackageAt reads name and version out of the address of a tarball at the npm
// registry; false for any other address.
func PackageAt(address string) (name, version string, ok bool) {
	rest, ok := strings.CutPrefix(address, env.NPM)
	m := tarballForm.FindStringSubmatch(rest)
	if !ok || m == nil {
		return "", "", false
	}
	version, ok = strings.CutPrefix(m[3], m[2]+"-")
	return m[1], version, ok
}

// tarballOf is the address of a package's tarball at the registry.
func tarballOf(name, version string) string {
	_, base, scoped := strings.Cut(name, "/")
	if !scoped {
		base = name
	}
	return env.NPM + name + "/-/" + base + "-" + version + ".tgz"
}

// Integrity asks for the sha512 that the registry names for a version: "" if
// it names none, as for versions from before 2017.
func (r Registry) Integrity(ctx context.Context, client *fetch.Client, name, version string) (digest.Digest, error) {
	base, err := r.base()
	if err != nil {
		return "", err
	}
	var body fetch.Buffer
	_, err = client.Get(ctx, fetch.Request{URLs: []string{base + name + "/" + version}, MaxSize: maxMetadata}, &body)
	if err == nil {
		var d digest.Digest
		if d, err = parseMetadata(body.Bytes(), name, version); err == nil {
			return d, nil
		}
	}
	return "", fmt.Errorf("ask the npm registry for %s@%s: %w", name, version, err)
}

// parseMetadata reads what a registry says of a version.
func parseMetadata(data []byte, name, version string) (digest.Digest, error) {
	var m struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Dist    struct {
			Integrity string `json:"integrity"`
		} `json:"dist"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return "", err
	}
	if m.Name != name || m.Version != version {
		return "", fmt.Errorf("the answer is about %.100q, version %.100q", m.Name, m.Version)
	}
	if m.Dist.Integrity == "" {
		return "", nil
	}
	return parseIntegrity(m.Dist.Integrity)
}

// parseIntegrity returns the sha512 of a subresource integrity: words of an
// algorithm, a dash and a hash in base64, perhaps with options after "?".
func parseIntegrity(s string) (digest.Digest, error) {
	const size = 64
	if len(s) > 4096 {
		return "", errors.New("integrity longer than 4096 bytes")
	}
	for word := range strings.FieldsSeq(s) {
		word, _, _ = strings.Cut(word, "?")
		text, ok := strings.CutPrefix(word, "sha512-")
		if !ok {
			continue
		}
		sum, err := base64.StdEncoding.Strict().DecodeString(text)
		if err != nil || len(sum) != size {
			return "", fmt.Errorf("integrity %.120q: not a sha512", word)
		}
		return digest.NewDigestFromBytes(digest.SHA512, sum), nil
	}
	if strings.HasPrefix(s, "sha1-") {
		return "", errors.New("integrity is a sha1, which proves nothing")
	}
	return "", fmt.Errorf("integrity %.120q has no sha512", s)
}
