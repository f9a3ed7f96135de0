package env

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
)

// release is what a Debian suite packages. The table serves a first guess
// only: what a suite really has is what the resolver finds in its signed index.
type release struct {
	suite, otp, elixir string
	hex, rebar3        string // "" if the suite has none
}

// releases lists the suites that a first manifest may name, the default first.
func releases() []release {
	return []release{
		{suite: "trixie", otp: "27.3.4.1", elixir: "1.18.3", hex: "2.0.6", rebar3: "3.24.0"},
		{suite: "bookworm", otp: "25.2.3", elixir: "1.14.0", rebar3: "3.19.0"},
	}
}

// Initial proposes a manifest for the project in a folder, from what its
// mix.exs, .tool-versions and mise.toml say, and warnings where the manifest
// is not what those ask for. The folder must have a mix.exs.
func Initial(dir string) ([]byte, []string, error) {
	mix, err := hintFile(filepath.Join(dir, "mix.exs"))
	if err != nil {
		return nil, nil, fmt.Errorf("read project: %w", err)
	}
	if mix == "" {
		return nil, nil, fmt.Errorf("read project: %s has no mix.exs", dir)
	}
	tools, err := hintFile(filepath.Join(dir, ".tool-versions"))
	if err != nil {
		return nil, nil, fmt.Errorf("read tool versions: %w", err)
	}
	var mise string
	for _, name := range ToolVersionFiles()[1:] {
		if mise != "" {
			break
		}
		if mise, err = hintFile(filepath.Join(dir, name)); err != nil {
			return nil, nil, fmt.Errorf("read tool versions: %w", err)
		}
	}
	text, warnings := draft(findHints(mix, tools, mise))
	return text, warnings, nil
}

// hintFile reads a file, which need not exist.
func hintFile(path string) (string, error) {
	data, err := ReadRegular(path, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(data), err
}

// hints is what the files of a project say of the versions they want.
type hints struct {
	app         string
	requirement string // of mix.exs, such as "~> 1.18"
	otp, elixir string // exact or a prefix, such as "27" or "1.18.3"
}

var (
	mixApp         = regexp.MustCompile(`\bapp:\s*:([a-z][a-z0-9_]{0,127})\b`)
	mixElixir      = regexp.MustCompile(`\belixir:\s*"([^"\\\n]{1,100})"`)
	toolVersion    = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*(-rc\.?[0-9]+)?$`)
	elixirOTPBuild = regexp.MustCompile(`-otp-[0-9]+$`)
)

// findHints reads hints from the text of three files, any of which may be
// empty. mix.exs is a program: what the patterns find there is a hint only.
func findHints(mix, tools, mise string) hints {
	var h hints
	if m := mixApp.FindStringSubmatch(mix); m != nil {
		h.app = m[1]
	}
	if m := mixElixir.FindStringSubmatch(mix); m != nil {
		h.requirement = m[1]
	}
	named := asdfVersions(tools)
	if values, _, err := parseTOML([]byte(mise)); err == nil {
		named = append(named, miseVersions(values)...)
	}
	for _, n := range named {
		h.tool(n[0], n[1])
	}
	return h
}

// miseVersion reads the three forms that mise has: a version, a list of which
// the first counts, and a table with a version.
func miseVersion(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		if len(v) > 0 {
			s, _ := v[0].(string)
			return s
		}
	case map[string]any:
		s, _ := v["version"].(string)
		return s
	}
	return ""
}

// tool keeps a version unless there is one already or it is none, such as
// "latest" or "ref:main".
func (h *hints) tool(name, version string) {
	version = plainVersion(version)
	switch {
	case version == "":
	case name == "erlang" && h.otp == "":
		h.otp = version
	case name == "elixir" && h.elixir == "":
		h.elixir = version
	}
}

// choose returns the suite that fits the hints best; of equals the first.
func choose(h hints) release {
	all := releases()
	best, most := all[0], -1
	for _, r := range all {
		points := agree(h.otp, r.otp) + agree(h.elixir, r.elixir)
		if ok, known := meets(r.elixir, h.requirement); known && ok {
			points++
		}
		if points > most {
			best, most = r, points
		}
	}
	return best
}

// agree counts the leading parts that a version shares with the wanted one.
func agree(want, have string) int {
	if want == "" {
		return 0
	}
	n := 0
	w, h := strings.Split(want, "."), strings.Split(have, ".")
	for n < min(len(w), len(h)) && w[n] == h[n] {
		n++
	}
	return n
}

// draft writes the manifest that fits the hints.
func draft(h hints) ([]byte, []string) {
	r := choose(h)
	var warnings []string
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	if h.otp != "" && !covers(h.otp, r.otp) {
		warn("the project asks for Erlang/OTP %s, Debian %s has %s: otp = { version = %q, from = \"source\" } compiles it", h.otp, r.suite, r.otp, h.otp)
	}
	if h.elixir != "" && !covers(h.elixir, r.elixir) {
		warn("the project asks for Elixir %s, Debian %s has %s: elixir = { version = %q, from = \"source\" } compiles it", h.elixir, r.suite, r.elixir, h.elixir)
	}
	switch ok, known := meets(r.elixir, h.requirement); {
	case h.requirement == "":
	case !known:
		warn("mix.exs asks for Elixir %q, which was not understood: check it against %s", h.requirement, r.elixir)
	case !ok:
		warn("mix.exs asks for Elixir %q, Debian %s has %s", h.requirement, r.suite, r.elixir)
	}
	if r.hex == "" {
		warn("Debian %s has no Hex: dependencies from Hex need suite trixie or later", r.suite)
	}
	return []byte(draftText(h, r)), warnings
}

// covers reports whether have is the version want or, if want is a prefix such
// as 1.18, one of those.
func covers(want, have string) bool {
	return have == want || strings.HasPrefix(have, want+".")
}

func draftText(h hints, r release) string {
	app := h.app
	if app == "" {
		app = "my_app"
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# What %s is built with. `retort lock` resolves it to toolchain.lock: commit both.", app)
	line("# docs/manifest.md of retort explains every key.")
	line("")
	line("[toolchain]")
	line("otp    = %q", r.otp)
	line("elixir = %q", r.elixir)
	for _, tool := range [][2]string{{"hex   ", r.hex}, {"rebar3", r.rebar3}} {
		if tool[1] != "" {
			line("%s = %q", tool[0], tool[1])
		}
	}
	line("")
	line("[base]")
	line("suite = %q", r.suite)
	line("# snapshot = \"2026-11-20\"      # resolve as of that day")
	line("# packages = [\"git\"]           # extra packages of the build environment")
	line("")
	line("# System packages that the native code of a dependency needs.")
	line("# [nif.exqlite]")
	line("# build = [\"gcc\", \"libsqlite3-dev\"]")
	line("")
	line("# [release]")
	line("# name    = %q", app)
	line("# version = { from = \"git\" }   # default: mix.exs")
	line("")
	line("# [image]")
	line("# repository = \"registry.example/%s\"", strings.Trim(app, "_"))
	line("# ports      = [\"4000/tcp\"]")
	return b.String()
}
