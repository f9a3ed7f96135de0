package upstream

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/retort-build/retort/internal/fetch"
)

// What to do when upstream gives no answer, or none that helps.
const (
	ownTarball = "give the manifest the url and sha256 of the tarball"
	advice     = "try again, name a mirror under [upstream] in the configuration file, or " + ownTarball
)

// VersionError says that a tool has no release of a wanted version.
type VersionError struct {
	Tool, Want string
	Nearest    []string // the best first
	Available  []string // all there are, newest first
}

func (e *VersionError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s has no release %s", e.Tool, e.Want)
	if len(e.Nearest) > 0 {
		fmt.Fprintf(&b, "; nearest are %s", strings.Join(e.Nearest, ", "))
	}
	if newest := e.newest(); len(newest) > 0 {
		fmt.Fprintf(&b, "; newest of each series: %s", strings.Join(newest, ", "))
	}
	return b.String()
}

// newest is the newest release of each of the latest series.
func (e *VersionError) newest() []string {
	const maxSeries = 6
	parts := 2
	if e.Tool == "otp" {
		parts = 1
	}
	var out, seen []string
	for _, v := range e.Available {
		numbers := strings.Split(v, ".")
		series := strings.Join(numbers[:min(parts, len(numbers))], ".")
		if strings.Contains(v, "-") || slices.Contains(seen, series) {
			continue
		}
		seen = append(seen, series)
		if out = append(out, v); len(out) == maxSeries {
			break
		}
	}
	return out
}

// MismatchError says that a tarball is not what upstream published.
type MismatchError struct {
	Tool, Version string
	What          string // "sha256", "commit"
	Want, Got     string
	Source        string // who says what is wanted
}

func (e *MismatchError) Error() string {
	got := e.Got
	if got == "" {
		got = "none"
	}
	return fmt.Sprintf("source of %s %s: want %s %s as %s has it, got %s: fetch it again, from another mirror if one is set; if that gives the same, upstream changed it, and you must judge which is right: then %s",
		e.Tool, e.Version, e.What, e.Want, e.Source, got, ownTarball)
}

// SignatureError says that a release carries no signature that can be trusted.
type SignatureError struct {
	Tool, Version string
	Reason        string
}

func (e *SignatureError) Error() string {
	return fmt.Sprintf("source of %s %s: no good signature: %s: take another version, or, if you trust it all the same, %s",
		e.Tool, e.Version, e.Reason, ownTarball)
}

// unpublishedError says that a version has no tarball anywhere.
type unpublishedError struct {
	tool, version string
	err           *fetch.NotFoundError
}

func (e *unpublishedError) Error() string {
	return fmt.Sprintf("%s %s has no tarball: %v", e.tool, e.version, e.err)
}

func (e *unpublishedError) Unwrap() error { return e.err }

func isUnpublished(err error) bool {
	var e *unpublishedError
	return errors.As(err, &e)
}

func without(versions []string, gone string) []string {
	return slices.DeleteFunc(slices.Clone(versions), func(v string) bool { return v == gone })
}

// redact takes the password out of a URL.
func redact(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address"
	}
	return u.Redacted()
}
