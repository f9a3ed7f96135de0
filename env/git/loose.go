package git

import (
	"encoding/binary"
	"hash/adler32"
)

// looseObject packs an object as zlib without compressing it, so that its
// bytes depend on no library's idea of compression.
func looseObject(data []byte) []byte {
	const block = 1<<16 - 1
	out := []byte{0x78, 0x01}
	for rest := data; ; rest = rest[block:] {
		last := len(rest) <= block
		n := min(len(rest), block)
		final := byte(0)
		if last {
			final = 1
		}
		out = append(out, final)
		out = binary.LittleEndian.AppendUint16(out, uint16(n))  //nolint:gosec // at most a block
		out = binary.LittleEndian.AppendUint16(out, ^uint16(n)) //nolint:gosec // at most a block
		out = append(out, rest[:n]...)
		if last {
			return binary.BigEndian.AppendUint32(out, adler32.Checksum(data))
		}
	}
}
