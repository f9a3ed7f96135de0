package fetch

import (
	"bytes"
	"io"
	"os"
)

// Sink takes a body. What it holds is unverified until Get has returned nil.
type Sink interface {
	io.Writer
	// Reset throws away all that was written: the body starts anew.
	Reset() error
}

// Resumer is a Sink that may hold the beginning of the body already, of a
// download that was cut off. Get asks it once, before it writes, and only where
// the digest is known; if there is something, Get goes on behind it and leaves
// it to the sink to judge the whole.
type Resumer interface {
	Sink
	Offset() int64 // bytes that are there
}

// Buffer is a Sink in memory.
type Buffer struct{ bytes.Buffer }

// Reset empties the buffer.
func (b *Buffer) Reset() error {
	b.Buffer.Reset()
	return nil
}

// File is a Sink that writes an open file from its start.
type File struct{ *os.File }

// Reset empties the file.
func (f File) Reset() error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.Seek(0, io.SeekStart)
	return err
}
