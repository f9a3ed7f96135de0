package upstream

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// The keys that OpenSSL signs its releases with; keys/README.md says whence.
var (
	//go:embed keys/openssl-2026.asc
	key2026 []byte
	//go:embed keys/openssl-2024.asc
	key2024 []byte
	//go:embed keys/openssl-2023.asc
	key2023 []byte
)

const (
	maxSignature  = 64 << 10
	maxSignatures = 16
)

// signature is a detached signature that says to be by a key which is trusted.
type signature struct {
	packet *packet.Signature
	keys   openpgp.EntityList
	signer string // fingerprint of the primary key
}

// opensslKeys are the keys to trust.
func (c *Client) opensslKeys() (openpgp.EntityList, error) {
	armored := c.OpenSSLKeys
	if armored == nil {
		armored = [][]byte{key2026, key2024, key2023}
	}
	var all openpgp.EntityList
	for _, key := range armored {
		entities, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(key))
		if err != nil {
			return nil, fmt.Errorf("read keys of OpenSSL: %w", err)
		}
		all = append(all, entities...)
	}
	return all, nil
}

// readSignature finds in a detached signature the first that names a trusted key.
func readSignature(armored []byte, keys openpgp.EntityList) (*signature, error) {
	block, err := armor.Decode(bytes.NewReader(armored))
	if err != nil {
		return nil, fmt.Errorf("not an armored signature: %w", err)
	}
	if block.Type != openpgp.SignatureType {
		return nil, fmt.Errorf("not a signature but a %.40q", block.Type)
	}
	raw, err := io.ReadAll(io.LimitReader(block.Body, maxSignature))
	if err != nil {
		return nil, fmt.Errorf("armor is broken: %w", err)
	}
	in := packet.NewReader(bytes.NewReader(raw))
	var others []string
	for len(others) < maxSignatures {
		p, err := in.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
		sig, ok := p.(*packet.Signature)
		if !ok {
			return nil, errors.New("another packet than a signature")
		}
		if sig.SigType != packet.SigTypeBinary {
			return nil, errors.New("not the signature of a file")
		}
		if sig.IssuerKeyId == nil {
			others = append(others, "one that names no key")
			continue
		}
		if found := keys.KeysById(*sig.IssuerKeyId); len(found) > 0 {
			return &signature{packet: sig, keys: keys, signer: strings.ToUpper(fmt.Sprintf("%x", found[0].Entity.PrimaryKey.Fingerprint))}, nil
		}
		others = append(others, fmt.Sprintf("one by key %016X", *sig.IssuerKeyId))
	}
	if len(others) == 0 {
		return nil, errors.New("the file of signatures is empty")
	}
	return nil, fmt.Errorf("none by a key of OpenSSL that this retort knows, but %s", strings.Join(others, ", "))
}

// check verifies the signature.
func (s *signature) check(content io.Reader) error {
	var raw bytes.Buffer
	if err := s.packet.Serialize(&raw); err != nil {
		return err
	}
	_, err := openpgp.CheckDetachedSignature(s.keys, content, &raw, &packet.Config{Time: s.judged})
	return err
}

// judged is the time as of which to judge the key: when it signed, as a key that
// has expired since still vouches for what it signed before. Of a key that was
// prolonged, the library knows the newest statement of its validity alone, which
// must not lie in the future then.
func (s *signature) judged() time.Time {
	at := s.packet.CreationTime
	for _, key := range s.keys.KeysById(*s.packet.IssuerKeyId) {
		primary, _ := key.Entity.PrimarySelfSignature()
		for _, statement := range []*packet.Signature{key.SelfSignature, primary} {
			if statement != nil && statement.CreationTime.After(at) {
				at = statement.CreationTime
			}
		}
	}
	return at
}
