package layers

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// keySalt starts every key. It changes when the meaning of a recipe changes:
// what an equal recipe would produce, or how it is written down.
const keySalt = "retort key 1\n"

// A keyHash builds one key and can print what it hashed. Each fact is one
// line: field name, a space, the Go-quoted value.
type keyHash struct {
	sum  hash.Hash
	text strings.Builder
}

func newKeyHash() *keyHash {
	k := &keyHash{sum: sha256.New()}
	k.sum.Write([]byte(keySalt))
	return k
}

func (k *keyHash) add(field, value string) {
	line := fmt.Sprintf("%s %q\n", field, value)
	k.sum.Write([]byte(line))
	k.text.WriteString(line)
}

// input adds what an input realised to. The step's name is printed, for
// people, and not hashed.
func (k *keyHash) input(field, diffID, step string) {
	fmt.Fprintf(k.sum, "%s %q\n", field, diffID)
	fmt.Fprintf(&k.text, "%s %q (%s)\n", field, diffID, step)
}

func (k *keyHash) list(field string, values []string) {
	k.add(field+".len", fmt.Sprint(len(values)))
	for _, v := range values {
		k.add(field, v)
	}
}

func (k *keyHash) key() Key { return Key(hex.EncodeToString(k.sum.Sum(nil))) }

// ValidKey reports whether s has the form of a Key.
func ValidKey(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	for _, c := range s {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
