package configure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
)

const (
	maxSteps  = 200_000 // commands that one script may run; glibc's postinst runs about 60
	maxNested = 8       // scripts that call scripts
	maxFrames = 6_000   // Go frames, some ten for every nested shell function
	maxOutput = 16 << 10
)

var (
	errSteps = errors.New("runs too many commands")
	errDepth = errors.New("calls itself too deeply")
)

// shell interprets one maintainer script over the virtual tree.
type shell struct {
	*session
	pkg    Package
	script string // "preinst", "postinst", "config"
	steps  *atomic.Int64
	umask  *atomic.Uint32
	dash   bool
}

// runText interprets shell text with the given parameters. It returns the exit
// status, or an error when the script was stopped.
func (sh *shell) runText(ctx context.Context, name, text string, params []string, std stdio) (status int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("interpreter: %v", r)
		}
	}()
	file, err := parseScript(preludeFor(name)+text, name)
	if err != nil {
		return 0, err
	}
	flags := shebangFlags(text)
	r, err := interp.New(
		interp.Env(expand.ListEnviron(sh.environ()...)),
		interp.Dir("/"),
		interp.StdIO(std.in, std.out, std.err),
		interp.Params(append(append(flags, "--"), params...)...),
		interp.CallHandler(sh.call),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return sh.exec }),
		interp.OpenHandler(sh.open),
		interp.ReadDirHandler2(sh.readDir),
		interp.StatHandler(sh.stat),
		interp.AccessHandler(sh.access),
	)
	if err != nil {
		return 0, err
	}
	err = r.Run(ctx, file)
	var code interp.ExitStatus
	if errors.As(err, &code) {
		return int(code), nil
	}
	return 0, err
}

// stdio are the standard streams of a command.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// shebangFlags returns the options in a script's first line.
func shebangFlags(text string) []string {
	line, _, _ := strings.Cut(text, "\n")
	var flags []string
	for _, f := range strings.Fields(strings.TrimPrefix(line, "#!")) {
		if strings.HasPrefix(f, "-") && f != "-" {
			flags = append(flags, f)
		}
	}
	return flags
}

func (sh *shell) environ() []string {
	arch := sh.in.Platform.Arch()
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root", "LC_ALL=C.UTF-8", "TZ=UTC0", "SHELL=/bin/sh",
		"UID=0", "EUID=0", "GID=0",
		// The interpreter opens FIFOs of its own in this directory on the host
		// without asking; no such directory can be there.
		"TMPDIR=/proc/self/fdinfo/retort",
		"RETORT_PID=2", "RETORT_PPID=1", "RETORT_RANDOM=4", "RETORT_SECONDS=0",
		"DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true",
		"DEBIAN_HAS_FRONTEND=1", "DEBCONF_REDIR=1",
		"DPKG_MAINTSCRIPT_PACKAGE=" + sh.pkg.Name,
		"DPKG_MAINTSCRIPT_NAME=" + sh.script,
		"DPKG_MAINTSCRIPT_ARCH=" + packageArch(sh.pkg, arch),
		"DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1",
		"DPKG_ROOT=", "DPKG_ADMINDIR=/var/lib/dpkg",
		"DPKG_RUNNING_VERSION=1.22.0",
	}
}

func packageArch(p Package, native string) string {
	if p.Architecture == "" || p.Architecture == "all" {
		return native
	}
	return p.Architecture
}

// call sees every command before it runs. It bounds the work, and turns
// built-ins which would look at the host into commands of our own.
func (sh *shell) call(ctx context.Context, args []string) ([]string, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n := sh.steps.Add(1)
	if n > maxSteps {
		return nil, errSteps
	}
	if n%16 == 0 {
		var pc [1]uintptr
		if runtime.Callers(maxFrames, pc[:]) > 0 {
			return nil, errDepth
		}
	}
	switch args[0] {
	case ".", "source":
		return sh.sourced(args)
	case "eval":
		// The interpreter would parse it without our checks.
		text := strings.Join(args[1:], " ")
		return sh.checked(text, "eval")
	case "command":
		if len(args) > 1 && (args[1] == "-v" || args[1] == "-V") {
			return append([]string{"retort-lookup"}, args[2:]...), nil
		}
	case "type", "hash":
		return append([]string{"retort-lookup"}, args[1:]...), nil
	case "umask":
		return append([]string{"retort-umask"}, args[1:]...), nil
	case "echo":
		if sh.dash {
			return append([]string{"retort-echo"}, args[1:]...), nil
		}
	case "read":
		return sh.read(ctx, args)
	case "trap":
		return trap(args), nil
	case "ulimit", "times", "bind", "fc", "history", "help", "kill", "suspend", "newgrp":
		return append([]string{"retort-ignored"}, args...), nil
	}
	return args, nil
}

// sourced replaces the reading of a script by its text.
func (sh *shell) sourced(args []string) ([]string, error) {
	if len(args) < 2 {
		return []string{"exit", "2"}, nil
	}
	if args[1] == debconfModule {
		return []string{"true"}, nil // the prelude has its functions
	}
	text, err := sh.v.readFile(args[1])
	if err != nil {
		return []string{"exit", "2"}, nil
	}
	return sh.checked(string(text), args[1])
}

func (sh *shell) checked(text, name string) ([]string, error) {
	file, err := parseScript(text, name)
	if err != nil {
		return nil, err
	}
	return []string{"eval", printed(file)}, nil
}

// trap keeps only what happens on exit; no signal ever arrives.
func trap(args []string) []string {
	if len(args) < 3 {
		return []string{"true"}
	}
	for _, sig := range args[2:] {
		if sig == "EXIT" || sig == "0" {
			return []string{"trap", args[1], "EXIT"}
		}
	}
	return []string{"true"}
}
