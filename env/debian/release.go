package debian

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/opencontainers/go-digest"
)

// Release is what the signed text of an InRelease file says.
type Release struct {
	Suite, Codename string
	Date            time.Time
	ValidUntil      time.Time // zero for none
	ByHash          bool      // files are also served under their digests
	AllApart        bool      // packages of architecture "all" have an index of their own
	Architectures   []string
	Files           map[string]File // by path below the suite's directory
	Signers         []string        // fingerprints of the keys that signed, sorted
	Digest          digest.Digest   // of the InRelease file as served
}

// File is a file that a Release vouches for.
type File struct {
	Digest digest.Digest
	Size   int64
}

// clockSkew is how far the archive's clock may be ahead of this machine's.
const clockSkew = 24 * time.Hour

// ParseInRelease verifies an InRelease file against a keyring (nil means
// Debian's own) and reads it. It checks the signature, not whether the release
// is fresh or the one that was asked for: see Release.Check.
func ParseInRelease(name string, data, keys []byte, now time.Time) (*Release, error) {
	ring, err := keyring(keys)
	if err != nil {
		return nil, err
	}
	return parseInRelease(name, data, ring, now)
}

func parseInRelease(name string, data []byte, ring openpgp.EntityList, now time.Time) (*Release, error) {
	text, signers, err := verifySigned("InRelease of "+name, data, ring, now)
	if err != nil {
		return nil, err
	}
	r, err := parseRelease(text)
	if err != nil {
		return nil, fmt.Errorf("parse InRelease of %s: %w", name, err)
	}
	r.Signers, r.Digest = signers, digest.FromBytes(data)
	return r, nil
}

// parseRelease reads the signed text, which is a single paragraph.
func parseRelease(text []byte) (*Release, error) {
	in := newParagraphs(bytes.NewReader(text))
	fields := make(map[string]*[]byte)
	err := in.next(func(name []byte) *[]byte {
		switch string(name) {
		case "suite", "codename", "date", "valid-until", "acquire-by-hash", "architectures", "no-support-for-architecture-all", "sha256":
			v := fields[string(name)]
			if v == nil {
				v = new([]byte)
				fields[string(name)] = v
			}
			return v
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := in.next(func([]byte) *[]byte { return nil }); err != io.EOF {
		return nil, errors.New("more than one paragraph")
	}
	get := func(name string) string {
		if v := fields[name]; v != nil {
			return string(*v)
		}
		return ""
	}
	r := &Release{
		Suite: get("suite"), Codename: get("codename"),
		ByHash:        get("acquire-by-hash") == "yes",
		Architectures: strings.Fields(get("architectures")),
	}
	r.AllApart = slices.Contains(r.Architectures, "all") && get("no-support-for-architecture-all") != "Packages"
	if r.Date, err = parseDate(get("date")); err != nil {
		return nil, fmt.Errorf("date: %w", err)
	}
	if s := get("valid-until"); s != "" {
		if r.ValidUntil, err = parseDate(s); err != nil {
			return nil, fmt.Errorf("valid-until: %w", err)
		}
	}
	r.Files, err = parseFiles(get("sha256"))
	return r, err
}

func parseFiles(list string) (map[string]File, error) {
	files := make(map[string]File)
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 3 || !isPoolPath(f[2]) {
			return nil, fmt.Errorf("sha256: line %q is malformed", strings.TrimSpace(line))
		}
		size, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil || size < 0 {
			return nil, fmt.Errorf("sha256: size %q of %s", f[1], f[2])
		}
		d, err := parseDigest(f[0])
		if err != nil {
			return nil, fmt.Errorf("sha256: %s: %w", f[2], err)
		}
		if _, twice := files[f[2]]; twice {
			return nil, fmt.Errorf("sha256: %s stands twice", f[2])
		}
		files[f[2]] = File{Digest: d, Size: size}
	}
	if len(files) == 0 {
		return nil, errors.New("sha256: no files")
	}
	return files, nil
}

// parseDate reads the date of a Release, which is always in UTC.
func parseDate(s string) (time.Time, error) {
	for _, form := range []string{"Mon, _2 Jan 2006 15:04:05", "Mon, 02 Jan 2006 15:04:05"} {
		for _, zone := range []string{" UTC", " GMT", " +0000", " Z"} {
			if head, ok := strings.CutSuffix(s, zone); ok {
				if t, err := time.Parse(form, head); err == nil {
					return t, nil
				}
			}
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date in UTC", s)
}

// Wanted is what a Release is checked against.
type Wanted struct {
	Name         string    // of the suite: must be its Codename or its Suite
	Now          time.Time // must not be after Valid-Until
	AllowExpired bool
	NotBefore    time.Time // the Date of the release seen last; zero is none
}

// ExpiredError says that an index is past the date up to which it is valid.
type ExpiredError struct {
	Suite string
	Since time.Time
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("InRelease of %s expired on %s: the mirror is behind, or holds updates back", e.Suite, e.Since.UTC().Format(time.RFC3339))
}

// RollbackError says that an index is older than the one seen before.
type RollbackError struct {
	Suite     string
	Seen, Got time.Time
}

func (e *RollbackError) Error() string {
	return fmt.Sprintf("InRelease of %s is of %s, but the lock was made with that of %s: the mirror went back in time",
		e.Suite, e.Got.UTC().Format(time.RFC3339), e.Seen.UTC().Format(time.RFC3339))
}

// Check says whether the release is the wanted one and fresh.
func (r *Release) Check(w Wanted) error {
	switch {
	case w.Name != r.Codename && w.Name != r.Suite:
		return fmt.Errorf("InRelease of %s: it is of %s (%s)", w.Name, r.Codename, r.Suite)
	case r.Date.After(w.Now.Add(clockSkew)):
		return fmt.Errorf("InRelease of %s: its date %s lies in the future", w.Name, r.Date.UTC().Format(time.RFC3339))
	case r.Date.Before(w.NotBefore):
		return &RollbackError{Suite: w.Name, Seen: w.NotBefore, Got: r.Date}
	case !r.ValidUntil.IsZero() && w.Now.After(r.ValidUntil) && !w.AllowExpired:
		return &ExpiredError{Suite: w.Name, Since: r.ValidUntil}
	}
	return nil
}

// serves says whether the release has packages of an architecture.
func (r *Release) serves(arch string) bool {
	return len(r.Architectures) == 0 || slices.Contains(r.Architectures, arch)
}
