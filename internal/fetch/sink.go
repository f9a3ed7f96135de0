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
