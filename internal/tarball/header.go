package tarball

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Offsets of the fields of a ustar header, POSIX.1-2017 pax "ustar Interchange
// Format", and the largest numbers that fit their octal digits.
const (
	offName, lenName     = 0, 100
	offMode              = 100
	offUID               = 108
	offGID               = 116
	offSize              = 124
	offTime              = 136
	offSum               = 148
	offType              = 156
	offLink, lenLink     = 157, 100
	offMagic             = 257
	offMajor             = 329
	offMinor             = 337
	offPrefix, lenPrefix = 345, 155

	maxOctal8  = 1<<21 - 1 // 7 digits
	maxOctal12 = 1<<33 - 1 // 11 digits
)

const (
	typeFile     = '0'
	typeLink     = '1'
	typeSymlink  = '2'
	typeDir      = '5'
	typePAX      = 'x'
	typeGlobal   = 'g'
	typeLongName = 'L'
	typeLongLink = 'K'

	magicUstar = "ustar\x0000"
	magicGNU   = "ustar  \x00"
	magicV7    = "\x00\x00\x00\x00\x00\x00\x00\x00"

	paxName  = "././@PaxHeader" // as CPython's tarfile has it; any fixed name does
	paxXattr = "SCHILY.xattr."
)

// appendHeaders appends the header blocks of e: a PAX header if the ustar
// fields cannot say it all, then the ustar header.
func appendHeaders(dst []byte, e Entry, mtime int64) []byte {
	name := e.Path
	kind := byte(typeFile)
	switch e.Kind {
	case Dir:
		kind, name = typeDir, name+"/"
	case Symlink:
		kind = typeSymlink
	case Hardlink:
		kind = typeLink
	}
	pax := make(map[string]string)
	prefix, base, ok := splitName(name)
	if !ok {
		pax["path"] = name
	}
	link := e.Link
	if len(link) > lenLink || !ascii(link) {
		pax["linkpath"], link = link, ""
	}
	fit := func(key string, n, limit int64) int64 {
		if n > limit {
			pax[key] = strconv.FormatInt(n, 10)
			return 0
		}
		return n
	}
	uid := fit("uid", int64(e.UID), maxOctal8)
	gid := fit("gid", int64(e.GID), maxOctal8)
	size := fit("size", e.Size, maxOctal12)
	for attr, value := range e.Xattrs {
		pax[paxXattr+attr] = value
	}
	if len(pax) > 0 {
		body := paxRecords(pax)
		dst = appendBlock(dst, header{name: paxName, kind: typePAX, mode: 0o644, size: int64(len(body)), mtime: mtime})
		dst = append(dst, body...)
		dst = append(dst, zeros[:padding(int64(len(body)))]...)
	}
	return appendBlock(dst, header{
		name: base, prefix: prefix, link: link, kind: kind,
		mode: int64(e.Mode), uid: uid, gid: gid, size: size, mtime: mtime,
	})
}

// splitName divides a name at a slash so that it fits the prefix and name
// fields. If that is not possible it gives the name's beginning, which nothing
// reads, because the PAX header overrides it.
func splitName(name string) (prefix, base string, ok bool) {
	if !ascii(name) {
		return "", "_", false
	}
	if len(name) <= lenName {
		return "", name, true
	}
	// The last slash that leaves something behind it, a directory's own
	// trailing slash excepted.
	end := min(len(name)-1, lenPrefix+1)
	i := strings.LastIndexByte(name[:end], '/')
	if i <= 0 || len(name)-i-1 > lenName {
		return "", name[:lenName], false
	}
	return name[:i], name[i+1:], true
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// paxRecords lists records in byte order of their keys.
func paxRecords(pax map[string]string) []byte {
	var out []byte
	for _, key := range slices.Sorted(maps.Keys(pax)) {
		body := " " + key + "=" + pax[key] + "\n"
		// The length counts its own digits.
		n := len(body) + len(strconv.Itoa(len(body)))
		if total := len(body) + len(strconv.Itoa(n)); total != n {
			n = total
		}
		out = append(strconv.AppendInt(out, int64(n), 10), body...)
	}
	return out
}

type header struct {
	name, prefix, link          string
	kind                        byte
	mode, uid, gid, size, mtime int64
}

func appendBlock(dst []byte, h header) []byte {
	at := len(dst)
	dst = append(dst, zeros[:blockSize]...)
	b := dst[at:]
	copy(b[offName:], h.name)
	putOctal(b[offMode:offUID], h.mode)
	putOctal(b[offUID:offGID], h.uid)
	putOctal(b[offGID:offSize], h.gid)
	putOctal(b[offSize:offTime], h.size)
	putOctal(b[offTime:offSum], h.mtime)
	b[offType] = h.kind
	copy(b[offLink:], h.link)
	copy(b[offMagic:], magicUstar)
	putOctal(b[offMajor:offMinor], 0)
	putOctal(b[offMinor:offPrefix], 0)
	copy(b[offPrefix:], h.prefix)
	putOctal(b[offSum:offSum+7], checksum(b))
	b[offSum+7] = ' '
	return dst
}

// putOctal fills all but the last byte with digits; the last stays NUL.
func putOctal(field []byte, n int64) {
	for i := len(field) - 2; i >= 0; i-- {
		field[i] = '0' + byte(n&7)
		n >>= 3
	}
}

// checksum sums a header's bytes with the checksum field taken as spaces.
func checksum(b []byte) int64 {
	var sum int64
	for i, c := range b[:blockSize] {
		if i >= offSum && i < offType {
			c = ' '
		}
		sum += int64(c)
	}
	return sum
}
