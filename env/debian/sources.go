package debian

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/retort-build/retort/env"
)

// Tarballs lists the upstream tarballs of tools that the source indices of a
// suite have, those of its updates and security updates included: the newest
// first, and of one version those of the base suite first. It takes of the
// request what says where and when to look. A suite that no mirror has is a
// *fetch.NotFoundError.
func (a *Archive) Tarballs(ctx context.Context, req Request) ([]env.Source, error) {
	if !isName(req.Suite) || req.Now.IsZero() {
		return nil, fmt.Errorf("read sources of %q: want a suite and a time to check it against", req.Suite)
	}
	l, err := a.loader(&req)
	if err != nil {
		return nil, err
	}
	states, _, err := l.suites(ctx)
	if err != nil {
		return nil, fmt.Errorf("read sources of %s: %w", req.Suite, err)
	}
	var out []env.Source
	for _, s := range states {
		r, err := l.open(ctx, s, "main/source/Sources")
		if errors.Is(err, errNoIndex) && s.optional {
			continue
		}
		if err == nil {
			err = readTarballs(r, func(t env.Source) error {
				t.Suite, t.Date, t.Signers = s.name, s.release.Date.UTC().Format(time.RFC3339), s.release.Signers
				t.URL = env.DebianURL + s.archive + "/" + t.URL
				out = append(out, t)
				return nil
			})
		}
		if err != nil {
			return nil, fmt.Errorf("read sources of %s: %w", s.name, err)
		}
	}
	slices.SortStableFunc(out, func(a, b env.Source) int {
		return cmp.Or(strings.Compare(a.Tool, b.Tool), CompareVersions(b.Version, a.Version))
	})
	return out, nil
}

// The fields of a source package that are read.
const (
	sPackage = iota
	sVersion
	sDirectory
	sFiles
	sourceFields
)

// readTarballs gives the tools' tarballs of an index of sources to keep, with
// paths below the archive's root for URLs. It looks at no other package.
func readTarballs(r io.Reader, keep func(env.Source) error) error {
	in := newParagraphs(r)
	var values [sourceFields][]byte
	want := func(name []byte) *[]byte {
		switch string(name) {
		case "package":
			return &values[sPackage]
		case "version":
			return &values[sVersion]
		case "directory":
			return &values[sDirectory]
		case "checksums-sha256":
			return &values[sFiles]
		}
		return nil
	}
	for {
		for i := range values {
			values[i] = values[i][:0]
		}
		if err := in.next(want); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		tool := toolOfSource(string(values[sPackage]))
		if tool == "" {
			continue
		}
		t, ok, err := newTarball(tool, &values)
		if err != nil {
			return fmt.Errorf("source package %q before line %d: %w", values[sPackage], in.line, err)
		}
		if !ok {
			continue
		}
		if err := keep(t); err != nil {
			return err
		}
	}
}

func toolOfSource(name string) string {
	for tool, source := range sourcePackages {
		if source == name {
			return tool
		}
	}
	return ""
}

// newTarball finds the upstream tarball among the files of a source package.
// One that is Debian's own has none.
func newTarball(tool string, values *[sourceFields][]byte) (env.Source, bool, error) {
	version := string(values[sVersion])
	if err := CheckVersion(version); err != nil {
		return env.Source{}, false, err
	}
	_, upstream, _ := splitVersion(version)
	if !isDigit(upstream[0]) || strings.Contains(upstream, ":") || len(upstream) > 64 {
		return env.Source{}, false, nil // no version that a manifest can name
	}
	stem := string(values[sPackage]) + "_" + upstream + ".orig.tar."
	for line := range strings.Lines(string(values[sFiles])) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 3 {
			return env.Source{}, false, fmt.Errorf("checksums: line %q is malformed", strings.TrimSpace(line))
		}
		if f[2] != stem+"gz" && f[2] != stem+"xz" {
			continue
		}
		path := string(values[sDirectory]) + "/" + f[2]
		if !isPoolPath(path) {
			return env.Source{}, false, fmt.Errorf("bad path %q", path)
		}
		size, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil || size <= 0 || size > env.MaxSource {
			return env.Source{}, false, fmt.Errorf("bad size %q of %s", f[1], f[2])
		}
		d, err := parseDigest(f[0])
		if err != nil {
			return env.Source{}, false, err
		}
		return env.Source{Tool: tool, Version: released(UpstreamVersion(version)), URL: path, Size: size, Digest: d}, true, nil
	}
	return env.Source{}, false, nil
}
