package layers

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"strconv"
)

// keySalt starts every key. It changes when the meaning of a recipe changes:
// what an equal recipe would produce, or how it is written down.
const keySalt = "retort key 1\n"

// A keyHash builds one key and can print what it hashed. Each fact is one
// line: field name, a space, the Go-quoted value.
type keyHash struct {
	sum  hash.Hash
	text []byte
}

func newKeyHash() *keyHash {
	k := &keyHash{sum: sha256.New(), text: make([]byte, 0, 1<<10)}
	k.sum.Write([]byte(keySalt))
	return k
}

func (k *keyHash) add(field, value string) {
	start := len(k.text)
	k.line(field, value)
	k.text = append(k.text, '\n')
	k.sum.Write(k.text[start:])
}

// input adds what an input realised to. The step's name is printed, for
// people, and not hashed.
func (k *keyHash) input(field, diffID, step string) {
	start := len(k.text)
	k.line(field, diffID)
	k.sum.Write(k.text[start:])
	k.sum.Write([]byte{'\n'})
	k.text = append(k.text, " ("...)
	k.text = append(k.text, step...)
	k.text = append(k.text, ")\n"...)
}

func (k *keyHash) line(field, value string) {
	k.text = append(k.text, field...)
	k.text = append(k.text, ' ')
	k.text = appendQuote(k.text, value)
}

// appendQuote is strconv.AppendQuote, fast for values that it only puts quotes
// around: nearly all.
func appendQuote(to []byte, value string) []byte {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return strconv.AppendQuote(to, value)
		}
	}
	to = append(to, '"')
	to = append(to, value...)
	return append(to, '"')
}

func (k *keyHash) list(field string, values []string) {
	k.add(field+".len", strconv.Itoa(len(values)))
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
