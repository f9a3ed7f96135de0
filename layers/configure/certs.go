package configure

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the hash that OpenSSL names links by
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/retort-build/retort/internal/tarball"
)

const (
	certsConf  = "/etc/ca-certificates.conf"
	certsDir   = "/usr/share/ca-certificates"
	localCerts = "/usr/local/share/ca-certificates"
	etcCerts   = "/etc/ssl/certs"
	bundleName = "ca-certificates.crt"
)

// cmdUpdateCertificates makes the bundle of trusted certificates, a link for
// each and the links that OpenSSL finds them by.
func cmdUpdateCertificates(_ context.Context, c *call) int {
	conf, err := c.v.readFile(certsConf)
	if err != nil {
		return c.fail("%v", err)
	}
	var trusted []string
	for _, l := range lines(conf) {
		if l == "" || l[0] == '#' || l[0] == '!' {
			continue
		}
		p := path.Join(certsDir, path.Clean("/"+l))
		if !c.v.exists(p) {
			fmt.Fprintf(c.stderr, "W: %s not found, but listed in %s.\n", p, certsConf)
			continue
		}
		trusted = append(trusted, p)
	}
	local := c.filesBelow([]string{localCerts})
	slices.Sort(local)
	for _, p := range local {
		if strings.HasSuffix(p, ".crt") {
			trusted = append(trusted, p)
		}
	}
	if err := c.trust(trusted); err != nil {
		return c.fail("%v", err)
	}
	return 0
}

func (s *session) trust(files []string) error {
	if err := s.v.mkdirAll(etcCerts, 0o755); err != nil {
		return err
	}
	var bundle bytes.Buffer
	for _, p := range files {
		b, err := s.v.readFile(p)
		if err != nil {
			return err
		}
		bundle.Write(b)
		if len(b) > 0 && b[len(b)-1] != '\n' {
			bundle.WriteByte('\n')
		}
		name := strings.NewReplacer(" ", "_", "(", "=", ")", "=", ",", "_").Replace(strings.TrimSuffix(path.Base(p), ".crt")) + ".pem"
		if err := s.v.symlink(p, path.Join(etcCerts, name), true); err != nil {
			return err
		}
	}
	if err := s.rehash(etcCerts); err != nil {
		return err
	}
	return s.v.install(path.Join(etcCerts, bundleName), bundle.Bytes(), 0o644)
}

