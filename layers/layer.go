package layers

import "github.com/opencontainers/go-digest"

// Key is the hash of a recipe and of the contents of its inputs: what goes in.
// It is 64 lower-case hex digits.
type Key string

// Layer is what a key realised to: a normalised file tree.
type Layer struct {
	// DiffID is the sha256 of the tree's canonical tar: what came out.
	DiffID digest.Digest `json:"diffID"`
	// Size is the length of the canonical tar in bytes.
	Size int64 `json:"size"`
}
