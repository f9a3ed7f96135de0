package deb

import (
	"bytes"
	"crypto/md5" //nolint:gosec // what packages carry; a check of consistency, not of origin
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
)

// parseSums reads the md5sums member: a digest, two spaces and a path a line.
func parseSums(text []byte) (map[string][16]byte, error) {
	sums := make(map[string][16]byte)
	for i, line := range strings.Split(string(bytes.TrimSpace(text)), "\n") {
		if line == "" {
			continue
		}
		if len(line) < 35 || (line[32:34] != "  " && line[32:34] != " *") {
			return nil, fmt.Errorf("line %d: want digest and path", i+1)
		}
		var sum [16]byte
		if _, err := hex.Decode(sum[:], []byte(line[:32])); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
		name := strings.TrimPrefix(line[34:], "./")
		if old, dup := sums[name]; dup && old != sum {
			return nil, fmt.Errorf("line %d: second digest of %s", i+1, name)
		}
		sums[name] = sum
	}
	return sums, nil
}

// sumReader hashes what is read through it.
type sumReader struct {
	r io.Reader
	h hash.Hash
}

func newSumReader(r io.Reader) *sumReader { return &sumReader{r, md5.New()} }

func (s *sumReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.h.Write(p[:n])
	return n, err
}

// verify reads to the end and compares the digest.
func (s *sumReader) verify(name string, want [16]byte) error {
	if _, err := io.Copy(io.Discard, s); err != nil {
		return err
	}
	if got := s.h.Sum(nil); !bytes.Equal(got, want[:]) {
		return fmt.Errorf("%s: md5 is %x, md5sums has %x", name, got, want)
	}
	return nil
}