// rehash makes the links HASH.N of a directory of certificates, as openssl
// rehash does: in order of file names, one for each distinct certificate.
func (s *session) rehash(dir string) error {
	names, err := s.v.list(dir)
	if err != nil {
		return err
	}
	type entry struct {
		name string
		sum  [32]byte
	}
	byHash := make(map[string][]entry)
	for _, name := range names {
		switch path.Ext(name) {
		case ".pem", ".crt", ".cer", ".crl":
		default:
			continue
		}
		b, err := s.v.readFile(path.Join(dir, name))
		if err != nil {
			continue // a link that leads nowhere
		}
		der, ok := onlyCertificate(b)
		if !ok {
			continue
		}
		h, err := subjectHash(der)
		if err != nil {
			return fmt.Errorf("certificate %s: %w", name, err)
		}
		sum := sha256.Sum256(der)
		if !slices.ContainsFunc(byHash[h], func(e entry) bool { return e.sum == sum }) {
			byHash[h] = append(byHash[h], entry{name, sum})
		}
	}
	for h, entries := range byHash {
		for i, e := range entries {
			link := path.Join(dir, fmt.Sprintf("%s.%d", h, i))
			if n, err := s.v.find(link, false); err == nil && n.kind != tarball.Symlink {
				continue
			}
			if err := s.v.symlink(e.name, link, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// onlyCertificate returns the certificate of a file that holds just one.
func onlyCertificate(b []byte) ([]byte, bool) {
	var der []byte
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return der, der != nil
		}
		if block.Type != "CERTIFICATE" && block.Type != "X509 CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		if der != nil {
			return nil, false
		}
		der = block.Bytes
	}
}

// subjectHash is OpenSSL's X509_NAME_hash: the first four bytes, little
// endian, of the SHA-1 of the subject's canonical encoding.
func subjectHash(der []byte) (string, error) {
	cert, err := x509.ParseCertificate(der)
	var raw []byte
	if err == nil {
		raw = cert.RawSubject
	} else if raw, err = rawSubject(der); err != nil {
		return "", err
	}
	canonical, err := canonicalName(raw)
	if err != nil {
		return "", err
	}
	sum := sha1.Sum(canonical)
	return fmt.Sprintf("%08x", binary.LittleEndian.Uint32(sum[:])), nil
}

// rawSubject finds the subject of a certificate that Go's stricter parser
// refuses, as it does old roots.
func rawSubject(der []byte) ([]byte, error) {
	var cert struct {
		TBS struct {
			Version   int `asn1:"optional,explicit,default:0,tag:0"`
			Serial    asn1.RawValue
			Algorithm asn1.RawValue
			Issuer    asn1.RawValue
			Validity  asn1.RawValue
			Subject   asn1.RawValue
			Key       asn1.RawValue
			IssuerID  asn1.RawValue `asn1:"optional,tag:1"`
			SubjectID asn1.RawValue `asn1:"optional,tag:2"`
			Extension asn1.RawValue `asn1:"optional,explicit,tag:3"`
		}
		Algorithm asn1.RawValue
		Signature asn1.RawValue
	}
	if _, err := asn1.Unmarshal(der, &cert); err != nil {
		return nil, err
	}
	return cert.TBS.Subject.FullBytes, nil
}

// canonicalName encodes a name as OpenSSL compares it: each relative name as a
// set, strings in UTF-8 and lower case with single spaces, no outer sequence.
func canonicalName(raw []byte) ([]byte, error) {
	var seq []asn1.RawValue
	if _, err := asn1.Unmarshal(raw, &seq); err != nil {
		return nil, err
	}
	var out []byte
	for _, set := range seq {
		var attributes [][]byte
		for rest := set.Bytes; len(rest) > 0; {
			var a struct {
				Type  asn1.ObjectIdentifier
				Value asn1.RawValue
			}
			var err error
			if rest, err = asn1.Unmarshal(rest, &a); err != nil {
				return nil, err
			}
			value := asn1.RawValue{FullBytes: a.Value.FullBytes}
			if text, ok := decodeString(a.Value); ok {
				value = asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(canonicalText(text))}
			}
			b, err := asn1.Marshal(struct {
				Type  asn1.ObjectIdentifier
				Value asn1.RawValue
			}{a.Type, value})
			if err != nil {
				return nil, err
			}
			attributes = append(attributes, b)
		}
		slices.SortFunc(attributes, bytes.Compare)
		b, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: bytes.Join(attributes, nil)})
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

// decodeString reads the string types that OpenSSL canonicalises.
func decodeString(v asn1.RawValue) (string, bool) {
	const universalString, visibleString = 28, 26
	if v.Class != asn1.ClassUniversal {
		return "", false
	}
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, visibleString:
		return string(v.Bytes), true
	case asn1.TagT61String: // OpenSSL takes it for Latin-1
		runes := make([]rune, 0, len(v.Bytes))
		for _, b := range v.Bytes {
			runes = append(runes, rune(b))
		}
		return string(runes), true
	case asn1.TagBMPString:
		var units []uint16
		for i := 0; i+1 < len(v.Bytes); i += 2 {
			units = append(units, binary.BigEndian.Uint16(v.Bytes[i:]))
		}
		return string(utf16.Decode(units)), true
	case universalString:
		var b []byte
		for i := 0; i+3 < len(v.Bytes); i += 4 {
			b = utf8.AppendRune(b, rune(binary.BigEndian.Uint32(v.Bytes[i:])))
		}
		return string(b), true
	}
	return "", false
}

// canonicalText trims, joins runs of ASCII spaces and lowers ASCII letters.
func canonicalText(s string) string {
	space := func(r rune) bool { return r < utf8.RuneSelf && strings.ContainsRune(" \t\n\v\f\r", r) }
	s = strings.Join(strings.FieldsFunc(s, space), " ")
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
