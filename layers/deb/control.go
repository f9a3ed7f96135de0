package deb

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Control is the control data of a package.
type Control struct {
	Identity
	Source        string   // source package name
	InstalledSize int64    // KiB, as the package claims; 0 when it says nothing
	Stanza        []byte   // the control file, verbatim
	Members       []string // names of the other control members, sorted
}

// A name becomes a part of paths, so its alphabet is what keeps them in place.
var (
	nameRE    = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	versionRE = regexp.MustCompile(`^[0-9A-Za-z.+~:-]+$`)
	archRE    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)
)

// ParseControl reads the control file of a binary package: one stanza of
// fields, in the syntax of deb-control(5).
func ParseControl(stanza []byte) (*Control, error) {
	fields, err := parseStanza(stanza)
	if err != nil {
		return nil, err
	}
	c := &Control{
		Identity: Identity{
			Name:         fields["package"],
			Version:      fields["version"],
			Architecture: fields["architecture"],
		},
		Stanza: stanza,
	}
	if !nameRE.MatchString(c.Name) || len(c.Name) > 128 {
		return nil, fmt.Errorf("bad Package %q", c.Name)
	}
	if !versionRE.MatchString(c.Version) || len(c.Version) > 256 {
		return nil, fmt.Errorf("bad Version %q", c.Version)
	}
	if !archRE.MatchString(c.Architecture) {
		return nil, fmt.Errorf("bad Architecture %q", c.Architecture)
	}
	// The version follows in parentheses where it differs from the binary's.
	c.Source, _, _ = strings.Cut(fields["source"], " ")
	if c.Source == "" {
		c.Source = c.Name
	}
	if !nameRE.MatchString(c.Source) {
		return nil, fmt.Errorf("bad Source %q", c.Source)
	}
	if s := fields["installed-size"]; s != "" {
		n, err := strconv.ParseUint(s, 10, 40)
		if err != nil {
			return nil, fmt.Errorf("bad Installed-Size %q", s)
		}
		c.InstalledSize = int64(n)
	}
	return c, nil
}

// parseStanza returns the first line of every field, by lower-case name.
func parseStanza(text []byte) (map[string]string, error) {
	fields := make(map[string]string)
	last := ""
	body := bytes.TrimRight(text, "\n")
	for i, line := range strings.Split(string(body), "\n") {
		if strings.IndexByte(line, 0) >= 0 {
			return nil, fmt.Errorf("line %d: zero byte", i+1)
		}
		if line == "" {
			return nil, fmt.Errorf("line %d: second stanza", i+1)
		}
		if line[0] == ' ' || line[0] == '\t' {
			if last == "" {
				return nil, fmt.Errorf("line %d: continues no field", i+1)
			}
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
			return nil, fmt.Errorf("line %d: want a field", i+1)
		}
		last = strings.ToLower(name)
		if _, dup := fields[last]; dup {
			return nil, fmt.Errorf("line %d: second %s", i+1, name)
		}
		fields[last] = strings.TrimSpace(value)
	}
	return fields, nil
}

// check says how the package differs from what was asked for.
func (c *Control) check(want Identity) error {
	for _, f := range []struct{ what, want, got string }{
		{"Package", want.Name, c.Name},
		{"Version", want.Version, c.Version},
		{"Architecture", want.Architecture, c.Architecture},
	} {
		if f.want != "" && f.want != f.got {
			return fmt.Errorf("%s is %q, want %q", f.what, f.got, f.want)
		}
	}
	return nil
}
