package configure

import (
	"context"
	"fmt"
	"io"
	"path"
	"strings"

	"mvdan.cc/sh/v3/interp"

	"github.com/retort-build/retort/internal/tarball"
)

// call is one command that a script runs.
type call struct {
	*shell
	name           string
	args           []string // without the name
	dir            string
	stdin          io.Reader
	stdout, stderr io.Writer
	env            func(string) string
}

// command does what the program of its name does, as far as maintainer scripts
// use it, and returns the exit status.
type command func(ctx context.Context, c *call) int

// fail writes a message as the program would and returns status 1.
func (c *call) fail(format string, a ...any) int {
	fmt.Fprintf(c.stderr, c.name+": "+format+"\n", a...)
	return 1
}

func (c *call) printf(format string, a ...any) { fmt.Fprintf(c.stdout, format, a...) }

// path makes an argument a path of the tree.
func (c *call) path(arg string) string { return absolute(c.dir, arg) }

func (c *call) readAll() ([]byte, error) {
	if c.stdin == nil {
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(c.stdin, maxFileRead))
}

// exec runs everything that is neither a function nor a built-in.
func (sh *shell) exec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	c := &call{
		shell: sh, name: path.Base(args[0]), args: args[1:], dir: hc.Dir,
		stdin: hc.Stdin, stdout: hc.Stdout, stderr: hc.Stderr,
		env: func(name string) string { return hc.Env.Get(name).String() },
	}
	status, err := sh.dispatch(ctx, c, args[0])
	if err != nil {
		return err
	}
	if status != 0 {
		return interp.ExitStatus(status)
	}
	return nil
}

// dispatch finds who answers for a command: an implementation here, a reason
// to leave it out, or a shell script in the tree.
func (sh *shell) dispatch(ctx context.Context, c *call, given string) (int, error) {
	if strings.Contains(given, "/") && !inBinDir(given) {
		return sh.execFile(ctx, c, absolute(c.dir, given))
	}
	if fn, ok := commands()[c.name]; ok {
		if exclusive[c.name] {
			sh.db.Lock()
			defer sh.db.Unlock()
		}
		return fn(ctx, c), ctx.Err()
	}
	if reason, ok := ignored[c.name]; ok {
		sh.ignore(c.name, reason)
		return 0, nil
	}
	if strings.HasPrefix(c.name, "python3") {
		sh.ignore(c.name, ignored["py3compile"])
		return 0, nil
	}
	if found := sh.lookPath(given, c.env("PATH")); found != "" {
		return sh.execFile(ctx, c, found)
	}
	sh.unknown(c.name)
	fmt.Fprintf(c.stderr, "%s: not found\n", given)
	return 127, nil
}

func inBinDir(name string) bool {
	switch path.Dir(name) {
	case "/bin", "/sbin", "/usr/bin", "/usr/sbin":
		return true
	}
	return false
}

// execFile interprets a program of the tree that is a shell script.
func (sh *shell) execFile(ctx context.Context, c *call, name string) (int, error) {
	n, err := sh.v.find(name, true)
	if err != nil || n.kind != tarball.File {
		fmt.Fprintf(c.stderr, "%s: not found\n", name)
		return 127, nil
	}
	if n.mode&0o111 == 0 {
		fmt.Fprintf(c.stderr, "%s: permission denied\n", name)
		return 126, nil
	}
	base := path.Base(name)
	if reason, ok := ignored[base]; ok {
		sh.ignore(base, reason)
		return 0, nil
	}
	text, ok, err := sh.shellText(n)
	if err != nil {
		return 0, err
	}
	if !ok {
		sh.unknown(base)
		fmt.Fprintf(c.stderr, "%s: not a shell script\n", name)
		return 127, nil
	}
	depth, _ := ctx.Value(depthKey{}).(int)
	if depth >= maxNested {
		return 0, errDepth
	}
	ctx = context.WithValue(ctx, depthKey{}, depth+1)
	sub := *sh
	sub.dash = !strings.Contains(firstLine(text), "bash")
	return sub.runText(ctx, name, text, c.args, stdio{c.stdin, c.stdout, c.stderr})
}

type depthKey struct{}

// shellText returns the text of a file that a POSIX shell is to run.
func (sh *shell) shellText(n node) (string, bool, error) {
	if n.size() > 1<<20 {
		return "", false, nil
	}
	b, err := n.content()
	if err != nil {
		return "", false, err
	}
	return string(b), isShell(string(b)), nil
}

func isShell(text string) bool {
	line := firstLine(text)
	if !strings.HasPrefix(line, "#!") {
		return false
	}
	fields := strings.Fields(line[2:])
	if len(fields) == 0 {
		return false
	}
	switch path.Base(fields[0]) {
	case "sh", "dash", "bash":
		return true
	}
	return false
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// lookPath finds a program of the tree as a shell would.
func (sh *shell) lookPath(name, dirs string) string {
	if strings.Contains(name, "/") {
		if sh.executable(name) {
			return name
		}
		return ""
	}
	for dir := range strings.SplitSeq(dirs, ":") {
		if p := path.Join("/", dir, name); sh.executable(p) {
			return p
		}
	}
	return ""
}

func (sh *shell) executable(name string) bool {
	n, err := sh.v.find(name, true)
	return err == nil && n.kind == tarball.File && n.mode&0o111 != 0
}
