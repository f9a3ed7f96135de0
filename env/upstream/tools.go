package upstream

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// tool is how a project names and publishes its releases.
type tool struct {
	name string
	repo string // at GitHub
	// tag matches the tag of a release; its group is the version.
	tag *regexp.Regexp
	// tagOf is the tag of a version.
	tagOf func(version string) string
	// exact matches versions that can be told from the beginning of one.
	exact *regexp.Regexp
	// builds is where builds.hex.pm lists what it built of this tool; or "".
	builds string
}

var (
	otpForm      = regexp.MustCompile(`^[1-9][0-9]*(\.[0-9]+)+(-rc[0-9]+)?$`)
	semanticForm = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$`)
	opensslForm  = regexp.MustCompile(`^([3-9]|[1-9][0-9]+)\.[0-9]+\.[0-9]+(-(alpha|beta)[0-9]+)?$|^[01]\.[0-9]+\.[0-9]+[a-z]*$`)
)

var tools = map[string]*tool{
	"otp": {
		name: "otp", repo: "erlang/otp", exact: otpForm, builds: "builds/otp/amd64/ubuntu-24.04/builds.txt",
		tag:   regexp.MustCompile(`^OTP-([1-9][0-9]*(?:\.[0-9]+)+(?:-rc[0-9]+)?)$`),
		tagOf: func(version string) string { return "OTP-" + version },
	},
	"elixir": {
		name: "elixir", repo: "elixir-lang/elixir", exact: semanticForm, builds: "builds/elixir/builds.txt",
		tag:   regexp.MustCompile(`^v([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.]+)?)$`),
		tagOf: func(version string) string { return "v" + version },
	},
	"hex": {
		name: "hex", repo: "hexpm/hex", exact: semanticForm,
		tag:   regexp.MustCompile(`^v([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.]+)?)$`),
		tagOf: func(version string) string { return "v" + version },
	},
	"rebar3": {
		name: "rebar3", repo: "erlang/rebar3", exact: semanticForm,
		tag:   regexp.MustCompile(`^([0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.]+)?)$`),
		tagOf: func(version string) string { return version },
	},
	"openssl": {
		name: "openssl", repo: "openssl/openssl", exact: opensslForm,
		tag:   regexp.MustCompile(`^openssl-([0-9]+\.[0-9]+\.[0-9]+(?:-(?:alpha|beta)[0-9]+)?)$|^OpenSSL_([01]_[0-9]+_[0-9]+[a-z]*)$`),
		tagOf: opensslTag,
	},
}

// Tools are the names of the tools that Find knows, sorted.
func Tools() []string { return slices.Sorted(maps.Keys(tools)) }

// version reads the version out of a tag; false for tags of anything else.
func (t *tool) version(tag string) (string, bool) {
	m := t.tag.FindStringSubmatch(tag)
	if m == nil {
		return "", false
	}
	version := strings.ReplaceAll(strings.Join(m[1:], ""), "_", ".")
	return version, t.tagOf(version) == tag && t.exact.MatchString(version)
}

// archive is the address of the archive of a tag, which GitHub makes.
func (t *tool) archive(version string) string {
	return fmt.Sprintf("%s%s/archive/refs/tags/%s.tar.gz", GitHub, t.repo, t.tagOf(version))
}

// opensslTag is the tag of a version of OpenSSL; before 3 it has underscores.
func opensslTag(version string) string {
	if strings.HasPrefix(version, "0.") || strings.HasPrefix(version, "1.") {
		return "OpenSSL_" + strings.ReplaceAll(version, ".", "_")
	}
	return "openssl-" + version
}

// opensslSeries is the folder of old releases at openssl.org that has a version.
func opensslSeries(version string) string {
	parts := strings.SplitN(version, ".", 3)
	switch parts[0] {
	case "0":
		return "0.9.x"
	case "1":
		return strings.TrimRight(version, "abcdefghijklmnopqrstuvwxyz")
	}
	return parts[0] + "." + parts[1]
}
