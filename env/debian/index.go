package debian

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// stanza is one package of an index. Its strings share one backing string.
type stanza struct {
	name, version, arch   string
	source, sourceVersion string
	priority              string
	essential             bool
	path                  string
	size                  int64
	digest                digest.Digest
	// The relations as they stand: they are parsed for the few packages that a
	// search comes by.
	preDepends, depends, provides, conflicts, breaks string
	suite, archive                                   string
	partial                                          bool // its dependencies are not known
}

// id names a package with its version in messages.
func (s *stanza) id() string { return s.name + " " + s.version }

// The fields of a stanza that are kept, as indices into stanzaReader.values.
const (
	fPackage = iota
	fVersion
	fArchitecture
	fSource
	fPriority
	fEssential
	fFilename
	fSize
	fSHA256
	fPreDepends
	fDepends
	fProvides
	fConflicts
	fBreaks
	fields
)

// stanzaReader reads a Packages index.
type stanzaReader struct {
	in     *paragraphs
	values [fields][]byte
	joined []byte
}

func newStanzaReader(r io.Reader) *stanzaReader { return &stanzaReader{in: newParagraphs(r)} }

// readStanzas gives every package of an index to keep, in the file's order.
func readStanzas(r io.Reader, keep func(*stanza) error) error {
	in := newStanzaReader(r)
	for {
		s, err := in.next()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := keep(s); err != nil {
			return err
		}
	}
}

func (r *stanzaReader) next() (*stanza, error) {
	for i := range r.values {
		r.values[i] = r.values[i][:0]
	}
	if err := r.in.next(r.want); err != nil {
		return nil, err
	}
	r.joined = r.joined[:0]
	for _, v := range r.values {
		r.joined = append(r.joined, v...)
	}
	all := string(r.joined)
	var v [fields]string
	for i := range r.values {
		n := len(r.values[i])
		v[i], all = all[:n], all[n:]
	}
	s, err := newStanza(&v)
	if err != nil {
		return nil, fmt.Errorf("package %q before line %d: %w", v[fPackage], r.in.line, err)
	}
	return s, nil
}

func (r *stanzaReader) want(name []byte) *[]byte {
	i := -1
	switch string(name) {
	case "package":
		i = fPackage
	case "version":
		i = fVersion
	case "architecture":
		i = fArchitecture
	case "source":
		i = fSource
	case "priority":
		i = fPriority
	case "essential":
		i = fEssential
	case "filename":
		i = fFilename
	case "size":
		i = fSize
	case "sha256":
		i = fSHA256
	case "pre-depends":
		i = fPreDepends
	case "depends":
		i = fDepends
	case "provides":
		i = fProvides
	case "conflicts":
		i = fConflicts
	case "breaks":
		i = fBreaks
	default:
		return nil
	}
	return &r.values[i]
}

// newStanza checks what everything after relies on.
func newStanza(v *[fields]string) (*stanza, error) {
	s := &stanza{
		name: v[fPackage], version: v[fVersion], arch: v[fArchitecture],
		priority: v[fPriority], essential: v[fEssential] == "yes", path: v[fFilename],
		preDepends: v[fPreDepends], depends: v[fDepends], provides: v[fProvides],
		conflicts: v[fConflicts], breaks: v[fBreaks],
		source: v[fPackage], sourceVersion: v[fVersion],
	}
	if !isName(s.name) {
		return nil, errors.New("bad name")
	}
	if err := CheckVersion(s.version); err != nil {
		return nil, err
	}
	if !isName(s.arch) {
		return nil, fmt.Errorf("bad architecture %q", s.arch)
	}
	if src := v[fSource]; src != "" {
		name, rest, versioned := strings.Cut(src, " (")
		s.source = name
		if versioned {
			s.sourceVersion = strings.TrimSuffix(rest, ")")
		}
		if !isName(s.source) || CheckVersion(s.sourceVersion) != nil {
			return nil, fmt.Errorf("bad source %q", src)
		}
	}
	if !isPoolPath(s.path) {
		return nil, fmt.Errorf("bad path %q", s.path)
	}
	var err error
	if s.size, err = strconv.ParseInt(v[fSize], 10, 64); err != nil || s.size <= 0 {
		return nil, fmt.Errorf("bad size %q", v[fSize])
	}
	if s.digest, err = parseDigest(v[fSHA256]); err != nil {
		return nil, err
	}
	return s, nil
}

// parseDigest reads a SHA-256 in lower-case hex. digest.Validate does so by a
// regular expression, which takes longer than all else of a stanza.
func parseDigest(hex string) (digest.Digest, error) {
	ok := len(hex) == 64
	for i := range len(hex) {
		ok = ok && (isDigit(hex[i]) || 'a' <= hex[i] && hex[i] <= 'f')
	}
	if !ok {
		return "", fmt.Errorf("bad digest %q", hex)
	}
	return digest.NewDigestFromEncoded(digest.SHA256, hex), nil
}

// isPoolPath accepts a clean path below an archive's root, free of what a URL
// or a shell would read as something else.
func isPoolPath(p string) bool {
	if p == "" || p[0] == '/' || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../") || p == "." {
		return false
	}
	for i := range len(p) {
		if c := p[i]; !isDigit(c) && !isLetter(c) && strings.IndexByte("/+-._~:%,@=", c) < 0 {
			return false
		}
	}
	return true
}
