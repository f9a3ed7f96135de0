package env

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// maxLock bounds the bytes of a lock. A thousand packages on two platforms
// take one megabyte.
const maxLock = 16 << 20

// LoadLock reads and checks a lock file. It returns ErrNoLock if there is none,
// and what DecodeLock returns otherwise.
func LoadLock(path string) (*Lock, error) {
	data, err := ReadRegular(path, maxLock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", path, ErrNoLock)
	}
	if err != nil {
		return nil, fmt.Errorf("read lock: %w", err)
	}
	return DecodeLock(path, data)
}

// DecodeLock reads a lock from its canonical bytes; name stands for it in
// messages. What it returns passes Validate and encodes to the same bytes. It
// returns an ErrorList, in which errors.Is finds ErrNewerLock and ErrLockForm.
func DecodeLock(name string, data []byte) (*Lock, error) {
	if len(data) > maxLock {
		return nil, ErrorList{{File: name, Err: fmt.Errorf("longer than %d bytes", maxLock)}}
	}
	p := lockParser{s: string(data)}
	l := p.lock()
	if p.bad {
		return nil, ErrorList{explainLock(name, data, p.pos)}
	}
	if err := l.problems(name); err != nil {
		return nil, err
	}
	if again := EncodeLock(l); !bytes.Equal(again, data) {
		at := 0
		for at < min(len(again), len(data)) && again[at] == data[at] {
			at++
		}
		return nil, ErrorList{{File: name, Line: lineNumber(data, at), Err: ErrLockForm}}
	}
	return l, nil
}

func lineNumber(data []byte, pos int) int {
	return 1 + bytes.Count(data[:pos], []byte("\n"))
}

var lockVersionLine = regexp.MustCompile(`(?m)^version *= *([0-9]{1,9}) *\r?$`)

// explainLock says why bytes are not a canonical lock, of which the first pos
// bytes could be read. Only here the TOML parser sees a lock: on 800 packages
// it alone needs 22 ms where all of DecodeLock needs 2.
func explainLock(name string, data []byte, pos int) Error {
	if m := lockVersionLine.FindSubmatch(data); m != nil {
		if v, _ := strconv.Atoi(string(m[1])); v > LockVersion {
			return Error{File: name, Err: fmt.Errorf("lock version %d, this retort reads %d: %w", v, LockVersion, ErrNewerLock)}
		}
	}
	if i := bytes.Index(data, []byte("\n<<<<<<< ")); i >= 0 {
		return Error{File: name, Line: lineNumber(data, i+1), Err: fmt.Errorf("conflict of a merge: %w", ErrLockForm)}
	}
	if bytes.Contains(data, []byte("\r\n")) {
		return Error{File: name, Err: fmt.Errorf("lines end in CR LF, .gitattributes should have %q: %w", "toolchain.lock -text", ErrLockForm)}
	}
	if _, _, err := parseTOML(data); err != nil {
		var e Error
		errors.As(err, &e)
		return Error{File: name, Line: e.Line, Key: e.Key, Err: fmt.Errorf("%w: %w", ErrLockForm, e.Err)}
	}
	return Error{File: name, Line: lineNumber(data, pos), Err: ErrLockForm}
}

// lockParser reads what lockWriter writes and nothing else. After the first
// byte that is not as expected bad is set, and pos stays there.
type lockParser struct {
	s   string
	pos int
	bad bool
}

// has passes a literal if the text goes on with it.
func (p *lockParser) has(lit string) bool {
	if p.bad || !strings.HasPrefix(p.s[p.pos:], lit) {
		return false
	}
	p.pos += len(lit)
	return true
}

func (p *lockParser) want(lit string) {
	if !p.has(lit) {
		p.bad = true
	}
}

// plainEnd is the length of the part of s that needs no escape in TOML and is
// printable ASCII.
func plainEnd(s string) int {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return i
		}
	}
	return len(s)
}

// str reads a string after a literal.
func (p *lockParser) str(before string) string {
	p.want(before + `"`)
	if p.bad {
		return ""
	}
	n := strings.IndexByte(p.s[p.pos:], '"')
	if n < 0 || plainEnd(p.s[p.pos:p.pos+n]) != n {
		p.bad = true
		return ""
	}
	out := p.s[p.pos : p.pos+n]
	p.pos += n + 1
	return out
}

func (p *lockParser) digest(before string) digest.Digest { return digest.Digest(p.str(before)) }

func (p *lockParser) list(before string) []string {
	p.want(before + "[")
	if p.bad || p.has("]") {
		return nil
	}
	// Counting first saves growing the slice: the names hold no comma.
	end := strings.IndexByte(p.s[p.pos:], ']')
	if end < 0 {
		p.bad = true
		return nil
	}
	out := make([]string, 0, 1+strings.Count(p.s[p.pos:p.pos+end], ","))
	out = append(out, p.str(""))
	for !p.bad && !p.has("]") {
		out = append(out, p.str(", "))
	}
	return out
}

