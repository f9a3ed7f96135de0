package upstream

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding"
	"encoding/hex"
	"hash"
	"os"
	"strings"
	"testing"
)

// TestEmbeddedKeys verifies signatures of real releases with the embedded keys.
// Instead of a tarball it has the state of the hash function after the last byte
// of it, to which OpenPGP adds the signature's own head.
func TestEmbeddedKeys(t *testing.T) {
	keys, err := (&Client{}).opensslKeys()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		version, signer string
		hash            hash.Hash
		state           string // up to what is left of the last block, and the length
		rest, length    string
	}{
		{
			"1.1.1w", "EFC0A467D613CB83C7ED6D30D894E2CE8B3D79F5", sha256.New(),
			"73686103ec5e04fa01eb7d8baa172973c88eedac639b3596ea3f3b62c2d2aeb5089a8c82", "b05e2b1400d0a002", "000000000096f608",
		},
		{
			"3.0.20", "BA5473A2B0587B07FB27CF2D216094DFD0CB81EF", sha512.New(),
			"736861075a68b95918d500d64c93b98df94e9afe5285c81f562d9dd6aa4a8f7c9fce1f473ec9fa61d0583880848777032954f658d202e0d6a14e164a89b9725428af8d92",
			"e7f133f5f3ff016b06fef300187603", "0000000000e9598f",
		},
		{
			"3.0.22", "B146647E45A7B33947AB226B2A2C87D161692D40", sha512.New(),
			"73686107816585905052bfc1352dea100f90577a3b615cb0c76a7e1427c807ede8b5246a9326d0a64727875c57bb9364321a7ab9f7a409c3f5687ba0dbf83c209d0d2808",
			"7516bbc7f07816bb0c462dd606fdd6a2f5ab10e0b25c8a6c4a281ab63c9ca1e1a37e71dafd7f790de419de19c169e5ebf531e5fea79f63f7fff3c5e7d5bf3d7fbcff1fff3cfe79fcf3f8e7f1cfe39f6ff2e7ff03ff12103200087703",
			"0000000000e9ec5c",
		},
	} {
		armored, err := os.ReadFile("testdata/openssl-" + tt.version + ".tar.gz.asc")
		if err != nil {
			t.Fatal(err)
		}
		s, err := readSignature(armored, keys)
		if err != nil {
			t.Fatal(err)
		}
		if s.signer != tt.signer {
			t.Errorf("%s: signed by %s", tt.version, s.signer)
		}
		key := keys.KeysById(*s.packet.IssuerKeyId)[0]
		verify := func(rest string) error {
			block := rest + strings.Repeat("00", tt.hash.BlockSize()-len(rest)/2)
			state, err := hex.DecodeString(tt.state + block + tt.length)
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
				t.Fatal(err)
			}
			return key.PublicKey.VerifySignature(tt.hash, s.packet)
		}
		if err := verify(tt.rest); err != nil {
			t.Errorf("%s: %v", tt.version, err)
		}
		if err := verify("ff" + tt.rest[2:]); err == nil {
			t.Errorf("%s: another tarball verifies", tt.version)
		}
		statement, _ := key.Entity.PrimarySelfSignature()
		if at := s.judged(); key.Entity.PrimaryKey.KeyExpired(statement, at) || statement.CreationTime.After(at) || key.SelfSignature.CreationTime.After(at) {
			t.Errorf("%s: key is not valid as of %s", tt.version, at)
		}
	}
	for _, key := range keys {
		if key.PrivateKey != nil || len(key.Revocations) > 0 {
			t.Errorf("key %X is private, or revoked", key.PrimaryKey.Fingerprint)
		}
	}
}
