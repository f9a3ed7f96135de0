package upstream

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/fetch"
)

// MaxTarball bounds a source release, whose size nobody publishes.
const MaxTarball = 512 << 20

// Client asks the upstream services. It is safe for concurrent use, and asks
// for each list of versions once.
type Client struct {
	Fetch *fetch.Client // must be set
	Bases Bases
	// OpenSSLKeys are OpenPGP keys, armored, to trust for OpenSSL instead of the
	// embedded ones; nil means these.
	OpenSSLKeys [][]byte

	mu    sync.Mutex
	lists map[string]*list
}

// Release is the source of one version of a tool.
type Release struct {
	Tool, Version string
	URL           string        // names no host; see Client.Locate
	Digest        digest.Digest // as upstream publishes it; "" where it publishes none
	Size          int64         // 0: upstream publishes none
	// Commit is what an archive of a tag must say that it is made of; "" for
	// other tarballs.
	Commit string
	// Signers are the fingerprints of the trusted keys that the published
	// signature claims to be by. Only Verify shows that it is.
	Signers []string
	// Note says what vouches for the bytes once Verify has passed, and what does
	// not.
	Note string

	signature *signature
}

// maxUnpublished is how many tags are passed over that have no tarball: the one
// of a release is uploaded an hour or more after its tag is set.
const maxUnpublished = 3

// Find looks for a release of a tool: the version that want names, or else the
// newest that want is the beginning of, candidates left out. The error is a
// *VersionError if there is none, and a *SignatureError or *MismatchError if what
// is published is not to be trusted: another source must not be taken silently
// then. Any other says why there was no answer.
func (c *Client) Find(ctx context.Context, toolName, want string) (Release, error) {
	t := tools[toolName]
	if t == nil {
		return Release{}, fmt.Errorf("look for %s: no tool with source releases: want one of %v", toolName, Tools())
	}
	r, err := c.find(ctx, t, want)
	var none *VersionError
	if errors.As(err, &none) {
		return Release{}, none
	} else if err != nil {
		return Release{}, fmt.Errorf("look for %s %s upstream: %w", t.name, want, err)
	}
	return r, nil
}

func (c *Client) find(ctx context.Context, t *tool, want string) (Release, error) {
	// Where the release itself says all, an exact version needs no list.
	if t.publishes() && t.exact.MatchString(want) {
		r, err := c.release(ctx, t, want, nil)
		if !isUnpublished(err) {
			return r, err
		}
	}
	l, err := c.list(ctx, t)
	if err != nil {
		return Release{}, err
	}
	versions := l.versions
	var gone error
	for range maxUnpublished {
		version, ok := env.NewestMatching(versions, want)
		if !ok {
			break
		}
		r, err := c.release(ctx, t, version, l)
		if !isUnpublished(err) {
			return r, err
		}
		if version == want {
			return Release{}, fmt.Errorf("%w: take another version, or %s", err, ownTarball)
		}
		gone = err
		versions = without(versions, version)
	}
	if gone != nil {
		return Release{}, fmt.Errorf("%w: name another version exactly, or %s", gone, ownTarball)
	}
	return Release{}, &VersionError{Tool: t.name, Want: want, Nearest: env.Nearest(l.versions, want), Available: l.versions}
}

// publishes says whether the project uploads tarballs, instead of leaving it at
// the archives that GitHub makes of tags.
func (t *tool) publishes() bool { return t.name == "otp" || t.name == "openssl" }

// release asks for what is published along with a version. The error is an
// *unpublishedError if there is no tarball.
func (c *Client) release(ctx context.Context, t *tool, version string, l *list) (Release, error) {
	switch t.name {
	case "otp":
		return c.otp(ctx, t, version)
	case "openssl":
		return c.openSSL(ctx, version)
	}
	return c.tagged(t, version, l)
}

// get fetches a small file.
func (c *Client) get(ctx context.Context, urls []string, limit int64) ([]byte, error) {
	var body fetch.Buffer
	_, err := c.Fetch.Get(ctx, fetch.Request{URLs: urls, MaxSize: limit}, &body)
	return body.Bytes(), err
}

// file fetches what belongs to a release; false if no place has it.
func (c *Client) file(ctx context.Context, address string, limit int64) ([]byte, bool, error) {
	urls, err := c.Locate(address)
	if err != nil {
		return nil, false, err
	}
	data, err := c.get(ctx, urls, limit)
	var gone *fetch.NotFoundError
	if errors.As(err, &gone) {
		return nil, false, nil
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, advice)
	}
	return data, err == nil, err
}

// served returns an *unpublishedError if no place has a tarball.
func (c *Client) served(ctx context.Context, t *tool, version, address string) error {
	urls, err := c.Locate(address)
	if err != nil {
		return err
	}
	err = c.Fetch.Served(ctx, fetch.Request{URLs: urls})
	var gone *fetch.NotFoundError
	if errors.As(err, &gone) {
		return &unpublishedError{tool: t.name, version: version, err: gone}
	}
	if err != nil {
		return fmt.Errorf("%w: %s", err, advice)
	}
	return nil
}
