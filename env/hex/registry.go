package hex

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rsa"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Release is one version of a package in a registry.
type Release struct {
	Version  string
	Inner    digest.Digest
	Outer    digest.Digest
	Retired  bool
	Requires []Requirement
}

// Bounds of a registry file. The largest of hex.pm, /packages/ash, has 300 KiB.
const (
	maxRegistry         = 16 << 20
	maxRegistryUnpacked = 64 << 20
	maxReleases         = 100_000
)

// ReadReleases reads a registry's file /packages/NAME as served: it checks the
// repository's signature and that the file is about that package of that
// repository, and returns its releases in the registry's order.
func ReadReleases(repo Repo, name string, body []byte) ([]Release, error) {
	out, err := readReleases(repo, name, body)
	if err != nil {
		return nil, fmt.Errorf("read registry of %s, package %s: %w", repo.Name, name, err)
	}
	return out, nil
}

func readReleases(repo Repo, name string, body []byte) ([]Release, error) {
	key, err := repo.publicKey()
	if err != nil {
		return nil, err
	}
	message, err := gunzip(body)
	if err != nil {
		return nil, err
	}
	payload, err := verified(message, key)
	if err != nil {
		return nil, err
	}
	return decodePackage(payload, repo.Name, name)
}

// signedName is what a registry calls itself: an organisation leaves out the
// repository that it is in.
func signedName(repo string) string {
	if _, organisation, ok := strings.Cut(repo, ":"); ok {
		return organisation
	}
	return repo
}

func gunzip(body []byte) ([]byte, error) {
	if len(body) > maxRegistry {
		return nil, fmt.Errorf("larger than %d bytes", maxRegistry)
	}
	zip, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(zip, maxRegistryUnpacked+1))
	if err != nil {
		return nil, err
	}
	if len(out) > maxRegistryUnpacked {
		return nil, fmt.Errorf("unpacks to more than %d bytes", maxRegistryUnpacked)
	}
	return out, nil
}

// verified returns the payload of a Signed message whose signature holds.
func verified(message []byte, key *rsa.PublicKey) ([]byte, error) {
	var payload, signature []byte
	err := fields(message, func(f field) (err error) {
		switch f.number {
		case 1:
			payload, err = f.bytes()
		case 2:
			signature, err = f.bytes()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if signature == nil {
		return nil, errors.New("not signed")
	}
	sum := sha512.Sum512(payload)
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA512, sum[:], signature); err != nil {
		return nil, errors.New("its signature is not the repository's")
	}
	return payload, nil
}

// decodePackage decodes the message Package of a repository's package.
func decodePackage(payload []byte, repo, name string) ([]Release, error) {
	var gotName, gotRepo string
	var out []Release
	err := fields(payload, func(f field) (err error) {
		switch f.number {
		case 1:
			var data []byte
			if data, err = f.bytes(); err != nil {
				return err
			}
			if len(out) == maxReleases {
				return fmt.Errorf("more than %d releases", maxReleases)
			}
			var r Release
			if r, err = decodeRelease(data, repo); err == nil {
				out = append(out, r)
			}
		case 2:
			gotName, err = f.text()
		case 3:
			gotRepo, err = f.text()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if gotRepo != signedName(repo) || gotName != name {
		return nil, fmt.Errorf("it is about package %q of %q", gotName, gotRepo)
	}
	return out, nil
}

func decodeRelease(data []byte, repo string) (Release, error) {
	var r Release
	err := fields(data, func(f field) (err error) {
		switch f.number {
		case 1:
			r.Version, err = f.text()
		case 2:
			r.Inner, err = f.sha256()
		case 3:
			var q Requirement
			if q, err = decodeRequirement(f, repo); err == nil {
				r.Requires = append(r.Requires, q)
			}
		case 4:
			r.Retired = true
		case 5:
			r.Outer, err = f.sha256()
		}
		return err
	})
	if err == nil && !semver.MatchString(r.Version) {
		err = fmt.Errorf("%q is no version", r.Version)
	}
	return r, err
}

func (f field) sha256() (digest.Digest, error) {
	if f.wire != wireBytes || len(f.data) != 32 {
		return "", errors.New("a checksum is no SHA-256")
	}
	return digest.NewDigestFromBytes(digest.SHA256, f.data), nil
}

func decodeRequirement(f field, repo string) (Requirement, error) {
	q := Requirement{Repo: repo}
	data, err := f.bytes()
	if err != nil {
		return q, err
	}
	err = fields(data, func(f field) (err error) {
		switch f.number {
		case 1:
			q.Name, err = f.text()
		case 2:
			q.Version, err = f.text()
		case 3:
			q.Optional = f.value != 0
		case 4:
			q.App, err = f.text()
		case 5:
			q.Repo, err = f.text()
		}
		return err
	})
	if q.App == "" {
		q.App = q.Name
	}
	if q.Repo == signedName(repo) {
		q.Repo = repo
	}
	if err == nil && (!packageName.MatchString(q.Name) || !appName.MatchString(q.App) || !repoName.MatchString(q.Repo)) {
		err = fmt.Errorf("requirement %q of %q is no package", q.Name, q.Repo)
	}
	return q, err
}
