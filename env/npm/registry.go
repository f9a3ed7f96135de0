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

// Registry is where packages of the public npm registry are fetched.
type Registry struct {
	Base string // "" is the public one
}

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

func (r Registry) base() string {
	if r.Base == "" {
		return env.PublicNPM
	}
	return strings.TrimRight(r.Base, "/") + "/"
}

// Locate returns where to fetch what a lock or manifest says is at an address:
// there, or at this registry if the address is the public one's.
func (r Registry) Locate(address string) string {
	if rest, ok := cutPublic(address); ok {
		return r.base() + rest
	}
	return address
}

// cutPublic cuts the public registry off an address. Old locks say http.
func cutPublic(address string) (rest string, ok bool) {
	if rest, ok = strings.CutPrefix(address, env.PublicNPM); ok {
		return rest, true
	}
	return strings.CutPrefix(address, "http"+strings.TrimPrefix(env.PublicNPM, "https"))
}

// tarballForm is the path of a tarball at a registry.
var tarballForm = regexp.MustCompile(`^((?:@[^/]+/)?([^/@]+))/-/([^/]+)\.tgz$`)

// PackageAt reads name and version out of the address of a tarball at the
// public registry; false for any other address.
func PackageAt(address string) (name, version string, ok bool) {
	rest, ok := cutPublic(address)
	m := tarballForm.FindStringSubmatch(rest)
	if !ok || m == nil {
		return "", "", false
	}
	version, ok = strings.CutPrefix(m[3], m[2]+"-")
	return m[1], version, ok
}

// publicTarball is the address of a package's tarball at the public registry.
func publicTarball(name, version string) string {
	_, base, scoped := strings.Cut(name, "/")
	if !scoped {
		base = name
	}
	return env.PublicNPM + name + "/-/" + base + "-" + version + ".tgz"
}

// Integrity asks for the sha512 that the registry names for a version: "" if
// it names none, as for versions from before 2017.
func (r Registry) Integrity(ctx context.Context, client *fetch.Client, name, version string) (digest.Digest, error) {
	var body fetch.Buffer
	_, err := client.Get(ctx, fetch.Request{URLs: []string{r.base() + name + "/" + version}, MaxSize: maxMetadata}, &body)
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
