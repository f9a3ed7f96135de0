// Command retort builds Elixir and Erlang releases in a sealed environment:
// `retort lock` pins every input, `retort build` makes the release and its OCI
// image from them, with the same bytes on every machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/builder/sandbox"
	"github.com/retort-build/retort/env"
)

// Exit codes, as `retort help` lists them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitLock        = 3 // lock missing or stale
	exitBuild       = 4 // the user's build failed
	exitDiffers     = 5 // not reproducible
	exitSandbox     = 6 // no sandbox on this machine
	exitInterrupted = 130
)

func main() {
	sandbox.Init()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// A command is one verb of retort.
type command struct {
	name    string
	args    string // "[DIR]"
	summary string
	setup   func(*flag.FlagSet) action
}

// An action does what a command's parsed flags say.
type action func(ctx context.Context, t *terminal, args []string) error

func commands() []command {
	return []command{
		{"init", "", "write a toolchain.toml for the project in this folder", cmdInit},
		{"lock", "", "resolve toolchain.toml to toolchain.lock", cmdLock},
		{"plan", "", "print the steps of a build and what the store has of them", cmdPlan},
		{"build", "", "build the release and its image into dist/", cmdBuild},
		{"shell", "", "open a shell in the build environment", cmdShell},
		{"exec", "-- COMMAND [ARG ...]", "run a command in the build environment", cmdExec},
		{"explain", "STEP", "print what a step's key is made of, and what changed", cmdExplain},
		{"image", "inspect PATH", "print what an image is made of", cmdImage},
		{"doctor", "", "check that this machine can run the sandbox", cmdDoctor},
		{"gc", "", "remove what no build has used for long from the store", cmdGC},
		{"store", "path|verify", "print where the store is, or check and heal it", cmdStore},
		{"version", "", "print the version of retort", cmdVersion},
		{"completion", "bash|zsh|fish", "print a shell completion script", cmdCompletion},
	}
}

// usageError is wrong use of the command line.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

func run(ctx context.Context, args []string, stdin *os.File, stdout, stderr *os.File) int {
	t := &terminal{in: stdin, out: stdout, err: stderr, dir: "."}
	err := dispatch(ctx, t, args)
	code := exitCode(ctx, err)
	if err != nil && code != exitDone {
		t.fail(err, code)
	}
	return code
}

func dispatch(ctx context.Context, t *terminal, args []string) error {
	for len(args) > 0 && strings.HasPrefix(args[0], "-C") {
		dir := strings.TrimPrefix(strings.TrimPrefix(args[0], "-C"), "=")
		args = args[1:]
		if dir == "" {
			if len(args) == 0 {
				return usagef("-C wants a folder")
			}
			dir, args = args[0], args[1:]
		}
		t.chdir(dir)
	}
	if len(args) == 0 {
		usage(t.err)
		return usagef("no command")
	}
	name := args[0]
	switch name {
	case "help", "-h", "-help", "--help":
		return help(t, args[1:])
	case "--version":
		name = "version"
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(ctx, t, args[1:])
		}
	}
	return usagef("unknown command %q%s", name, nearest(name))
}

func (c command) run(ctx context.Context, t *terminal, args []string) error {
	fs := flag.NewFlagSet("retort "+c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Func("C", "work as if started in `DIR`", func(dir string) error { t.chdir(dir); return nil })
	do := c.setup(fs)
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		c.help(t.out, fs)
		return nil
	}
	if err != nil {
		return usagef("%s: %v", c.name, err)
	}
	return do(ctx, t, fs.Args())
}

func (c command) help(w io.Writer, fs *flag.FlagSet) {
	line := "retort " + c.name + " [flags]"
	if c.args != "" {
		line += " " + c.args
	}
	fmt.Fprintf(w, "usage: %s\n\n%s\n\nflags:\n", line, c.summary)
	fs.SetOutput(w)
	fs.PrintDefaults()
}

func help(t *terminal, args []string) error {
	if len(args) == 0 {
		usage(t.out)
		return nil
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(context.Background(), t, []string{"-h"})
		}
	}
	return usagef("unknown command %q%s", args[0], nearest(args[0]))
}

func usage(w io.Writer) {
	fmt.Fprint(w, `retort builds Elixir and Erlang releases in a sealed environment.

usage: retort [-C DIR] COMMAND [flags]

  retort init     once: writes toolchain.toml
  retort lock     once, and whenever toolchain.toml changes: writes toolchain.lock
  retort build    makes dist/: the release and its OCI image

commands:
`)
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-11s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, `
environment:
  RETORT_HOME            store and cache; default ~/.cache/retort
  RETORT_CONFIG          configuration file; default ~/.config/retort/config.toml
  RETORT_DEBIAN_MIRROR   where to fetch Debian packages from
  RETORT_UPSTREAM_GITHUB, RETORT_UPSTREAM_OPENSSL, RETORT_UPSTREAM_HEX_BUILDS
                         mirrors to fetch source releases from

exit codes:
  0 done   1 failed   2 usage   3 lock missing or stale   4 the build failed
  5 not reproducible   6 no sandbox on this machine   130 interrupted

'retort help COMMAND' prints the flags of one command.
`)
}

// exitCode is the one place where errors become exit codes.
func exitCode(ctx context.Context, err error) int {
	var (
		usage   *usageError
		stale   *env.StaleLockError
		exit    *builder.ExitError
		wrong   *builder.MachineError
		hidden  *builder.NativeError
		lacking *builder.UnavailableError
		status  *statusError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		return status.code
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &stale), errors.Is(err, env.ErrNoLock), errors.Is(err, env.ErrLockLacks), errors.Is(err, env.ErrLockForm), errors.Is(err, env.ErrNewerLock):
		return exitLock
	case errors.As(err, &exit), errors.As(err, &wrong), errors.As(err, &hidden):
		return exitBuild
	case errors.As(err, &lacking):
		return exitSandbox
	}
	return exitFailed
}

// statusError passes on the exit status of a program that `exec` ran.
type statusError struct{ code int }

func (e *statusError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// nearest suggests a command for a mistyped one.
func nearest(name string) string {
	best, bestAt := "", 3
	for _, c := range commands() {
		if d := distance(name, c.name); d < bestAt {
			best, bestAt = c.name, d
		}
	}
	if best == "" {
		return ": 'retort help' lists them"
	}
	return fmt.Sprintf(": did you mean %q?", best)
}

// distance is the Levenshtein distance of two short words.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			left, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, left+cost)
		}
	}
	return row[len(b)]
}
