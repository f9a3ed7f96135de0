package registry

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// zstdFrame passes on exactly one zstd frame (RFC 8878, section 3.1.1) of r and
// stops, which the decoder itself would not: it reads frame after frame.
type zstdFrame struct {
	r        *bufio.Reader
	pass     int64 // bytes of the current part still to pass on
	checksum bool
	state    frameState
}

type frameState int

const (
	atHeader frameState = iota
	atBlock
	atLast // in the last block
	atEnd
)

func (f *zstdFrame) Read(p []byte) (int, error) {
	for f.pass == 0 {
		if f.state == atEnd {
			return 0, io.EOF
		}
		if err := f.advance(); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, fmt.Errorf("zstd frame: %w", err)
		}
	}
	if int64(len(p)) > f.pass {
		p = p[:f.pass]
	}
	n, err := f.r.Read(p)
	f.pass -= int64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// advance finds the length of the next part of the frame.
func (f *zstdFrame) advance() error {
	switch f.state {
	case atHeader:
		head, err := f.r.Peek(5)
		if err != nil {
			return err
		}
		if binary.LittleEndian.Uint32(head) != 0xfd2fb528 {
			return errors.New("no magic number")
		}
		flags := head[4]
		single := flags&0x20 != 0
		size := []int64{0, 2, 4, 8}[flags>>6]
		if flags>>6 == 0 && single {
			size = 1
		}
		f.pass = 5 + size + []int64{0, 1, 2, 4}[flags&3]
		if !single {
			f.pass++
		}
		f.checksum = flags&4 != 0
		f.state = atBlock
	case atBlock:
		head, err := f.r.Peek(3)
		if err != nil {
			return err
		}
		block := uint32(head[0]) | uint32(head[1])<<8 | uint32(head[2])<<16
		f.pass = 3 + int64(block>>3)
		switch block >> 1 & 3 {
		case 1: // one byte, repeated
			f.pass = 3 + 1
		case 3:
			return errors.New("reserved block type")
		}
		if block&1 != 0 {
			f.state = atLast
		}
	case atLast:
		if f.checksum {
			f.pass = 4
		}
		f.state = atEnd
	}
	return nil
}
