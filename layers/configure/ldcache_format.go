package configure

import (
	"encoding/binary"
	"slices"
)

// The loader's cache, in the format of glibc 2.32 and later: a header, entries
// of fixed size, the strings they point to, and an extension with what wrote
// the file and the names of glibc-hwcaps directories. Offsets count from the
// start of the file.
const (
	cacheMagic      = "glibc-ld.so.cache1.1"
	cacheHeaderSize = 48
	cacheEntrySize  = 24
	cacheExtension  = 0xeaa42174
	hwcapExtension  = 1 << 62 // the low half is an index into the hwcaps section
)

// encodeCache writes libraries in the order given. Integers are little endian
// on every machine that we know.
func encodeCache(libs []library, flags int32, generator string) []byte {
	var names, caps []string
	for _, l := range libs {
		names = append(names, l.key, l.path)
		if l.hwcaps != "" {
			caps = append(caps, l.hwcaps)
		}
	}
	slices.Sort(caps)
	caps = slices.Compact(caps)
	table, offsets := tailTable(append(names, caps...))

	le := binary.LittleEndian
	base := uint32(cacheHeaderSize + cacheEntrySize*len(libs))
	extension := (base + uint32(len(table)) + 3) &^ 3
	b := []byte(cacheMagic)
	b = le.AppendUint32(b, uint32(len(libs)))
	b = le.AppendUint32(b, uint32(len(table)))
	b = append(b, 2, 0, 0, 0) // little endian
	b = le.AppendUint32(b, extension)
	b = append(b, make([]byte, cacheHeaderSize-len(b))...)
	for _, l := range libs {
		b = le.AppendUint32(b, uint32(flags))
		b = le.AppendUint32(b, base+offsets[l.key])
		b = le.AppendUint32(b, base+offsets[l.path])
		b = le.AppendUint32(b, 0)
		var hwcap uint64
		if l.hwcaps != "" {
			hwcap = hwcapExtension | uint64(slices.Index(caps, l.hwcaps))
		}
		b = le.AppendUint64(b, hwcap)
	}
	b = append(b, table...)
	b = append(b, make([]byte, int(extension)-len(b))...)

	// The list of hwcaps precedes the generator, whose section is the first.
	list := uint32(4 * len(caps))
	sections := uint32(1)
	if list > 0 {
		sections = 2
	}
	data := extension + 8 + 16*sections
	b = le.AppendUint32(b, cacheExtension)
	b = le.AppendUint32(b, sections)
	for _, v := range []uint32{0, 0, data + list, uint32(len(generator)), 1, 0, data, list}[:4*sections] {
		b = le.AppendUint32(b, v)
	}
	for _, c := range caps {
		b = le.AppendUint32(b, base+offsets[c])
	}
	return append(b, generator...)
}

// tailTable joins strings, each ended by a zero byte, so that one which ends
// another shares its bytes: descending order from the last byte on brings them
// together, the longer first.
func tailTable(names []string) ([]byte, map[string]uint32) {
	sorted := slices.Clone(names)
	slices.SortFunc(sorted, func(a, b string) int {
		for i := 1; i <= len(a) && i <= len(b); i++ {
			if x, y := a[len(a)-i], b[len(b)-i]; x != y {
				return int(y) - int(x)
			}
		}
		return len(b) - len(a)
	})
	sorted = slices.Compact(sorted)
	offsets := make(map[string]uint32, len(sorted))
	var table []byte
	last := ""
	for _, s := range sorted {
		if len(last) >= len(s) && last[len(last)-len(s):] == s {
			offsets[s] = uint32(len(table) - 1 - len(s))
			continue
		}
		offsets[s] = uint32(len(table))
		table = append(append(table, s...), 0)
		last = s
	}
	return table, offsets
}

// compareLibraries orders names of libraries by the loader's rule: runs of
// digits count as numbers, and a digit comes after anything else.
func compareLibraries(a, b string) int {
	for len(a) > 0 {
		if len(b) == 0 {
			return int(a[0])
		}
		x, y := isDigit(a[0]), isDigit(b[0])
		switch {
		case x && y:
			i, j := span(a, true), span(b, true)
			if c := compareDigits(a[:i], b[:j]); c != 0 {
				return c
			}
			a, b = a[i:], b[j:]
		case x:
			return 1
		case y:
			return -1
		case a[0] != b[0]:
			return int(a[0]) - int(b[0])
		default:
			a, b = a[1:], b[1:]
		}
	}
	if len(b) > 0 {
		return -int(b[0])
	}
	return 0
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
