package registry

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/internal/elf"
)

func TestComposeStartsWithoutAShell(t *testing.T) {
	c := composed(t, shop(t, text("releases/0.1.0/env.sh",
		"# set\nexport RELEASE_MODE=interactive\nGREETING='hi there'; export GREETING\nexport PATH=\"$PATH:/opt\" POOL=${POOL:-10}\nexport LOG=\"$RELEASE_ROOT/log\"\nELIXIR_ERL_OPTIONS='-kernel x 1'\n")))
	want := []string{
		"/app/erts-15.2/bin/erlexec", "-noshell", "-kernel", "x", "1", "-s", "elixir", "start_cli", "-mode", "interactive",
		"-config", "/app/releases/0.1.0/sys", "-boot", "/app/releases/0.1.0/start", "-boot_var", "RELEASE_LIB", "/app/lib",
		"-args_file", "/app/releases/0.1.0/vm.args", "-extra", "--no-halt",
	}
	if d := cmp.Diff(want, c.Entrypoint); d != "" {
		t.Errorf("entrypoint (-want +got):\n%s", d)
	}
	for _, want := range []string{
		"BINDIR=/app/erts-15.2/bin", "EMU=beam", "ERL_INETRC=/etc/erl_inetrc", "GREETING=hi there", "PATH=/usr/local/bin:/usr/bin:/bin:/opt", "POOL=10", "LANG=C.UTF-8", "LOG=/app/log",
		"RELEASE_DISTRIBUTION=none", "RELEASE_MODE=interactive", "RELEASE_NODE=shop", "RELEASE_TMP=/tmp", "RELEASE_VSN=0.1.0", "ROOTDIR=/app",
	} {
		if !slices.Contains(c.Env, want) {
			t.Errorf("environment lacks %s: %q", want, c.Env)
		}
	}
	for _, kv := range c.Env {
		if strings.HasPrefix(kv, "RELEASE_COOKIE") {
			t.Errorf("%s is in the image", kv)
		}
	}
	if !slices.IsSorted(c.Env) || c.User != "65532:65532" {
		t.Errorf("env %q, user %q", c.Env, c.User)
	}
}

func TestComposeKeepsEpmdForDistribution(t *testing.T) {
	rt := shop(t)
	rt.Distribution, rt.Node = "name", "shop@10.0.0.1"
	c := composed(t, rt)
	if !strings.Contains(strings.Join(c.Entrypoint, " "), " -name shop@10.0.0.1 -config ") {
		t.Errorf("entrypoint %q", c.Entrypoint)
	}
	if !slices.Contains(listing(c)["erts"], "app/erts-15.2/bin/epmd") || !slices.Contains(listing(c)["libraries"], triplet+"libsystemd.so.0") {
		t.Errorf("epmd or its library is absent: %v", listing(c))
	}
}

func TestComposeKeepsHeadersForMix(t *testing.T) {
	layers := listing(composed(t, shop(t, text("lib/mix-1.18.3/ebin/mix.app", ""))))
	if !slices.Contains(layers["otp"], "app/lib/kernel-10.2/include/file.hrl") {
		t.Errorf("what a release with Mix may compile lacks its headers: %v", layers["otp"])
	}
}

