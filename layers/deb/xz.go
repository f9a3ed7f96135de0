package deb

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/therootcompany/xz"
	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/internal/tarball"
)

// The parts of the .xz file format 1.2 that finding blocks takes: a stream is
// a header, blocks, an index that lists the blocks' sizes, and a footer.
const (
	xzHeaderSize = 12
	xzFooterSize = 12
	xzMaxBlocks  = 1 << 12
	// A larger block is decoded as it streams, not into memory. xz -T writes
	// blocks of three times the dictionary: 24 MiB at the default level.
	xzMaxBlock = 64 << 20
)

var (
	xzMagic       = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
	xzFooterMagic = []byte("YZ")
)

// block is one independently compressed part of an xz stream.
type block struct {
	offset   int64 // in the file
	unpadded int64 // compressed size as the index has it
	plain    int64 // uncompressed size
}

// padded is what the block takes in the file.
func (b block) padded() int64 { return (b.unpadded + 3) &^ 3 }

// readIndex returns the blocks of a file that is one xz stream and nothing
// else. It returns nil when it is anything else, damaged or too large to hold:
// the streaming decoder then says what is wrong, or copes.
func readIndex(r io.ReaderAt, size int64) []block {
	if size < xzHeaderSize+xzFooterSize+8 || size%4 != 0 {
		return nil
	}
	var head, foot [12]byte
	if readFull(r, head[:], 0, size) != nil || readFull(r, foot[:], size-xzFooterSize, size) != nil {
		return nil
	}
	if !bytes.Equal(head[:6], xzMagic) || !bytes.Equal(foot[10:], xzFooterMagic) ||
		!bytes.Equal(head[6:8], foot[8:10]) ||
		crc32.ChecksumIEEE(head[6:8]) != binary.LittleEndian.Uint32(head[8:]) ||
		crc32.ChecksumIEEE(foot[4:10]) != binary.LittleEndian.Uint32(foot[:]) {
		return nil
	}
	indexSize := (int64(binary.LittleEndian.Uint32(foot[4:])) + 1) * 4
	// A record takes at most 18 bytes.
	if indexSize > size-xzHeaderSize-xzFooterSize || indexSize > xzMaxBlocks*18+16 {
		return nil
	}
	index := make([]byte, indexSize)
	if readFull(r, index, size-xzFooterSize-indexSize, size) != nil {
		return nil
	}
	blocks, ok := parseIndex(index)
	if !ok {
		return nil
	}
	end := int64(xzHeaderSize)
	for i := range blocks {
		blocks[i].offset = end
		end += blocks[i].padded()
	}
	if end != size-xzFooterSize-indexSize {
		return nil
	}
	return blocks
}

// parseIndex reads the index of a stream; offsets are left to the caller.
func parseIndex(index []byte) ([]block, bool) {
	body := index[:len(index)-4]
	if body[0] != 0 || crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(index[len(index)-4:]) {
		return nil, false
	}
	count, rest, ok := readVLI(body[1:])
	if !ok || count > xzMaxBlocks {
		return nil, false
	}
	blocks := make([]block, count)
	for i := range blocks {
		b := &blocks[i]
		if b.unpadded, rest, ok = readVLI(rest); !ok || b.unpadded < 5 || b.unpadded > 2*xzMaxBlock {
			return nil, false
		}
		if b.plain, rest, ok = readVLI(rest); !ok || b.plain > xzMaxBlock {
			return nil, false
		}
	}
	return blocks, len(rest) < 4 && len(bytes.Trim(rest, "\x00")) == 0
}

// readVLI reads a variable-length integer of at most 63 bits.
func readVLI(p []byte) (int64, []byte, bool) {
	var n int64
	for i := 0; i < len(p) && i < 9; i++ {
		n |= int64(p[i]&0x7f) << (7 * i)
		if p[i] < 0x80 {
			return n, p[i+1:], i == 0 || p[i] != 0
		}
	}
	return 0, nil, false
}

func appendVLI(p []byte, n int64) []byte {
	for ; n >= 0x80; n >>= 7 {
		p = append(p, byte(n)|0x80)
	}
	return append(p, byte(n))
}

// writeBlocks decodes blocks, up to jobs at a time, and writes them in order.
func writeBlocks(ctx context.Context, w io.Writer, r io.ReaderAt, blocks []block, jobs int) error {
	g, ctx := errgroup.WithContext(ctx)
	// A slot is taken before a block is decoded and given back once it is
	// written, which bounds memory as well as work.
	slots := make(chan struct{}, jobs)
	done := make([]chan []byte, len(blocks))
	for i := range done {
		done[i] = make(chan []byte, 1)
	}
	g.Go(func() error {
		for i, b := range blocks {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			g.Go(func() error {
				plain, err := decodeBlock(ctx, r, b)
				if err != nil {
					return fmt.Errorf("xz block %d: %w", i, err)
				}
				done[i] <- plain
				return nil
			})
		}
		return nil
	})
	g.Go(func() error {
		for i := range blocks {
			select {
			case plain := <-done[i]:
				if _, err := w.Write(plain); err != nil {
					return err
				}
				<-slots
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}

// decodeBlock decodes one block by making it a stream of its own, so that the
// decoder verifies the block's checksum and its sizes against the index.
func decodeBlock(ctx context.Context, r io.ReaderAt, b block) ([]byte, error) {
	head := make([]byte, xzHeaderSize)
	if _, err := r.ReadAt(head, 0); err != nil {
		return nil, err
	}
	stream := io.MultiReader(
		bytes.NewReader(head),
		io.NewSectionReader(r, b.offset, b.padded()),
		bytes.NewReader(streamTail(b, head[6:8])),
	)
	d, err := xz.NewReader(tarball.WithContext(ctx, stream), maxDict)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, b.plain)
	if _, err := io.ReadFull(d, plain); err != nil {
		return nil, err
	}
	var more [1]byte
	if n, err := io.ReadFull(d, more[:]); n != 0 || err != io.EOF {
		if err == nil {
			err = fmt.Errorf("longer than the index says")
		}
		return nil, err
	}
	return plain, nil
}

// streamTail is the index and footer of a stream that holds one block.
func streamTail(b block, flags []byte) []byte {
	index := appendVLI([]byte{0, 1}, b.unpadded)
	index = appendVLI(index, b.plain)
	for len(index)%4 != 0 {
		index = append(index, 0)
	}
	index = binary.LittleEndian.AppendUint32(index, crc32.ChecksumIEEE(index))

	foot := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1))
	foot = append(foot, flags...)
	tail := binary.LittleEndian.AppendUint32(index, crc32.ChecksumIEEE(foot))
	tail = append(tail, foot...)
	return append(tail, xzFooterMagic...)
}