func (p *lockParser) number(before string) int64 {
	p.want(before)
	n := 0
	for p.pos+n < len(p.s) && p.s[p.pos+n] >= '0' && p.s[p.pos+n] <= '9' {
		n++
	}
	v, err := strconv.ParseInt(p.s[p.pos:p.pos+n], 10, 64)
	if err != nil {
		p.bad = true
		return 0
	}
	p.pos += n
	return v
}

func (p *lockParser) lock() *Lock {
	l := &Lock{Sets: make(map[Platform]map[string][]string)}
	p.want(lockHeader + "version = " + strconv.Itoa(LockVersion) + "\n")
	l.Manifest = p.digest("manifest = ")
	p.want("\n")
	if p.has("\nsuites = [\n") {
		for !p.bad && !p.has("]\n") {
			l.Suites = append(l.Suites, p.suite())
		}
	}
	if p.has("\nplugins = [\n") {
		for !p.bad && !p.has("]\n") {
			l.Plugins = append(l.Plugins, p.plugin())
		}
	}
	if p.has("\ntools = [\n") {
		for !p.bad && !p.has("]\n") {
			l.Tools = append(l.Tools, p.tool())
		}
	}
	if p.has("\nsources = [\n") {
		for !p.bad && !p.has("]\n") {
			l.Sources = append(l.Sources, p.source())
		}
	}
	for _, platform := range Platforms() {
		if p.has("\n[sets." + platform.Arch() + "]\n") {
			l.Sets[platform] = p.sets()
		}
	}
	if p.has("\n[packages]\n") {
		l.Packages = make([]Package, 0, strings.Count(p.s[p.pos:], "\n"))
		for _, platform := range Platforms() {
			if !p.has(platform.Arch() + " = [\n") {
				continue
			}
			for !p.bad && !p.has("]\n") {
				l.Packages = append(l.Packages, p.pkg(platform))
			}
		}
	}
	p.bad = p.bad || p.pos < len(p.s)
	return l
}

func (p *lockParser) suite() (s Suite) {
	s.Archive = p.str("  { archive = ")
	s.Name = p.str(", name = ")
	s.Date = p.str(", date = ")
	s.InRelease = p.digest(", inrelease = ")
	s.Signers = p.list(", signers = ")
	p.want(" },\n")
	return s
}

func (p *lockParser) plugin() (h HexPin) {
	h.Name = p.str("  { name = ")
	h.Version = p.str(", version = ")
	h.Repo = p.str(", repo = ")
	h.Inner = p.digest(", inner = ")
	h.Outer = p.digest(", outer = ")
	p.want(" },\n")
	return h
}

func (p *lockParser) tool() (t Tool) {
	t.Name = p.str("  { name = ")
	t.Version = p.str(", version = ")
	t.Platform = Platform("linux/" + p.str(", arch = "))
	t.URL = p.str(", url = ")
	t.Size = p.number(", size = ")
	t.Digest = p.digest(", digest = ")
	p.want(" },\n")
	return t
}

func (p *lockParser) source() (s Source) {
	s.Tool = p.str("  { tool = ")
	s.Want = p.str(", want = ")
	s.Version = p.str(", version = ")
	s.URL = p.str(", url = ")
	s.Size = p.number(", size = ")
	s.Digest = p.digest(", digest = ")
	if p.has(", suite = ") {
		s.Suite = p.str("")
		s.Date = p.str(", date = ")
	}
	if p.has(", signers = ") {
		s.Signers = p.list("")
	}
	p.want(" },\n")
	return s
}

// sets reads the sets of a platform, up to the empty line or the end.
func (p *lockParser) sets() map[string][]string {
	sets := make(map[string][]string)
	for !p.bad && p.pos < len(p.s) && p.s[p.pos] != '\n' {
		var name string
		if p.s[p.pos] == '"' {
			name = p.str("")
		} else {
			n := max(strings.IndexByte(p.s[p.pos:], ' '), 0)
			name = p.s[p.pos : p.pos+n]
			p.pos += n
		}
		if _, twice := sets[name]; twice {
			p.bad = true
		}
		sets[name] = p.list(" = ")
		p.want("\n")
	}
	return sets
}

func (p *lockParser) pkg(platform Platform) Package {
	out := Package{Platform: platform}
	out.Name = p.str("  { name = ")
	out.Version = p.str(", version = ")
	out.Architecture = p.str(", arch = ")
	out.Source = p.str(", source = ")
	out.Archive = p.str(", archive = ")
	out.Suite = p.str(", suite = ")
	out.Path = p.str(", path = ")
	out.Size = p.number(", size = ")
	out.Digest = p.digest(", digest = ")
	out.Depends = p.list(", depends = ")
	p.want(" },\n")
	return out
}