func TestComposeSaysWhatNeedsAShell(t *testing.T) {
	tests := map[string]FileOf{
		"line 1: is more than":       text("releases/0.1.0/env.sh", "if [ -n \"$X\" ]; then export A=1; fi\n"),
		"line 2: ":                   text("releases/0.1.0/env.sh", "#!/bin/sh\nexport NODE=shop@$(hostname)\n"),
		"NOT_SET":                    text("releases/0.1.0/env.sh", "export NODE=shop@$NOT_SET\n"),
		"$POD is only known":         text("releases/0.1.0/env.sh", "export NODE=\"shop@${POD:-local}\"\n"),
		"$RELEASE_NODE is only":      text("releases/0.1.0/env.sh", "RELEASE_NODE=${RELEASE_NODE:-shop}\n"),
		"$1 is only":                 text("releases/0.1.0/env.sh", "export COMMAND=\"$1\"\n"),
		"line 1: is more":            text("releases/0.1.0/env.sh", ". /etc/default/shop\n"),
		"reboot_system_after_config": text("releases/0.1.0/sys.config", "%% coding: utf-8\n%% RUNTIME_CONFIG=true\n[].\n"),
	}
	for want, file := range tests {
		_, err := Compose(shop(t, file))
		var shellError *ShellError
		if !errors.As(err, &shellError) || !strings.Contains(err.Error(), want) || shellError.File != file.Path {
			t.Errorf("%s: error %v", want, err)
		}
	}
	if _, err := Compose(shop(t, text("releases/0.1.0/env.sh", "export RELEASE_DISTRIBUTION=carrier-pigeon\n"))); err == nil {
		t.Error("an unknown distribution was accepted")
	}
	os := composed(t, shop(t, text("lib/os_mon-2.10/ebin/os_mon.app", "")))
	if len(os.Notes) != 1 || !strings.Contains(os.Notes[0], "os_mon") {
		t.Errorf("notes %q", os.Notes)
	}
}

func TestComposeWithAShell(t *testing.T) {
	rt := shop(t, text("releases/0.1.0/env.sh", "export NODE=$(hostname)\n"))
	rt.Shell = true
	if _, err := Compose(rt); err == nil || !strings.Contains(err.Error(), "awk") {
		t.Errorf("no tools: %v", err)
	}
	var tools []FileOf
	for _, tool := range shellTools {
		if tool != "awk" && tool != "sh" {
			tools = append(tools, elfFileAt("usr/bin/"+tool, elf.File{Needed: []string{"libc.so.6", "libselinux.so.1"}}))
		}
	}
	rt.Packages = append(rt.Packages, debian(t, "coreutils", "9.7", append(tools, elfFileAt("usr/bin/tac", elf.File{}))...),
		debian(t, "dash", "0.5", elfFileAt("usr/bin/dash", elf.File{}), link("usr/bin/sh", "dash")),
		debian(t, "mawk", "1.3", elfFileAt("usr/bin/mawk", elf.File{})),
		debian(t, "libselinux1", "3.8", elfFileAt(triplet+"libselinux.so.1", elf.File{})))
	c := composed(t, rt)
	libraries := listing(c)["libraries"]
	for _, p := range []string{"usr/bin/awk", "usr/bin/mawk", "usr/bin/sh", "usr/bin/dash", "usr/bin/cat", triplet + "libselinux.so.1"} {
		if !slices.Contains(libraries, p) {
			t.Errorf("%s is absent", p)
		}
	}
	if slices.Contains(libraries, "usr/bin/tac") {
		t.Error("a tool that nothing calls is there")
	}
	if slices.Contains(listing(c)["application"], "app/releases/COOKIE") {
		t.Error("the cookie is in the image")
	}
	if c.Entrypoint[0] != "/bin/sh" || c.Entrypoint[3] != "/app/bin/shop" || !slices.Equal(c.Cmd, []string{"start"}) {
		t.Errorf("entrypoint %q, cmd %q", c.Entrypoint, c.Cmd)
	}
}

func FuzzEnvScript(f *testing.F) {
	f.Add("export A=1 B=\"$RELEASE_NAME-x\"\nC='d'; export C\n")
	f.Add("export A=$(hostname)\nif true; then B=1; fi\n. x; A+=2; B=(1 2); export A=${A:=b} C=$((1+1))")
	f.Fuzz(func(t *testing.T, script string) {
		tree := mustFiles(t, text("releases/1/env.sh", script))
		vars := map[string]string{"RELEASE_NAME": "shop"}
		if err := (release{name: "shop", vsn: "1"}).envScript(tree, vars); err != nil {
			var shellError *ShellError
			if !errors.As(err, &shellError) {
				t.Errorf("error of another type: %v", err)
			}
		}
	})
}
