package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// passed are the variables by which a user tells git how to reach servers.
// Every other variable of git's is dropped: those that name another repository
// or trace secrets among them.
var passed = []string{
	"GIT_ASKPASS", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_PROXY_COMMAND", "GIT_EXEC_PATH", "GIT_HTTP_USER_AGENT",
	"GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT",
}

var passedPrefixes = []string{"GIT_SSL_", "GIT_HTTP_", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"}

// environ is the environment of git when it fetches: that of the user without
// what must not decide, and with every way to ask closed.
func environ(user []string, protocols string) []string {
	env := slices.DeleteFunc(slices.Clone(user), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		if name == "SSH_ASKPASS" || name == "DISPLAY" || name == "WAYLAND_DISPLAY" || strings.HasPrefix(name, "LC_") || name == "LANGUAGE" {
			return true
		}
		return strings.HasPrefix(name, "GIT_") && !slices.Contains(passed, name) &&
			!slices.ContainsFunc(passedPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
	})
	return append(env, "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GCM_INTERACTIVE=never", "SSH_ASKPASS_REQUIRE=never",
		"GIT_ALLOW_PROTOCOL="+protocols, "GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1")
}

// alone is the environment of git when it only reads the cache: no setting of
// the user's decides.
func alone(user []string) []string {
	env := slices.DeleteFunc(slices.Clone(user), func(kv string) bool { return strings.HasPrefix(kv, "GIT_") })
	return append(env, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_NO_REPLACE_OBJECTS=1",
		"GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none", "GIT_OPTIONAL_LOCKS=0")
}

// command is git in a session of its own: it has no terminal to ask at, and
// ends with all that it started.
func command(ctx context.Context, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Env = env
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run runs one command to its end and returns its output. What it said on
// stderr becomes the error, without secrets.
func run(ctx context.Context, env []string, args ...string) (string, error) {
	cmd := command(ctx, env, args...)
	stdout, stderr := &tail{}, &tail{}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil && stderr.String() != "":
		return "", errors.New(Redact(stderr.String()))
	case err != nil:
		return "", notInstalled(err)
	}
	return stdout.String(), nil
}

// Version is what the machine's git says of itself.
func Version(ctx context.Context, env []string) (string, error) {
	out, err := run(ctx, alone(env), "version")
	return strings.TrimPrefix(out, "git version "), err
}

func notInstalled(err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("git is not installed on this machine: install git, and see retort doctor")
	}
	return fmt.Errorf("git: %w", err)
}

// maxTail is how much of a command's output is kept: the reason is at its end.
const maxTail = 8 << 10

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if len(t.kept) > 2*maxTail {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-maxTail:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.kept)) }
