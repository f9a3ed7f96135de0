package tarball

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/opencontainers/go-digest"
)

const blockSize = 512

var zeros [2 * blockSize]byte

// Write emits the canonical tar of entries, which Check must accept, with one
// modification time for all of them, in whole seconds. open gives the content
// of a file; Write closes it, and fails if the bytes are not of the stated
// size and digest. What was written before an error is of no use.
func Write(w io.Writer, entries []Entry, mtime time.Time, open func(Entry) (io.ReadCloser, error)) error {
	sec := mtime.Unix()
	if sec < 0 || sec > maxOctal12 {
		return fmt.Errorf("write tar: time %s does not fit", mtime.UTC().Format(time.RFC3339))
	}
	if err := Check(entries); err != nil {
		return fmt.Errorf("write tar: %w", err)
	}
	var head []byte
	buf := make([]byte, 128<<10)
	for _, e := range entries {
		head = appendHeaders(head[:0], e, sec)
		if _, err := w.Write(head); err != nil {
			return fmt.Errorf("write tar: %w", err)
		}
		if e.Kind != File {
			continue
		}
		if err := copyContent(w, e, open, buf); err != nil {
			return fmt.Errorf("write tar: file %q: %w", e.Path, err)
		}
	}
	if _, err := w.Write(zeros[:]); err != nil {
		return fmt.Errorf("write tar: %w", err)
	}
	return nil
}

// Size is the length of the tar that Write emits for entries.
func Size(entries []Entry) int64 {
	total := int64(len(zeros))
	var head []byte
	for _, e := range entries {
		head = appendHeaders(head[:0], e, 0)
		total += int64(len(head)) + e.Size + padding(e.Size)
	}
	return total
}

// Digest is the sha256 and the length of the canonical tar of entries with
// time Epoch: the DiffID and size of a layer.
func Digest(entries []Entry, open func(Entry) (io.ReadCloser, error)) (digest.Digest, int64, error) {
	sum := sha256.New()
	if err := Write(sum, entries, Epoch, open); err != nil {
		return "", 0, err
	}
	return digest.NewDigest(digest.SHA256, sum), Size(entries), nil
}

func padding(size int64) int64 { return -size & (blockSize - 1) }

func copyContent(w io.Writer, e Entry, open func(Entry) (io.ReadCloser, error), buf []byte) (err error) {
	content, err := open(e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	sum := sha256.New()
	var n int64
	for {
		got, rerr := content.Read(buf)
		n += int64(got)
		if n > e.Size {
			return fmt.Errorf("longer than %d bytes", e.Size)
		}
		sum.Write(buf[:got])
		if _, err := w.Write(buf[:got]); err != nil {
			return err
		}
		if rerr == io.EOF {
			break
		}
		if rerr != nil {
			return rerr
		}
	}
	if n != e.Size {
		return fmt.Errorf("%d bytes, want %d", n, e.Size)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != e.Digest.Encoded() {
		return fmt.Errorf("digest mismatch: want %s, got sha256:%s", e.Digest, got)
	}
	_, err = w.Write(zeros[:padding(n)])
	return err
}
