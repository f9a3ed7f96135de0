package git

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/retort-build/retort/env/hex"
)

// Source is one git dependency as mix.lock has it.
type Source struct {
	URL        string // as mix.exs writes it
	Commit     string // SHA-1 or SHA-256 in hex
	Tag        string // name of the tag that the commit was found by, or ""
	Sparse     string // the only folder that Mix checks out, or ""
	Submodules bool
}

// FromLock reads the entry of a git dependency. It refuses what cannot be
// fetched safely, or not as Mix does it.
func FromLock(l hex.Locked) (Source, error) {
	s := Source{URL: l.URL, Commit: l.Commit}
	if l.Kind != hex.Git {
		return s, fmt.Errorf("dependency %s: not from git", l.App)
	}
	if err := checkURL(l.URL); err != nil {
		return s, fmt.Errorf("dependency %s: %w", l.App, err)
	}
	for _, o := range l.Options {
		switch o.Key {
		case "tag":
			s.Tag = o.Value
		case "sparse":
			s.Sparse = o.Value
			if _, err := newSparse(o.Value); err != nil {
				return s, fmt.Errorf("dependency %s: %w", l.App, err)
			}
		case "submodules":
			s.Submodules = o.Value == "true"
		case "subdir":
			// Where in the tree the project lies is Mix's affair.
			if p := path.Clean(o.Value); p == "." || p == ".." || path.IsAbs(p) || strings.HasPrefix(p, "../") {
				return s, fmt.Errorf("dependency %s: subdir: %q is no folder of the repository", l.App, o.Value)
			}
		case "branch", "ref", "depth":
			// The commit is pinned: how it was found changes nothing.
		default:
			return s, fmt.Errorf("dependency %s: retort does not know the option %s: of git dependencies", l.App, o.Key)
		}
	}
	return s, nil
}

// sparse decides which paths a sparse checkout with one pattern has.
type sparse struct {
	pattern  string
	anchored bool // the pattern starts at the top, else at any folder
	folder   bool // it matches folders only
}

// newSparse reads the option sparse:, which Mix writes to git's file
// info/sparse-checkout. It is also a path below which Mix looks for the
// project, so patterns with wildcards make no sense and are refused.
func newSparse(pattern string) (sparse, error) {
	trimmed := strings.Trim(pattern, "/")
	if trimmed == "" || len(pattern) > 1024 || path.Clean(trimmed) != trimmed || strings.HasPrefix(trimmed, "..") || trimmed == "." ||
		strings.ContainsAny(pattern, "*?[]\\\n\r\x00") || strings.HasPrefix(pattern, "!") || strings.HasPrefix(pattern, "#") || strings.HasSuffix(pattern, " ") {
		return sparse{}, fmt.Errorf("sparse: %q is no folder of the repository", pattern)
	}
	return sparse{
		pattern:  trimmed,
		anchored: strings.HasPrefix(pattern, "/") || strings.Contains(trimmed, "/"),
		folder:   strings.HasSuffix(pattern, "/"),
	}, nil
}

// has reports whether a file is checked out.
func (s sparse) has(file string) bool {
	switch {
	case s.pattern == "":
		return true
	case s.anchored:
		return file == s.pattern && !s.folder || strings.HasPrefix(file, s.pattern+"/")
	}
	dir, base := path.Split(file)
	return base == s.pattern && !s.folder || strings.Contains("/"+dir, "/"+s.pattern+"/")
}

var (
	helperForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+.-]*::`)
	schemeForm = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://`)
	secretForm = regexp.MustCompile(`://[^/\s'"]*@`)
	tagForm    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_+-]*([./][A-Za-z0-9_+-]+)*$`)
)

// Redact takes user names and passwords out of the URLs in a text.
func Redact(text string) string { return secretForm.ReplaceAllString(text, "://***@") }

// transport is the protocol by which git reaches a URL: "http", "https",
// "ssh", "git" or "file".
func transport(url string) (string, error) {
	if url == "" || len(url) > 4096 || url[0] == '-' || strings.ContainsFunc(url, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%q is no address of a git repository", Redact(url))
	}
	if helperForm.MatchString(url) {
		return "", fmt.Errorf("%s: remote helpers of git are not used: give an https, ssh or git URL", Redact(url))
	}
	if m := schemeForm.FindStringSubmatch(url); m != nil {
		host := url[len(m[0]):]
		if strings.HasPrefix(host, "-") {
			return "", fmt.Errorf("%s: its host begins with a dash", Redact(url))
		}
		switch m[1] {
		case "http", "https", "git", "ssh", "file":
			return m[1], nil
		case "git+ssh", "ssh+git":
			return "ssh", nil
		}
		return "", fmt.Errorf("%s: want an https, http, ssh, git or file URL", Redact(url))
	}
	colon, slash := strings.IndexByte(url, ':'), strings.IndexByte(url, '/')
	switch {
	case colon >= 0 && (slash < 0 || colon < slash):
		return "ssh", nil
	case slash == 0:
		return "file", nil
	}
	return "", fmt.Errorf("%s: a path relative to deps/: give an absolute path or a URL", Redact(url))
}

// checkURL refuses what must not be fetched, and secrets: the address of a
// dependency is written in a layer, where Mix compares it with mix.exs.
func checkURL(url string) error {
	protocol, err := transport(url)
	if err != nil {
		return err
	}
	m := schemeForm.FindString(url)
	if m == "" {
		return nil
	}
	authority, _, _ := strings.Cut(url[len(m):], "/")
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return nil
	}
	user, _, hasPassword := strings.Cut(authority[:at], ":")
	if !hasPassword && (protocol == "ssh" || user == "git") {
		return nil
	}
	clean := m + authority[at+1:] + strings.TrimPrefix(url[len(m):], authority)
	return fmt.Errorf("%s: mix.exs has a user or password in the URL, which would end up in layers: write %s there, "+
		"and give the password to git alone, by a credential helper, ~/.netrc, or git config --global url.<URL with password>.insteadOf", Redact(url), Redact(clean))
}

// relativeURL is where a submodule lies whose URL begins with ./ or ../, as
// git resolves it against the address of the repository that has it.
func relativeURL(parent, url string) (string, error) {
	base, separator, rest := strings.TrimSuffix(parent, "/"), "/", url
	out := fmt.Errorf("submodule URL %q leads out of %s", url, Redact(parent))
	host := ""
	if m := schemeForm.FindString(parent); m != "" {
		authority, _, _ := strings.Cut(parent[len(m):], "/")
		host = m + authority
	}
	for {
		if after, ok := strings.CutPrefix(rest, "./"); ok {
			rest = after
			continue
		}
		after, ok := strings.CutPrefix(rest, "../")
		if !ok {
			return base + separator + strings.TrimSuffix(rest, "/"), nil
		}
		rest = after
		if i := strings.LastIndexByte(base, '/'); i >= 0 {
			base = base[:i]
		} else if i := strings.LastIndexByte(base, ':'); i >= 0 {
			base, separator = base[:i], ":"
		} else {
			return "", out
		}
		if host != "" && !strings.HasPrefix(base, host) {
			return "", out
		}
	}
}
