package debian

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/retort-build/retort/env"
)

// The names of Debian's archives, as they stand in locks and in Mirrors.
const (
	MainArchive     = "debian"
	SecurityArchive = "debian-security"
)

// SnapshotService keeps every state of Debian's archives.
const SnapshotService = "https://snapshot.debian.org/archive"

// Mirrors says where the archives are reached. The zero value knows the
// snapshot service alone.
type Mirrors struct {
	// Archive gives for MainArchive and SecurityArchive the base URLs, best
	// first. Without an entry for SecurityArchive, siblings of the bases of
	// MainArchive are tried.
	Archive map[string][]string
	// Snapshot is the base of a service that keeps old states at
	// /<archive>/<YYYYMMDDTHHMMSSZ>/; "" is SnapshotService, "none" none.
	Snapshot string
}

// FromBase reads a mirror's base URL as RETORT_DEBIAN_MIRROR gives it: the
// archives are its /debian and /debian-security, or it is itself the main
// archive when it ends with /debian.
func FromBase(base string) (Mirrors, error) {
	u, err := url.Parse(base)
	if err != nil {
		// url.Error would repeat a password.
		return Mirrors{}, fmt.Errorf("read mirror: not a URL")
	}
	if (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") && (u.Scheme != "file" || u.Host != "") ||
		u.RawQuery != "" || u.Fragment != "" {
		return Mirrors{}, fmt.Errorf("read mirror %q: want an http, https or file URL without query", u.Redacted())
	}
	base = strings.TrimRight(base, "/")
	if strings.HasSuffix(base, "/"+MainArchive) {
		return Mirrors{Archive: map[string][]string{MainArchive: {base}}}, nil
	}
	return Mirrors{Archive: map[string][]string{
		MainArchive:     {base + "/" + MainArchive},
		SecurityArchive: {base + "/" + SecurityArchive},
	}}, nil
}

// Then returns m with other's bases after its own. The result takes its
// snapshot service from m, or from other where m leaves it open.
func (m Mirrors) Then(other Mirrors) Mirrors {
	out := Mirrors{Archive: make(map[string][]string), Snapshot: m.Snapshot}
	if out.Snapshot == "" {
		out.Snapshot = other.Snapshot
	}
	for _, archive := range []string{MainArchive, SecurityArchive} {
		var all []string
		if len(m.Archive[MainArchive]) > 0 || len(m.Archive[archive]) > 0 {
			all = m.bases(archive)
		}
		for _, base := range other.bases(archive) {
			if !slices.Contains(all, base) {
				all = append(all, base)
			}
		}
		if len(all) > 0 {
			out.Archive[archive] = all
		}
	}
	return out
}

// bases lists the base URLs of an archive. A mirror's security archive lies
// next to its main one.
func (m Mirrors) bases(archive string) []string {
	if all := m.Archive[archive]; len(all) > 0 || archive != SecurityArchive {
		return slices.Clone(all)
	}
	var out []string
	for _, base := range m.Archive[MainArchive] {
		base = strings.TrimRight(base, "/")
		if i := strings.LastIndexByte(base, '/'); i > 0 && base[i-1] != '/' {
			out = append(out, base[:i]+"/"+SecurityArchive)
		}
	}
	return out
}

// snapshot is the base of an archive as it stood at a time, or "".
func (m Mirrors) snapshot(archive string, at time.Time) string {
	base := m.Snapshot
	if base == "none" {
		return ""
	} else if base == "" {
		base = SnapshotService
	}
	return strings.TrimRight(base, "/") + "/" + archive + "/" + at.UTC().Format("20060102T150405Z")
}

// settled is how long after the date of a Release the state of the snapshot
// service is sure to hold its files: it is taken about every six hours, and
// superseded files stay in the archive for more than a day.
const settled = 12 * time.Hour

// Candidates returns the URLs at which a package may be served, in the order
// in which to try them: mirrors first, then the snapshot service at the time
// of the suite that the package was taken from.
func (m Mirrors) Candidates(p env.Package, suites []env.Suite) []string {
	out := join(nil, m.bases(p.Archive), p.Path)
	for _, s := range suites {
		if s.Archive == p.Archive && s.Name == p.Suite {
			out = join(out, m.kept(p.Archive, s.Date), p.Path)
		}
	}
	return out
}

// SourceCandidates is Candidates for a source release of Debian's: the mirrors
// apart from the snapshot service. Of anything else there are none.
func (m Mirrors) SourceCandidates(s env.Source) (mirrors, snapshots []string) {
	archive, path, ok := s.Debian()
	if !ok {
		return nil, nil
	}
	return join(nil, m.bases(archive), path), join(nil, m.kept(archive, s.Date), path)
}

// kept are the bases of an archive at the snapshot service about the date of a
// Release.
func (m Mirrors) kept(archive, date string) []string {
	at, err := time.Parse(time.RFC3339, date)
	if err != nil {
		return nil
	}
	return []string{m.snapshot(archive, at.Add(settled)), m.snapshot(archive, at)}
}

// join adds to out the addresses of a path below each base, each once. A base
// of "" is none.
func join(out, bases []string, path string) []string {
	for _, base := range bases {
		if base == "" {
			continue
		}
		u := strings.TrimRight(base, "/") + "/" + (&url.URL{Path: path}).EscapedPath()
		if !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	return out
}
