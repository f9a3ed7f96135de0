package deb

import (
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	arMagic      = "!<arch>\n"
	arHeaderSize = 60
	// Three members are the rule; a signature or two may stand beside them.
	arMaxMembers = 16
)

// member is one file of an ar archive, as a window on the archive.
type member struct {
	name string
	*io.SectionReader
}

// archive is a .deb taken apart: deb(5) fixes the members and their order.
type archive struct {
	control member
	data    member
}

func openArchive(r io.ReaderAt, size int64) (*archive, error) {
	members, err := readAr(r, size)
	if err != nil {
		return nil, err
	}
	if len(members) == 0 || members[0].name != "debian-binary" {
		return nil, fmt.Errorf("first member is not debian-binary")
	}
	if err := checkFormat(members[0]); err != nil {
		return nil, err
	}
	var kept []member
	for _, m := range members[1:] {
		// deb(5) lets tools put what old ones may ignore under such names.
		if !strings.HasPrefix(m.name, "_") {
			kept = append(kept, m)
		}
	}
	if len(kept) != 2 || !isTar(kept[0].name, "control") || !isTar(kept[1].name, "data") {
		return nil, fmt.Errorf("members are not control.tar and data.tar")
	}
	return &archive{control: kept[0], data: kept[1]}, nil
}

func isTar(name, what string) bool {
	ext, ok := strings.CutPrefix(name, what+".tar")
	return ok && (ext == "" || ext[0] == '.')
}

func checkFormat(m member) error {
	if m.Size() > 64 {
		return fmt.Errorf("debian-binary: %d bytes", m.Size())
	}
	text, err := io.ReadAll(m)
	if err != nil {
		return fmt.Errorf("read debian-binary: %w", err)
	}
	line, _, ok := strings.Cut(string(text), "\n")
	// A minor version only ever adds members that may be ignored.
	minor, major2 := strings.CutPrefix(line, "2.")
	if _, err := strconv.ParseUint(minor, 10, 16); !ok || !major2 || err != nil {
		return fmt.Errorf("debian-binary: format %q, want 2.0", line)
	}
	return nil
}

// readAr lists the members of a common-format ar archive, without the
// extensions for long names, which no .deb has.
func readAr(r io.ReaderAt, size int64) ([]member, error) {
	magic := make([]byte, len(arMagic))
	if err := readFull(r, magic, 0, size); err != nil || string(magic) != arMagic {
		return nil, fmt.Errorf("not an ar archive")
	}
	var members []member
	for off := int64(len(arMagic)); off < size; {
		head := make([]byte, arHeaderSize)
		if err := readFull(r, head, off, size); err != nil {
			return nil, fmt.Errorf("ar header at %d: %w", off, err)
		}
		name, length, err := parseArHeader(head)
		if err != nil {
			return nil, fmt.Errorf("ar header at %d: %w", off, err)
		}
		off += arHeaderSize
		if length > size-off {
			return nil, fmt.Errorf("ar member %s: %d bytes, archive has %d left", name, length, size-off)
		}
		if len(members) == arMaxMembers {
			return nil, fmt.Errorf("more than %d ar members", arMaxMembers)
		}
		members = append(members, member{name, io.NewSectionReader(r, off, length)})
		off += length + length%2
	}
	return members, nil
}

func parseArHeader(head []byte) (name string, size int64, err error) {
	if string(head[58:60]) != "`\n" {
		return "", 0, fmt.Errorf("bad end mark %q", head[58:60])
	}
	name = strings.TrimSuffix(strings.TrimRight(string(head[:16]), " "), "/")
	if name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '/' }) {
		return "", 0, fmt.Errorf("bad name %q", head[:16])
	}
	digits := strings.TrimRight(string(head[48:58]), " ")
	n, err := strconv.ParseUint(digits, 10, 62)
	if err != nil {
		return "", 0, fmt.Errorf("bad size %q", head[48:58])
	}
	return name, int64(n), nil
}

// readFull reads len(p) bytes at off from r, which ends at size.
func readFull(r io.ReaderAt, p []byte, off, size int64) error {
	if int64(len(p)) > size-off {
		return io.ErrUnexpectedEOF
	}
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
