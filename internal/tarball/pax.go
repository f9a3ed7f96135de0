package tarball

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// extensions is what the headers before an entry's own say about it.
type extensions struct {
	pax        map[string]string
	name, link *string // GNU long name and long link
}

func (x *extensions) any() bool { return x.pax != nil || x.name != nil || x.link != nil }

func (x *extensions) add(kind byte, body []byte) error {
	switch kind {
	case typeGlobal:
		// git archive writes one with the commit as comment. Anything that
		// would change entries is refused.
		records, err := parsePAX(body)
		for key := range records {
			if err == nil && paxMeans(key) {
				err = fmt.Errorf("%s for all entries", key)
			}
		}
		if err != nil {
			return fmt.Errorf("global pax header: %w", err)
		}
		return nil
	case typePAX:
		if x.any() {
			return errors.New("pax header: second extended header for one entry")
		}
		records, err := parsePAX(body)
		if err != nil {
			return fmt.Errorf("pax header: %w", err)
		}
		x.pax = records
		return nil
	}
	text, rest, ok := bytes.Cut(body, []byte{0})
	if !ok || len(rest) > 0 || len(text) == 0 {
		return errors.New("GNU long name: not one NUL-terminated name")
	}
	s := string(text)
	into := &x.name
	if kind == typeLongLink {
		into = &x.link
	}
	if x.pax != nil || *into != nil {
		return errors.New("GNU long name: second extended header for one entry")
	}
	*into = &s
	return nil
}

// parsePAX reads "LENGTH KEY=VALUE\n" records. A key may occur once.
func parsePAX(body []byte) (map[string]string, error) {
	records := make(map[string]string)
	for len(body) > 0 {
		digits, _, ok := bytes.Cut(body[:min(len(body), 9)], []byte{' '})
		if !ok || len(digits) == 0 || digits[0] == '0' {
			return nil, errors.New("record without length")
		}
		n, err := strconv.ParseUint(string(digits), 10, 31)
		if err != nil || int(n) > len(body) || int(n) < len(digits)+2 {
			return nil, fmt.Errorf("record of length %q", digits)
		}
		record := body[len(digits)+1 : n]
		body = body[n:]
		if record[len(record)-1] != '\n' {
			return nil, errors.New("record without newline")
		}
		key, value, ok := strings.Cut(string(record[:len(record)-1]), "=")
		if !ok || key == "" {
			return nil, errors.New("record without key")
		}
		if _, twice := records[key]; twice {
			return nil, fmt.Errorf("%s twice", key)
		}
		if err := checkRecord(key, value); err != nil {
			return nil, err
		}
		records[key] = value
	}
	return records, nil
}

// paxMeans reports whether a record changes the entry that we make.
func paxMeans(key string) bool {
	switch key {
	case "path", "linkpath", "size", "uid", "gid":
		return true
	}
	return strings.HasPrefix(key, paxXattr) && keptXattr(key[len(paxXattr):])
}

// checkRecord refuses records that change what an archive means in ways that
// are not followed here, and lets those be that only describe its maker.
func checkRecord(key, value string) error {
	switch key {
	case "mtime", "atime", "ctime", "comment", "uname", "gname", "charset":
		return nil
	case "hdrcharset":
		if value != "ISO-IR 10646 2000 UTF-8" {
			return fmt.Errorf("%s %q", key, value)
		}
		return nil
	case "path", "linkpath":
		if value == "" || strings.ContainsRune(value, 0) {
			return fmt.Errorf("%s %q", key, value)
		}
		return nil
	case "size", "uid", "gid":
		_, err := paxNumber(value)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	}
	if strings.HasPrefix(key, "GNU.sparse.") || strings.HasPrefix(key, "SCHILY.realsize") {
		return errors.New("sparse file")
	}
	if !strings.Contains(key, ".") {
		return fmt.Errorf("unknown record %q", key)
	}
	return nil
}

