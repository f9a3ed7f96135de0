package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/internal/fetch"
	"github.com/retort-build/retort/registry"
)

// The rules of the terminal. Results go to stdout, one a line, for machines;
// everything else goes to stderr, for people, as "retort: ...". Errors and
// warnings say so; a hint is the command to type next, on a line of its own.
// Text that comes from a build or a file is escaped unless it is the log of
// the user's own program.
type terminal struct {
	in  *os.File
	out *os.File
	err *os.File
	dir string // the folder commands work in: -C

	platform env.Platform // that errors are of, if it is not this machine's

	mu     sync.Mutex
	status string // what the status line shows now, if any
}

func (t *terminal) chdir(dir string) {
	if filepath.IsAbs(dir) {
		t.dir = dir
	} else {
		t.dir = filepath.Join(t.dir, dir)
	}
}

// interactive reports whether people watch stderr.
func (t *terminal) interactive() bool {
	return term.IsTerminal(int(t.err.Fd())) && os.Getenv("TERM") != "dumb" && os.Getenv("CI") == ""
}

// say prints one line for people.
func (t *terminal) say(format string, args ...any) {
	t.line("retort: " + fmt.Sprintf(format, args...))
}

func (t *terminal) warn(format string, args ...any) { t.say("warning: "+format, args...) }

func (t *terminal) hint(format string, args ...any) { t.say("hint: "+format, args...) }

// line prints a line above the status line.
func (t *terminal) line(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status != "" {
		fmt.Fprint(t.err, "\r\x1b[K")
	}
	fmt.Fprintln(t.err, s)
	if t.status != "" {
		fmt.Fprint(t.err, t.status)
	}
}

// show replaces the status line; "" removes it.
func (t *terminal) show(s string) {
	if width, _, err := term.GetSize(int(t.err.Fd())); err == nil && s != "" {
		if r := []rune(s); len(r) >= width && width > 1 {
			s = string(r[:width-1])
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if s == t.status {
		return
	}
	fmt.Fprint(t.err, "\r\x1b[K"+s)
	t.status = s
}

// result prints one line of results: a path or reference, then its digest.
func (t *terminal) result(fields ...string) {
	fmt.Fprintln(t.out, strings.Join(fields, " "))
}

// printJSON prints a result as one JSON document.
func (t *terminal) printJSON(v any) error {
	enc := json.NewEncoder(t.out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// fail prints an error, all of its parts, and what to type next.
func (t *terminal) fail(err error, code int) {
	t.show("")
	var (
		list   env.ErrorList
		exit   *builder.ExitError
		wrong  *builder.MachineError
		native interface { // of either
			error
			Hints() []string
		}
		lacking *builder.UnavailableError
		status  *statusError
	)
	switch {
	case errors.As(err, &status):
		return
	case code == exitInterrupted:
		t.say("interrupted")
		return
	case errors.As(err, &list):
		for _, e := range list {
			t.say("error: %s", printable(e.Error()))
		}
		return
	case errors.As(err, &exit):
		t.userFailed(exit)
		return
	case errors.As(err, &native):
		t.say("error: %s", printable(native.Error()))
		for _, hint := range native.Hints() {
			t.hint("%s", hint)
		}
		if errors.As(err, &wrong) {
			t.hint("%s", t.shellAt(wrong.Step))
		}
		return
	case errors.As(err, &lacking):
		t.say("error: this machine lacks what the step runs in, and nothing runs outside a sandbox")
		for _, m := range lacking.Missing {
			t.say("error: %s: %s", printable(m.What), printable(m.Why))
			if m.Remedy != "" {
				t.hint("%s", m.Remedy)
			}
		}
		return
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		t.say("error: %s", printable(line))
	}
	var told *hintError
	var gone *fetch.NotFoundError
	if errors.As(err, &told) {
		t.hint("%s", told.hint)
	} else if errors.As(err, &gone) {
		t.hint("mirrors drop superseded packages: retort lock --repair moves their pins")
	}
	var unsatisfied *debian.UnsatisfiableError
	if errors.As(err, &unsatisfied) {
		t.elsewhere(unsatisfied)
	}
	var version *debian.VersionError
	if errors.As(err, &version) {
		t.hint("to compile that version, say in toolchain.toml: %s = { version = %q, from = \"source\" }", version.Tool, version.Want)
	}
	var shell *registry.ShellError
	if errors.As(err, &shell) {
		t.hint("add shell = true to [image] in toolchain.toml and run retort lock, or take what needs a shell out of rel/env.sh.eex")
	}
	if suites := expiredSuites(err); len(suites) > 0 {
		t.hint("to take it all the same, name it in toolchain.toml: [base] allow_expired = [%s]", strings.Join(suites, ", "))
	}
	switch code {
	case exitLock:
		t.hint("retort lock")
	case exitUsage:
		t.hint("retort help")
	}
}

// elsewhere says how packages that one architecture lacks are asked for on the other alone.
func (t *terminal) elsewhere(e *debian.UnsatisfiableError) {
	for _, p := range e.Problems {
		if len(p.Elsewhere) == 0 || len(p.Chain) != 1 {
			continue
		}
		if key := env.SetKey(p.Chain[0]); key != "" {
			t.hint("say in toolchain.toml what %s has instead on %s: [platform.%s] with %s = [...], or [] for nothing", key, e.Platform, e.Platform.Arch(), key)
		}
	}
}

// hintError is an error with what to do about it.
type hintError struct {
	err  error
	hint string
}

func (e *hintError) Error() string { return e.err.Error() }
func (e *hintError) Unwrap() error { return e.err }

// expiredSuites names, quoted, every suite that err says is expired.
func expiredSuites(err error) []string {
	switch e := err.(type) { //nolint:errorlint // walks the tree itself
	case *debian.ExpiredError:
		return []string{strconv.Quote(e.Suite)}
	case interface{ Unwrap() []error }:
		var out []string
		for _, inner := range e.Unwrap() {
			out = append(out, expiredSuites(inner)...)
		}
		return out
	case interface{ Unwrap() error }:
		return expiredSuites(e.Unwrap())
	}
	return nil
}

// userFailed reports a program of the user's build that failed.
func (t *terminal) userFailed(e *builder.ExitError) {
	if e.Log != "" {
		t.say("the end of the output of step %s:", e.Step)
		io.WriteString(t.err, strings.TrimRight(e.Log, "\n")+"\n")
	}
	t.say("error: your build failed in step %s: %s", e.Step, (&builder.ExitError{Code: e.Code, Signal: e.Signal}).Error())
	for _, hint := range e.Hints() {
		t.hint("%s", hint)
	}
	t.hint("%s", t.shellAt(e.Step))
}

// report says which platform errors are of from now on.
func (t *terminal) report(p env.Platform) {
	t.platform = ""
	if p != native() {
		t.platform = p
	}
}

// shellAt is the command that enters a step of the build.
func (t *terminal) shellAt(step string) string {
	if t.platform != "" {
		return fmt.Sprintf("retort shell --platform %s --at %s", t.platform, step)
	}
	return "retort shell --at " + step
}

// printable escapes what could steer a terminal in text of foreign origin.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\uFFFD'
		}
		return r
	}, s)
}

// bytesText is a size for people, in the units that disks and networks use.
func bytesText(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
