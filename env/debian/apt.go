package debian

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const maxSources = 1 << 20

// FromAPT reads the mirrors of Debian suites from the APT sources of the
// system below root ("/" for this machine). Entries of other vendors, from
// disks or over mirror lists are passed over. A system without APT has none.
func FromAPT(root string) (Mirrors, error) {
	m := Mirrors{Archive: make(map[string][]string)}
	dir := filepath.Join(root, "etc/apt")
	files := []string{filepath.Join(dir, "sources.list")}
	entries, err := os.ReadDir(filepath.Join(dir, "sources.list.d"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Mirrors{}, fmt.Errorf("read APT sources: %w", err)
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if (ext == ".list" || ext == ".sources") && isName(strings.ReplaceAll(e.Name(), "_", "-")) {
			files = append(files, filepath.Join(dir, "sources.list.d", e.Name()))
		}
	}
	for _, path := range files {
		data, err := readBounded(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var found []aptSource
		if err == nil {
			if filepath.Ext(path) == ".sources" {
				found, err = parseSources(data)
			} else {
				found, err = parseList(data)
			}
		}
		if err != nil {
			return Mirrors{}, fmt.Errorf("read APT sources %s: %w", path, err)
		}
		for _, s := range found {
			s.addTo(m.Archive)
		}
	}
	return m, nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSources+1))
	if len(data) > maxSources {
		return nil, errors.New("too large")
	}
	return data, err
}

// aptSource is one entry: every combination of its URIs and suites.
type aptSource struct {
	uris, suites, components []string
	signedBy                 string
}

// addTo adds the bases of the entry's Debian suites.
func (s aptSource) addTo(archives map[string][]string) {
	// Other vendors name their suites after Debian's, but neither their keys
	// nor, mostly, their components.
	if !slices.Contains(s.components, "main") || s.signedBy != "" && !strings.Contains(s.signedBy, "debian-archive") {
		return
	}
	for _, uri := range s.uris {
		u, err := url.Parse(uri)
		if err != nil || strings.Contains(uri, "$(") {
			continue
		}
		if (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") && (u.Scheme != "file" || u.Host != "") {
			continue
		}
		base := strings.TrimRight(uri, "/")
		if u.Scheme == "file" {
			// APT also writes file:/path.
			base = (&url.URL{Scheme: "file", Path: strings.TrimRight(u.Path, "/")}).String()
		}
		for _, suite := range s.suites {
			archive := archiveOf(strings.TrimRight(suite, "/"))
			if archive != "" && !slices.Contains(archives[archive], base) {
				archives[archive] = append(archives[archive], base)
			}
		}
	}
}

// archiveOf is the archive that a suite of Debian is in, or "".
func archiveOf(suite string) string {
	base, pocket, _ := strings.Cut(suite, "-")
	if cut, ok := strings.CutSuffix(base, "/updates"); ok && pocket == "" {
		base, pocket = cut, "security"
	}
	known := slices.Contains([]string{
		"buster", "bullseye", "bookworm", "trixie", "forky", "duke", "sid", "experimental", "rc-buggy",
		"oldoldstable", "oldstable", "stable", "testing", "unstable",
	}, base)
	switch {
	case !known:
		return ""
	case pocket == "security":
		return SecurityArchive
	case slices.Contains([]string{"", "updates", "backports", "backports-sloppy", "proposed-updates"}, pocket):
		return MainArchive
	}
	return ""
}

// parseList reads the one-line format.
func parseList(data []byte) ([]aptSource, error) {
	var out []aptSource
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line, _, _ = strings.Cut(line, "#")
		kind, rest, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(line, "\t", " ")), " ")
		rest = strings.TrimSpace(rest)
		if kind == "" || kind == "deb-src" {
			continue
		}
		if kind != "deb" {
			return nil, fmt.Errorf("line %d: unknown type %q", n, kind)
		}
		var s aptSource
		if after, ok := strings.CutPrefix(rest, "["); ok {
			options, tail, closed := strings.Cut(after, "]")
			if !closed {
				return nil, fmt.Errorf("line %d: options are not closed", n)
			}
			for option := range strings.FieldsSeq(options) {
				if value, ok := strings.CutPrefix(option, "signed-by="); ok {
					s.signedBy = value
				}
			}
			rest = strings.TrimSpace(tail)
		}
		if strings.HasPrefix(rest, "cdrom:") {
			continue
		}
		f := strings.Fields(rest)
		if len(f) < 2 {
			return nil, fmt.Errorf("line %d: want a URI and a suite", n)
		}
		s.uris, s.suites, s.components = f[:1], f[1:2], f[2:]
		out = append(out, s)
	}
	return out, nil
}

// parseSources reads the deb822 format.
func parseSources(data []byte) ([]aptSource, error) {
	in := newParagraphs(bytes.NewReader(data))
	var out []aptSource
	for {
		var types, uris, suites, components, signedBy, enabled []byte
		err := in.next(func(name []byte) *[]byte {
			switch string(name) {
			case "types":
				return &types
			case "uris":
				return &uris
			case "suites":
				return &suites
			case "components":
				return &components
			case "signed-by":
				return &signedBy
			case "enabled":
				return &enabled
			}
			return nil
		})
		if err == io.EOF {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		off := slices.Contains([]string{"no", "false", "without", "off", "disable", "0"}, strings.ToLower(string(enabled)))
		if off || !slices.Contains(strings.Fields(string(types)), "deb") {
			continue
		}
		out = append(out, aptSource{
			uris: strings.Fields(string(uris)), suites: strings.Fields(string(suites)),
			components: strings.Fields(string(components)), signedBy: string(signedBy),
		})
	}
}
