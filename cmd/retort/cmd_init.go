package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/retort-build/retort/env"
)

func cmdInit(fs *flag.FlagSet) action {
	force := fs.Bool("force", false, "replace a toolchain.toml that is there")
	return func(_ context.Context, t *terminal, args []string) error {
		if len(args) > 0 {
			return usagef("init takes no arguments")
		}
		return initProject(t, *force)
	}
}

// initProject writes toolchain.toml from what the project's files tell.
func initProject(t *terminal, force bool) error {
	dir, err := t.project()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "toolchain.toml")
	text, warnings, err := env.Initial(dir)
	if err != nil {
		return err
	}
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		mode = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, mode, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: retort init --force replaces it", path)
	}
	if err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	for _, w := range warnings {
		t.warn("%s", w)
	}
	t.result(path)
	t.hint("retort lock")
	return nil
}
