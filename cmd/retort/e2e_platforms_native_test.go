package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/elf"
	"github.com/retort-build/retort/internal/elf/elftest"
)

// ownNIF is a project with native code of its own.
func ownNIF() app {
	return app{
		example: "own", timeout: time.Hour,
		manifest: "[toolchain]\notp = \"27.3.4.1\"\nelixir = \"1.18.3\"\n",
		files: map[string]string{
			"toolchain.toml": "extends = \"../../toolchain.toml\"\n[nif.own]\n",
			"mix.exs": `defmodule Mix.Tasks.Compile.Own do
  use Mix.Task.Compiler
  def run(_args) do
    {_output, 0} = System.cmd("make", ["-s"], into: IO.stream(), stderr_to_stdout: true)
    {:ok, []}
  end
end

defmodule Own.MixProject do
  use Mix.Project
  def project, do: [app: :own, version: "1.0.0", compilers: [:own] ++ Mix.compilers()]
  def application, do: [mod: {Own, []}]
end
`,
			"Makefile": `ERTS_INCLUDE_DIR ?= /usr/lib/erlang/usr/include
priv/own.so: c_src/own.c
	mkdir -p priv
	$(CC) -O2 -fPIC -shared -I$(ERTS_INCLUDE_DIR) -o $@ $<
`,
			"c_src/own.c": `#include <erl_nif.h>
static ERL_NIF_TERM machine(ErlNifEnv *env, int argc, const ERL_NIF_TERM argv[]) {
#if defined(__aarch64__)
  return enif_make_atom(env, "arm64");
#elif defined(__x86_64__)
  return enif_make_atom(env, "amd64");
#endif
}
static ErlNifFunc functions[] = {{"machine", 0, machine, 0}};
ERL_NIF_INIT(Elixir.Own, functions, 0, 0, 0, 0)
`,
			"lib/own.ex": `defmodule Own do
  use Application
  @on_load :load
  def load, do: :own |> :code.priv_dir() |> Path.join("own") |> to_charlist() |> :erlang.load_nif(0)
  def machine, do: :erlang.nif_error(:not_loaded)

  def start(_type, _args) do
    IO.puts("native code for #{machine()}")
    spawn(fn -> System.stop() end)
    {:ok, self()}
  end
end
`,
		},
	}
}

