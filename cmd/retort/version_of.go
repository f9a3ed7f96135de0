package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/retort-build/retort/builder/source"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/tarball"
)

// releaseVersion is what a release may be called: it becomes a folder's name
// and part of file names.
var releaseVersion = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.+~-]{0,127}$`)

// version is the release version that the manifest names, or "" to leave it to
// mix.exs.
func (w *workspace) version(ctx context.Context) (string, error) {
	v := w.config.Release.Version
	var text string
	switch v.From {
	case env.VersionLiteral:
		text = v.Value
	case env.VersionFile:
		data, err := os.ReadFile(filepath.Join(w.dir, filepath.FromSlash(v.Path)))
		if err != nil {
			return "", fmt.Errorf("release.version: %w", err)
		}
		text = strings.TrimSpace(string(data))
	case env.VersionGit:
		out, err := source.Git(ctx, w.dir, "describe", "--tags", "--dirty", "--always",
			"--abbrev=12", // what git chooses by itself depends on how much the clone holds
			"--match", "v[0-9]*", "--match", "[0-9]*")
		if err != nil {
			return "", fmt.Errorf("release.version: %w", err)
		}
		text = gitVersion(strings.TrimSpace(string(out)))
	default:
		return "", nil
	}
	if !releaseVersion.MatchString(text) {
		return "", fmt.Errorf("release.version: %q is no version", text)
	}
	return text, nil
}

// gitVersion turns "v1.2.3-4-gabcdef0" into "1.2.3+4.gabcdef0", as semantic
// versions have it; without a tag it is 0.0.0 with the commit.
func gitVersion(described string) string {
	rest := strings.TrimPrefix(described, "v")
	if m := describedTag.FindStringSubmatch(rest); m != nil {
		return m[1] + "+" + m[2] + "." + m[3] + strings.ReplaceAll(m[4], "-", ".")
	}
	if !strings.Contains(rest, ".") {
		return "0.0.0+g" + strings.ReplaceAll(rest, "-", ".")
	}
	if tag, ok := strings.CutSuffix(rest, "-dirty"); ok {
		return tag + "+dirty"
	}
	return rest
}

var describedTag = regexp.MustCompile(`^(.+)-([0-9]+)-(g[0-9a-f]+)(-dirty)?$`)

// A commit is what git says of the source: when it was made, and its name if
// the work tree holds nothing else.
type commit struct {
	time     time.Time
	revision string
}

// commit asks git about the project. Outside of git the time is a fixed one.
func (w *workspace) commit(ctx context.Context) (commit, error) {
	none := commit{time: tarball.Epoch.UTC()}
	if !source.InGit(w.dir) {
		return none, nil
	}
	var clean bool
	var cleanErr error
	compared := make(chan struct{})
	go func() {
		defer close(compared)
		clean, cleanErr = source.Clean(ctx, w.dir)
	}()
	out, err := source.Git(ctx, w.dir, "log", "-1", "--format=%ct %H")
	<-compared
	if err != nil {
		if strings.Contains(err.Error(), "does not have any commits yet") {
			return none, nil
		}
		return none, err
	}
	fields := strings.Fields(string(out))
	if len(fields) != 2 {
		return none, fmt.Errorf("git log: unexpected answer %q", out)
	}
	seconds, err := strconv.ParseInt(fields[0], 10, 64)
	if err != nil {
		return none, fmt.Errorf("git log: %w", err)
	}
	c := commit{time: time.Unix(seconds, 0).UTC()}
	if clean {
		c.revision = fields[1]
	}
	return c, cleanErr
}
