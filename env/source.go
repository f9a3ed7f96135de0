package env

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
)

// Source is the pin of a tool's source release, the same on all platforms.
type Source struct {
	Tool    string // one of ToolNames
	Want    string // ToolSpec.Want
	Version string // exact
	// URL says where the file is and names no mirror: "debian:ARCHIVE/PATH"
	// below the root of Debian's archives, "file:PATH" relative to the lock's
	// folder, an http address that the manifest names, or the scheme of an
	// upstream.
	URL    string
	Size   int64
	Digest digest.Digest
	// Suite of Debian that lists the file, and the Date of its release in
	// RFC 3339, or "" for what is not Debian's.
	Suite, Date string
	// Signers are the keys whose signatures vouch for the file, sorted. There
	// may be none.
	Signers []string
}

// MaxSource bounds the bytes of a source release.
const MaxSource = 1 << 30

// DebianURL begins the address of a file of Debian's archives.
const DebianURL = "debian:"

// Debian returns the archive and the path below it of a file of Debian's.
func (s Source) Debian() (archive, path string, ok bool) {
	rest, ok := strings.CutPrefix(s.URL, DebianURL)
	archive, path, found := strings.Cut(rest, "/")
	return archive, path, ok && found
}

// Source returns the pin of a tool: of the spec whose Want is want.
func (l *Lock) Source(tool, want string) (Source, bool) {
	for _, s := range l.Sources {
		if s.Tool == tool && s.Want == want {
			return s, true
		}
	}
	return Source{}, false
}

// CompareSources orders the sources of a lock.
func CompareSources(a, b Source) int {
	return cmp.Or(strings.Compare(a.Tool, b.Tool), strings.Compare(a.Want, b.Want))
}

func (c *lockChecker) sources(all []Source) {
	for i, s := range all {
		at := "sources[" + strconv.Itoa(i) + "]."
		if i > 0 && CompareSources(all[i-1], s) >= 0 {
			c.fail(at+"want", fmt.Errorf("%s is out of order or listed twice", quote(s.Tool+" "+s.Want)))
		}
		if !slices.Contains(ToolNames(), s.Tool) {
			c.fail(at+"tool", fmt.Errorf("%s: want %s", quote(s.Tool), strings.Join(ToolNames(), ", ")))
		}
		if plainEnd(s.Want) != len(s.Want) || !between(len(s.Want), 1, 4096) || !digitBytes[s.Want[0]] {
			c.fail(at+"want", fmt.Errorf("%s: want a version, and where it is looked for", quote(s.Want)))
		}
		c.fail(at+"version", problem(checkVersion, s.Version))
		c.fail(at+"url", checkLocation(s.URL))
		if s.Size <= 0 || s.Size > MaxSource {
			c.fail(at+"size", fmt.Errorf("%d: want 1 to %d bytes", s.Size, int64(MaxSource)))
		}
		c.fail(at+"digest", digestProblem(s.Digest))
		c.suiteOf(at, s)
		for j, f := range s.Signers {
			if !signerBytes.hold(f) || !between(len(f), 1, 256) || j > 0 && s.Signers[j-1] >= f {
				c.fail(at+"signers", fmt.Errorf("%s: want sorted names of keys", quote(f)))
			}
		}
	}
}

// suiteOf checks that what is Debian's says when it was, and nothing else does.
func (c *lockChecker) suiteOf(at string, s Source) {
	if _, _, debian := s.Debian(); !debian {
		if s.Suite != "" || s.Date != "" {
			c.fail(at+"suite", errors.New("only goes with a file of Debian's"))
		}
		return
	}
	c.fail(at+"suite", problem(checkSuite, s.Suite))
	c.fail(at+"date", dateProblem(s.Date))
}

func dateProblem(s string) error {
	if t, err := time.Parse(time.RFC3339, s); err != nil || t.UTC().Format(time.RFC3339) != s {
		return fmt.Errorf("%s: want a time such as 2026-11-20T08:15:00Z", quote(s))
	}
	return nil
}

// signerBytes make a fingerprint, or who signed without a key of one's own.
var signerBytes = bytesOf(alnum + "@._:/+-")

// checkLocation keeps what Source.URL may be.
func checkLocation(s string) error {
	scheme, rest, ok := strings.Cut(s, ":")
	switch {
	case !ok || !between(len(s), 1, 2048):
	case scheme == "http" || scheme == "https":
		_, err := checkURL(s)
		return err
	case scheme == "file":
		if checkRelative(rest) == nil {
			return nil
		}
	case suiteForm.MatchString(scheme) && pathBytes.hold(rest) && isBelow(rest):
		return nil
	}
	return fmt.Errorf("%s: want the address of a file, such as debian:debian/pool/main/e/erlang/x.tar.xz", quote(s))
}

// checkRelative keeps a path that a lock may hold, which may begin with ../.
func checkRelative(s string) error {
	if !pathBytes.hold(s) || path.IsAbs(s) || path.Clean(s) != s || s == "." || path.Base(s) == ".." {
		return fmt.Errorf("%s: want a clean relative path of letters, digits and . + ~ : - _ %% /", quote(s))
	}
	return nil
}

// isBelow says whether a path is a clean one without a way up.
func isBelow(s string) bool {
	return s != "" && s != "." && s != ".." && !path.IsAbs(s) && path.Clean(s) == s && !strings.HasPrefix(s, "../")
}
