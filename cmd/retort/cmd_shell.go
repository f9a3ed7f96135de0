package main

import (
	"context"
	"errors"
	"flag"
	"os"

	"golang.org/x/term"

	"github.com/retort-build/retort/builder"
)

func cmdShell(fs *flag.FlagSet) action {
	var o sessionFlags
	o.register(fs)
	at := fs.String("at", builder.StepCompile, "the `STEP` whose environment to enter")
	return func(ctx context.Context, t *terminal, args []string) error {
		if len(args) > 0 {
			return usagef("shell takes no arguments: retort exec runs a command")
		}
		return enter(ctx, t, o, *at, nil)
	}
}

func cmdExec(fs *flag.FlagSet) action {
	var o sessionFlags
	o.register(fs)
	at := fs.String("at", builder.StepCompile, "the `STEP` whose environment to run in")
	return func(ctx context.Context, t *terminal, args []string) error {
		if len(args) == 0 {
			return usagef("exec wants a command: retort exec -- mix help")
		}
		return enter(ctx, t, o, *at, args)
	}
}

// enter runs a command, or a shell, in the environment of a step. The
// command's exit status becomes retort's.
func enter(ctx context.Context, t *terminal, o sessionFlags, at string, argv []string) error {
	s, err := t.session(ctx, o)
	if err != nil {
		return err
	}
	defer s.workspace.close()
	plan, err := s.planFor(ctx, at)
	if err != nil {
		s.progress.close()
		return err
	}
	c := builder.Command{Argv: argv, Stdin: t.in, Stdout: t.out, Stderr: t.err}
	c.Terminal = term.IsTerminal(int(t.in.Fd())) && term.IsTerminal(int(t.out.Fd()))
	if c.Terminal {
		c.Env = []string{"TERM=" + os.Getenv("TERM"), "PS1=retort " + at + ":\\w\\$ "}
	} else if len(argv) == 0 {
		c.Argv = []string{"/bin/bash", "--norc"}
	}
	if len(argv) > 0 {
		c.Argv = append([]string{"/usr/bin/env"}, argv...) // finds the command on the PATH inside
	}
	c.OnStart = func() { // the terminal is the command's from here on
		s.progress.close()
		if c.Terminal && len(argv) == 0 {
			t.say("writes are thrown away when the shell ends; there is no network")
		}
	}
	err = s.builder.Exec(ctx, plan, at, c)
	s.progress.close()
	var exit *builder.ExitError
	if errors.As(err, &exit) && exit.Step == "" {
		return &statusError{exit.Code}
	}
	return err
}
