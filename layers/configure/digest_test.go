package configure

import "github.com/opencontainers/go-digest"

func digestOf(b []byte) digest.Digest { return digest.FromBytes(b) }

func digestHex(s string) digest.Digest { return digest.NewDigestFromEncoded(digest.SHA256, s) }
