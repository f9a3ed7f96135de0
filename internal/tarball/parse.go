package tarball

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// parseHeader reads one header block, whose fields it takes at their word only
// where all readers agree about them.
func parseHeader(b []byte) (header, error) {
	sum, err := parseNumber(b[offSum:offType])
	if err != nil || sum != checksum(b) {
		return header{}, errors.New("header checksum")
	}
	h := header{kind: b[offType]}
	magic := string(b[offMagic : offMagic+8])
	if magic != magicUstar && magic != magicGNU && magic != magicV7 {
		return header{}, fmt.Errorf("format %q", magic)
	}
	if h.name, err = parseText(b[offName : offName+lenName]); err != nil {
		return header{}, fmt.Errorf("name: %w", err)
	}
	if h.link, err = parseText(b[offLink : offLink+lenLink]); err != nil {
		return header{}, fmt.Errorf("link name: %w", err)
	}
	// GNU keeps times and sparse maps where ustar has the prefix.
	if magic == magicUstar {
		if h.prefix, err = parseText(withoutTimes(b[offPrefix : offPrefix+lenPrefix])); err != nil {
			return header{}, fmt.Errorf("name prefix: %w", err)
		}
	}
	for _, f := range []struct {
		name string
		raw  []byte
		into *int64
	}{
		{"mode", b[offMode:offUID], &h.mode},
		{"uid", b[offUID:offGID], &h.uid},
		{"gid", b[offGID:offSize], &h.gid},
		{"size", b[offSize:offTime], &h.size},
	} {
		if *f.into, err = parseNumber(f.raw); err != nil {
			return header{}, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if h.kind == 0 {
		h.kind = typeFile
		// Before ustar, a directory was a file whose name ends in a slash.
		if magic == magicV7 && strings.HasSuffix(h.name, "/") {
			h.kind = typeDir
		}
	}
	return h, nil
}

// withoutTimes cuts off the two times that star, and the node-tar which packed
// many an npm package, keep at the end of a prefix that leaves room for them.
func withoutTimes(prefix []byte) []byte {
	const room = lenPrefix - 2*12 - 1
	for _, field := range [][]byte{prefix[room+1 : room+13], prefix[room+13:]} {
		if _, err := parseNumber(field); err != nil || prefix[room] != 0 {
			return prefix
		}
	}
	return prefix[:room]
}

// parseText reads a field up to its NUL, behind which nothing may hide.
func parseText(field []byte) (string, error) {
	text, rest, _ := bytes.Cut(field, []byte{0})
	if len(bytes.Trim(rest, "\x00")) > 0 {
		return "", errors.New("data after NUL")
	}
	return string(text), nil
}

// parseNumber reads octal digits, blank before and blank or NUL behind, or
// GNU's base-256 form. An empty field is zero.
func parseNumber(field []byte) (int64, error) {
	if field[0]&0x80 != 0 {
		return parseBinary(field)
	}
	s := strings.TrimLeft(string(field), " ")
	s = strings.TrimRight(s, " \x00")
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '7' {
			return 0, fmt.Errorf("number %q", field)
		}
		n = n<<3 | int64(c-'0') // at most 12 digits
	}
	return n, nil
}

func parseBinary(field []byte) (int64, error) {
	n := int64(field[0] & 0x7f) // 0x40 would be the sign
	for _, c := range field[1:] {
		if n >= 1<<55 {
			return 0, fmt.Errorf("number %q", field)
		}
		n = n<<8 | int64(c)
	}
	if field[0] != 0x80 {
		return 0, fmt.Errorf("number %q", field)
	}
	return n, nil
}
