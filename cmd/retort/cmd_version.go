package main

import (
	"context"
	"flag"
	"runtime"
	"runtime/debug"
)

// version is set by release builds: -ldflags "-X main.version=1.2.3".
var version = ""

func cmdVersion(*flag.FlagSet) action {
	return func(_ context.Context, t *terminal, args []string) error {
		if len(args) > 0 {
			return usagef("version takes no arguments")
		}
		t.result("retort", versionText(), runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
		return nil
	}
}

// versionText is the version of this program: of the release, of the module,
// or of the commit it was built from.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "devel-" + s.Value[:min(12, len(s.Value))]
		}
	}
	return "devel"
}
