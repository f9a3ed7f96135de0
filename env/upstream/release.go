package upstream

import (
	"context"
	"fmt"
	"strings"
)

// otp asks for a release of Erlang/OTP: a tarball at GitHub, with configure and
// the bootstrap in it, which the archive of the tag lacks.
func (c *Client) otp(ctx context.Context, t *tool, version string) (Release, error) {
	folder := fmt.Sprintf("%s%s/releases/download/%s/", GitHub, t.repo, t.tagOf(version))
	file := "otp_src_" + version + ".tar.gz"
	r := Release{Tool: t.name, Version: version, URL: folder + file}
	sums, ok, err := c.file(ctx, folder+"SHA256.txt", maxChecksums)
	if err != nil {
		return r, err
	}
	if ok {
		if r.Digest, err = checksumOf(sums, file); err != nil {
			return r, fmt.Errorf("read %sSHA256.txt: %w: %s", folder, err, advice)
		}
	}
	if r.Digest == "" {
		if err := c.served(ctx, t, version, r.URL); err != nil {
			return r, err
		}
		r.Note = "upstream publishes no sha256 of it, and an MD5 at best, which proves nothing: what was fetched first is taken"
		return r, nil
	}
	r.Note = "its sha256 is that of SHA256.txt, which is not signed"
	if major, _, _ := strings.Cut(version, "."); len(major) > 2 || major >= "28" {
		r.Note += "; its sigstore bundles were not read"
	}
	return r, nil
}

// openSSL asks for a release of OpenSSL. The signature is demanded: a place that
// withholds it must not be able to make do with the sha256 beside it.
func (c *Client) openSSL(ctx context.Context, version string) (Release, error) {
	t := tools["openssl"]
	file := "openssl-" + version + ".tar.gz"
	r := Release{Tool: t.name, Version: version, URL: OpenSSL + file}
	armored, ok, err := c.file(ctx, r.URL+".asc", maxSignature)
	if err != nil {
		return r, err
	}
	if !ok {
		if err := c.served(ctx, t, version, r.URL); err != nil {
			return r, err
		}
		return r, &SignatureError{Tool: t.name, Version: version, Reason: "no place that has the tarball has a signature of it"}
	}
	keys, err := c.opensslKeys()
	if err != nil {
		return r, err
	}
	if r.signature, err = readSignature(armored, keys); err != nil {
		return r, &SignatureError{Tool: t.name, Version: version, Reason: err.Error()}
	}
	r.Signers = []string{r.signature.signer}
	sums, ok, err := c.file(ctx, r.URL+".sha256", maxChecksums)
	if err != nil {
		return r, err
	}
	r.Note = "signed by OpenSSL's key " + r.signature.signer
	if !ok {
		return r, nil
	}
	if r.Digest, err = checksumOf(sums, file); err != nil {
		return r, fmt.Errorf("read %s.sha256: %w: %s", r.URL, err, advice)
	}
	return r, nil
}

// tagged is a release that is the archive of a tag.
func (c *Client) tagged(t *tool, version string, l *list) (Release, error) {
	r := Release{Tool: t.name, Version: version, URL: t.archive(version), Commit: l.commits[version]}
	tag := t.tagOf(version)
	built, isBuilt := l.builds[tag]
	if isBuilt && built != r.Commit {
		return r, &MismatchError{
			Tool: t.name, Version: version, What: "commit", Source: "builds.hex.pm", Want: built,
			Got: r.Commit + " as the tag " + tag + " at GitHub",
		}
	}
	witness := "the tag at GitHub"
	switch {
	case l.missing != nil:
		witness = "the build at builds.hex.pm (GitHub's list of tags was out of reach)"
	case isBuilt:
		witness += " and the build at builds.hex.pm"
	}
	r.Note = fmt.Sprintf("upstream publishes no sha256 of it; it says to be of commit %s, as %s; whether its files are that commit's was not checked", r.Commit, witness)
	return r, nil
}