// testForeignNIF builds native code for the other platform: by cross compilers,
// which a makefile may not use, and under an emulator.
func (k *kit) testForeignNIF(t *testing.T) {
	needRoot(t)
	needEmulator(t)
	needTools(t, "podman")
	good := ownNIF()
	good.files["toolchain.lock"] = string(k.lock(t, good))
	at := []string{"--platform", string(other())}
	with := func(t *testing.T, files map[string]string) start {
		t.Helper()
		s := good
		s.files = map[string]string{}
		for name, text := range good.files {
			s.files[name] = text
		}
		for name, text := range files {
			s.files[name] = text
		}
		o := k.online(s)
		o.dir = s.write(t, folder(t), writeOptions{})
		return o
	}
	runs := func(t *testing.T, o start) {
		t.Helper()
		k.otherSays(t, o, "native code for "+other().Arch())
	}
	refused := func(t *testing.T, o start, words ...string) {
		t.Helper()
		k.refuse(t, o, exitBuild, words, append([]string{"build"}, at...)...)
	}
	stubborn := map[string]string{"Makefile": strings.Replace(good.files["Makefile"], "$(CC)", "$${COMPILER:-gcc}", 1)}
	manifest := func(text string) map[string]string {
		return map[string]string{"Makefile": stubborn["Makefile"], "toolchain.toml": good.files["toolchain.toml"] + text}
	}
	arch := other().Arch()
	t.Run("cross", func(t *testing.T) { runs(t, with(t, nil)) })
	t.Run("ignores CC", func(t *testing.T) {
		words := []string{
			"compile:" + arch + ": priv/own.so is for " + native().Arch() + ", and the release for " + string(other()),
			other().Triplet() + "-gcc", "[nif.APP.platform." + arch + "]", "retort shell --platform " + string(other()) + " --at compile:" + arch,
		}
		refused(t, with(t, stubborn), words...)
		t.Run("among others", func(t *testing.T) {
			k.refuse(t, with(t, stubborn), exitBuild, words, "build", "--platform", "all")
		})
		t.Run("told", func(t *testing.T) {
			runs(t, with(t, manifest(fmt.Sprintf("[platform.%s.nif.own.env]\nCOMPILER = %q\n", arch, other().Triplet()+"-gcc"))))
		})
		t.Run("emulated", func(t *testing.T) {
			runs(t, with(t, manifest(fmt.Sprintf("[nif.own.platform.%s]\nmethod = \"emulate\"\n", arch))))
		})
	})
	t.Run("no emulator", func(t *testing.T) {
		files := manifest(fmt.Sprintf("[nif.own.platform.%s]\nmethod = \"emulate\"\n", arch))
		files["c_src/own.c"] = good.files["c_src/own.c"] + "/* never compiled */\n"
		o := with(t, files)
		o.wrap = []string{"unshare", "-m", "sh", "-c", `mount -t tmpfs none /proc/sys/fs/binfmt_misc && exec "$@"`, "sh"}
		k.refuse(t, o, exitSandbox, []string{"emulator for " + string(other()), "binfmt_misc", "apt install qemu-user-static", "method = \"cross\""}, append([]string{"build"}, at...)...)
	})
	t.Run("runs what it compiles", func(t *testing.T) {
		files := map[string]string{"Makefile": "all:\n\techo 'int main(void){return 0;}' > gen.c && $(CC) -o gen gen.c && ./gen\n"}
		refused(t, with(t, files), "[nif.APP.platform."+arch+"]", "CC_FOR_BUILD")
	})
	t.Run("rules of make", func(t *testing.T) {
		files := map[string]string{"Makefile": strings.Replace(good.files["Makefile"], "priv/own.so: c_src/own.c\n", "CFLAGS = -fPIC -I$(ERTS_INCLUDE_DIR)\npriv/own.so: c_src/own.o\n", 1)}
		runs(t, with(t, files))
	})
	t.Run("nobody says so", func(t *testing.T) {
		o := with(t, map[string]string{
			"toolchain.toml": strings.Replace(good.files["toolchain.toml"], "[nif.own]\n", "", 1),
			"mix.exs":        strings.Replace(good.files["mix.exs"], `{_output, 0} = System.cmd("make", ["-s"], into: IO.stream(), stderr_to_stdout: true)`, `File.mkdir_p!("priv") && File.cp!("c_src/blob", "priv/own.so")`, 1),
			"c_src/blob":     string(elftest.Build(elf.File{Machine: elf.Machine(native().Arch()), Dynamic: true})),
		})
		k.must(t, o, "lock")
		refused(t, o, "own has native code, ", "priv/own.so", "add [nif.own] to toolchain.toml")
	})
	t.Run("a dependency asks", func(t *testing.T) { k.askingDependency(t, good) })
	t.Run("the application asks", func(t *testing.T) { k.askingApplication(t, good) })
	t.Run("library is missing", func(t *testing.T) {
		files := map[string]string{"Makefile": strings.Replace(good.files["Makefile"], "$<", "$< -lsqlite3", 1)}
		refused(t, with(t, files), "cannot find -lsqlite3", "libsqlite3-dev", "[nif.APP]")
	})
	t.Run("platform is not asked for", func(t *testing.T) {
		for _, only := range []string{string(native()), string(other())} {
			o := with(t, map[string]string{"toolchain.toml": fmt.Sprintf("platforms = [%q]\n", only) + good.files["toolchain.toml"]})
			k.must(t, o, "lock")
			k.refuse(t, o, exitFailed, []string{string(other()), "manifest has " + only}, append([]string{"build"}, at...)...)
		}
	})
	t.Run("native only", func(t *testing.T) {
		o := with(t, manifest(fmt.Sprintf("[platform.%s]\nmethod = \"native\"\n", arch)))
		k.refuse(t, o, exitFailed, []string{"method = \"native\"", "a machine of that architecture"}, append([]string{"build"}, at...)...)
	})
}

// otherSays builds for the other platform, and runs the image, which says words.
func (k *kit) otherSays(t *testing.T, o start, words string) {
	t.Helper()
	_, paths := k.build(t, o, "--platform", string(other()))
	p := newPodmanFor(t, other())
	said := p.run("run", "--rm", "--network", "none", "--read-only", "--ulimit", "nofile=1024:20000", "--ulimit", "nproc=1000:1000",
		"--arch", other().Arch(), "-e", "ERL_FLAGS=+JMsingle true", p.pull(paths[1]))
	if !strings.Contains(said, words) {
		t.Errorf("it says %q, want %q", said, words)
	}
}

func cpu(p env.Platform) string {
	name, _, _ := strings.Cut(p.Triplet(), "-")
	return name
}
