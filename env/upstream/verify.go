package upstream

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"
)

// Verify reads a tarball to its end and checks all that upstream published of
// it: the sha256, the signature, the commit. The error is a *MismatchError or a
// *SignatureError, or the reader's.
func (r Release) Verify(tarball io.Reader) error {
	hash := digest.SHA256.Hash()
	content := &failing{r: io.TeeReader(tarball, hash)}
	var err error
	switch {
	case r.signature != nil:
		err = r.signature.check(content)
	case r.Commit != "":
		err = CheckArchive(content, r.Commit)
	}
	if _, rerr := io.Copy(io.Discard, content); rerr != nil {
		return fmt.Errorf("read source of %s %s: %w", r.Tool, r.Version, rerr)
	}
	// A wrong sum says more than a signature that does not fit then.
	if got := digest.NewDigest(digest.SHA256, hash); r.Digest != "" && got != r.Digest {
		return &MismatchError{Tool: r.Tool, Version: r.Version, What: "sha256", Want: r.Digest.Encoded(), Got: got.Encoded(), Source: "upstream"}
	}
	var wrong *MismatchError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		wrong.Tool, wrong.Version = r.Tool, r.Version
		return wrong
	case r.signature != nil:
		return &SignatureError{Tool: r.Tool, Version: r.Version, Reason: fmt.Sprintf("key %s: %v", r.signature.signer, err)}
	}
	return fmt.Errorf("source of %s %s: %w", r.Tool, r.Version, err)
}

// failing keeps an error of the reader below, so that it is not taken for one of
// what was read.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.r.Read(p)
	f.err = err
	return n, err
}

// maxUnpacked bounds what an archive unpacks to.
const maxUnpacked = 4 << 30

// CheckArchive reads an archive that git made, as GitHub does of a tag, and
// returns a *MismatchError unless it says that it is of a commit. The archive says
// so of itself: whether its files are the commit's is another matter.
func CheckArchive(archive io.Reader, commit string) error {
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return fmt.Errorf("not a gzip file: %w", err)
	}
	limited := &io.LimitedReader{R: unzipped, N: maxUnpacked}
	entries := tar.NewReader(limited)
	header, err := entries.Next()
	if err != nil {
		return fmt.Errorf("not an archive of a tag: %w", err)
	}
	got := ""
	if header.Typeflag == tar.TypeXGlobalHeader {
		got = header.PAXRecords["comment"]
	}
	if got != commit || commit == "" {
		return &MismatchError{What: "commit", Want: commit, Got: fmt.Sprintf("%.64s", got), Source: "the tag"}
	}
	// The sum that gzip carries is the only one there is: read up to it.
	for err == nil {
		_, err = entries.Next()
	}
	if err == io.EOF {
		_, err = io.Copy(io.Discard, limited)
	}
	if limited.N == 0 {
		err = fmt.Errorf("it unpacks to more than %d bytes", int64(maxUnpacked))
	}
	if err != nil {
		return fmt.Errorf("archive is broken: %w", err)
	}
	return nil
}