func paxNumber(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || strconv.FormatUint(n, 10) != s {
		return 0, fmt.Errorf("number %q", s)
	}
	return int64(n), nil
}

// entry joins the extensions with the entry's own header. root is true for the
// archive's top directory, which is not an entry.
func (x *extensions) entry(h header, loose bool) (e Entry, root bool, err error) {
	name := h.name
	if h.prefix != "" {
		name = h.prefix + "/" + name
	}
	link := h.link
	if x.name != nil {
		name = *x.name
	}
	if x.link != nil {
		link = *x.link
	}
	for key, value := range x.pax {
		switch key {
		case "path":
			name = value
		case "linkpath":
			link = value
		case "uid":
			h.uid, err = paxNumber(value)
		case "gid":
			h.gid, err = paxNumber(value)
		case "size":
			err = h.resize(value)
		}
		if err != nil {
			return Entry{}, false, fmt.Errorf("entry %q: %w", name, err)
		}
		if attr, ok := strings.CutPrefix(key, paxXattr); ok && keptXattr(attr) && (h.kind == typeFile || h.kind == typeDir) {
			if e.Xattrs == nil {
				e.Xattrs = make(map[string]string)
			}
			e.Xattrs[attr] = value
		}
	}
	if loose {
		name = tidy(name)
	}
	if h.uid > maxID || h.gid > maxID {
		return Entry{}, false, fmt.Errorf("entry %q: owner %d:%d", name, h.uid, h.gid)
	}
	e.Mode, e.UID, e.GID, e.Size, e.Link = uint32(h.mode&modeMask), int(h.uid), int(h.gid), h.size, link
	if err := e.setKind(h.kind); err != nil {
		return Entry{}, false, fmt.Errorf("entry %q: %w", name, err)
	}
	if e.Kind == Dir && (name == "." || name == "./") {
		return Entry{}, true, nil
	}
	if e.Kind == Dir {
		name = strings.TrimSuffix(name, "/")
	}
	e.Path = strings.TrimPrefix(name, "./")
	if e.Kind == Hardlink {
		e.Link = strings.TrimPrefix(e.Link, "./")
	}
	probe := e
	if e.Kind == File {
		probe.Digest = emptyDigest // not known yet
	}
	return e, false, CheckEntry(probe)
}

// emptyDigest is the sha256 of nothing.
const emptyDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// resize applies a PAX size. Readers that know PAX and readers that do not
// must find the same next header, but where ustar cannot state the size.
func (h *header) resize(value string) error {
	n, err := paxNumber(value)
	if err != nil {
		return err
	}
	if n != h.size && (n <= maxOctal12 || h.size != 0) {
		return fmt.Errorf("size %d in the pax header, %d in the ustar header", n, h.size)
	}
	h.size = n
	return nil
}

func (e *Entry) setKind(kind byte) error {
	switch kind {
	case typeFile:
		e.Kind = File
	case typeDir:
		e.Kind = Dir
	case typeSymlink:
		e.Kind, e.Mode = Symlink, linkMode
	case typeLink:
		e.Kind = Hardlink
	case '3', '4':
		return errors.New("device")
	case '6':
		return errors.New("FIFO")
	case 'S':
		return errors.New("sparse file")
	default:
		return fmt.Errorf("type %q", kind)
	}
	if linked := e.Kind == Symlink || e.Kind == Hardlink; linked != (e.Link != "") {
		return fmt.Errorf("link name %q", e.Link)
	}
	if e.Size != 0 && e.Kind != File {
		return errors.New("content on something that is not a file")
	}
	return nil
}

// tidy leaves out the parts of a name that lead nowhere: "." and the empty one
// between two slashes.
func tidy(name string) string {
	var out []string
	parts := strings.Split(name, "/")
	for i, part := range parts {
		if first, last := i == 0, i == len(parts)-1; part != "." && part != "" || (first || last) && part == "" {
			out = append(out, part)
		}
	}
	return strings.Join(out, "/")
}
