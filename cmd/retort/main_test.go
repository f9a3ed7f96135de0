package main

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/retort-build/retort/builder/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Init()
	testscript.Main(m, map[string]func(){
		"retort": func() {
			os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
	})
}

// Each script is one behaviour of the program as a user meets it. They need
// neither network nor root.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                scriptCommands(),
		Setup: func(e *testscript.Env) error {
			e.Values[archivesKey{}] = archives{}
			e.Setenv("RETORT_HOME", e.WorkDir+"/.home")
			e.Setenv("RETORT_CONFIG", e.WorkDir+"/.config.toml")
			e.Setenv("RETORT_DEBIAN_MIRROR", "http://127.0.0.1:1") // nothing listens there
			return os.WriteFile(e.WorkDir+"/.config.toml", []byte("[debian]\nsnapshot = \"none\"\n"), 0o644)
		},
	})
}
