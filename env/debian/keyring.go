package debian

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// archiveKeys are the keys of Debian's archives; keys/README.md says whence.
//
//go:embed keys/debian-archive-keyring.pgp
var archiveKeys []byte

const (
	maxKeyring    = 4 << 20
	maxSignatures = 64
)

// keyring reads the keys to trust: the caller's instead of the embedded ones.
func keyring(own []byte) (openpgp.EntityList, error) {
	raw := own
	if raw == nil {
		raw = archiveKeys
	}
	if len(raw) > maxKeyring {
		return nil, fmt.Errorf("read keyring: more than %d bytes", maxKeyring)
	}
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("-----BEGIN")) {
		block, err := armor.Decode(bytes.NewReader(raw))
		if err != nil {
			return nil, fmt.Errorf("read keyring: %w", err)
		}
		if raw, err = io.ReadAll(io.LimitReader(block.Body, maxKeyring)); err != nil {
			return nil, fmt.Errorf("read keyring: %w", err)
		}
	}
	keys, err := openpgp.ReadKeyRing(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read keyring: %w", err)
	}
	if len(keys) == 0 {
		return nil, errors.New("read keyring: no keys in it")
	}
	return keys, nil
}

// SignatureError says that a file carries no signature that can be trusted.
type SignatureError struct {
	What   string   // "InRelease of trixie"
	Reason string   // what is wrong with the form; "" when only signatures are wrong
	Signed []string // key ids of the signatures that did not verify, with the reason
}

func (e *SignatureError) Error() string {
	if e.Reason != "" {
		return fmt.Sprintf("verify %s: %s", e.What, e.Reason)
	}
	return fmt.Sprintf("verify %s: no good signature: %s", e.What, strings.Join(e.Signed, "; "))
}

// verifySigned takes the text out of a clear-signed file, if at least one key
// of the ring has signed it, and returns the fingerprints of all that have.
// The text is what was hashed: its lines, joined by newlines. Anything before
// or after the signed message is refused.
func verifySigned(what string, data []byte, keys openpgp.EntityList, now time.Time) (text []byte, signers []string, err error) {
	bad := func(reason string) error { return &SignatureError{What: what, Reason: reason} }
	const begin = "-----BEGIN PGP SIGNED MESSAGE-----"
	if !bytes.HasPrefix(data, []byte(begin)) {
		return nil, nil, bad("not a signed message from its first byte on")
	}
	if bytes.Count(data, []byte("\n-----BEGIN PGP SIGNATURE-----")) != 1 || bytes.Count(data, []byte(begin)) != 1 {
		return nil, nil, bad("not one signed message")
	}
	block, rest := clearsign.Decode(data)
	if block == nil {
		return nil, nil, bad("signed message is malformed")
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, nil, bad("text follows the signed message")
	}
	raw, err := io.ReadAll(io.LimitReader(block.ArmoredSignature.Body, maxKeyring))
	if err != nil {
		return nil, nil, bad("signature: " + err.Error())
	}
	packets, err := signatures(raw)
	if err != nil {
		return nil, nil, bad("signature: " + err.Error())
	}
	var reasons []string
	for _, sig := range packets {
		signer, err := verifyOne(block.Bytes, sig, keys, now)
		if err != nil {
			id := "no key"
			if sig.IssuerKeyId != nil {
				id = fmt.Sprintf("key %016X", *sig.IssuerKeyId)
			}
			reasons = append(reasons, id+": "+err.Error())
		} else {
			signers = append(signers, signer)
		}
	}
	if len(signers) == 0 {
		return nil, nil, &SignatureError{What: what, Signed: reasons}
	}
	slices.Sort(signers)
	return bytes.ReplaceAll(block.Bytes, []byte("\r\n"), []byte("\n")), slices.Compact(signers), nil
}

// signatures cuts the signature packets apart.
func signatures(raw []byte) ([]*packet.Signature, error) {
	var all []*packet.Signature
	in := packet.NewReader(bytes.NewReader(raw))
	for {
		p, err := in.Next()
		if err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		sig, ok := p.(*packet.Signature)
		if !ok {
			return nil, errors.New("another packet than a signature")
		}
		if all = append(all, sig); len(all) > maxSignatures {
			return nil, errors.New("too many signatures")
		}
	}
}

// verifyOne checks one signature, as of the time at which it was made: a key
// that has expired since still vouches for what it signed before. A signature
// from the future is refused.
func verifyOne(signed []byte, sig *packet.Signature, keys openpgp.EntityList, now time.Time) (string, error) {
	if sig.CreationTime.After(now.Add(clockSkew)) {
		return "", fmt.Errorf("made in the future, on %s", sig.CreationTime.UTC().Format(time.DateOnly))
	}
	var raw bytes.Buffer
	if err := sig.Serialize(&raw); err != nil {
		return "", err
	}
	at := sig.CreationTime
	config := &packet.Config{Time: func() time.Time { return at }}
	signer, err := openpgp.CheckDetachedSignature(keys, bytes.NewReader(signed), &raw, config)
	if err != nil {
		return "", err
	}
	return strings.ToUpper(fmt.Sprintf("%x", signer.PrimaryKey.Fingerprint)), nil
}
