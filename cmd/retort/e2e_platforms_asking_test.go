package main

import (
	"fmt"
	"strings"
	"testing"
)

// askingDependency builds with dependencies whose code is another on another
// machine. Under an emulator it comes out as there; who knows better may say so.
func (k *kit) askingDependency(t *testing.T, good app) {
	n := newNIFs(t)
	t.Setenv("HEX_MIRROR", n.URL)
	lock, err := n.repo.Lock("asking", "defined", "uname")
	if err != nil {
		t.Fatal(err)
	}
	arch := other().Arch()
	with := func(more string) start {
		s := good
		s.files = map[string]string{
			"mix.lock":       string(lock),
			"toolchain.toml": "extends = \"../../toolchain.toml\"\n" + more,
			"mix.exs": `defmodule Own.MixProject do
  use Mix.Project
  def project, do: [app: :own, version: "1.0.0", deps: [{:asking, "~> 1.0"}, {:defined, "~> 1.0"}, {:uname, "~> 1.0"}]]
  def application, do: [mod: {Own, []}]
end
`,
			"lib/own.ex": `defmodule Own do
  use Application
  def start(_type, _args) do
    IO.puts("#{Asking.architecture()} and #{:defined.machine()} and #{Uname.machine()}")
    spawn(fn -> System.stop() end)
    {:ok, self()}
  end
end
`,
		}
		s.manifest += "hex = \"2.0.6\"\nrebar3 = \"3.24.0\"\n"
		o := n.start(k.online(s))
		o.dir = s.write(t, folder(t), writeOptions{})
		k.must(t, o, "lock")
		return o
	}
	at := []string{"build", "--platform", string(other())}
	asking, uname := method("asking", "emulate"), method("uname", "cross")
	k.refuse(t, with(""), exitBuild, []string{"asking asked for the machine's architecture while it was compiled", "[nif.asking.platform." + arch + "]", "\"emulate\"", "\"cross\""}, at...)
	k.refuse(t, with(asking), exitBuild, []string{"defined asked for", "[nif.defined.platform." + arch + "]"}, at...)
	k.refuse(t, with(asking+method("defined", "emulate")), exitBuild, []string{"uname asked for", "[nif.uname.platform." + arch + "]"}, at...)
	k.otherSays(t, with(asking+method("defined", "emulate")+uname), cpu(other())+"-unknown-linux-gnu and "+arch+" and "+cpu(native()))
}

// method is the [nif] table that says how an application comes to the other platform.
func method(app, how string) string {
	return fmt.Sprintf("[nif.%s.platform.%s]\nmethod = %q\n", app, other().Arch(), how)
}

// askingApplication builds a project whose own code, mix.exs or configuration asks.
func (k *kit) askingApplication(t *testing.T, good app) {
	const mix = `defmodule Own.MixProject do
  use Mix.Project
  def project, do: [app: :own, version: "1.0.0"]
  def application, do: [mod: {Own, []}]
end
`
	const code = `defmodule Own do
  use Application
  @machine "no answer"
  @configured Application.compile_env(:own, :machine, "none")
  def start(_type, _args) do
    IO.puts("#{@machine} and #{@configured}")
    spawn(fn -> System.stop() end)
    {:ok, self()}
  end
end
`
	with := func(more string, files map[string]string) start {
		s := good
		s.files = map[string]string{
			"toolchain.toml": "extends = \"../../toolchain.toml\"\n" + more,
			"toolchain.lock": good.files["toolchain.lock"],
			"mix.exs":        mix,
			"lib/own.ex":     code,
		}
		for name, text := range files {
			s.files[name] = text
		}
		o := k.online(s)
		o.dir = s.write(t, folder(t), writeOptions{})
		k.must(t, o, "lock")
		return o
	}
	vm := "to_string(:erlang.system_info(:system_architecture))"
	asks := map[string]string{"lib/own.ex": strings.Replace(code, `"no answer"`, `"on " <> `+vm, 1)}
	config := map[string]string{"config/config.exs": "import Config\nconfig :own, machine: hd(String.split(" + vm + ", \"-\"))\n"}
	program := map[string]string{"mix.exs": strings.Replace(mix, `"1.0.0"`, `"1.0.0", description: to_string(:os.cmd(~c"uname -m"))`, 1)}
	arch := other().Arch()
	at := []string{"build", "--platform", string(other())}
	k.otherSays(t, with("", nil), "no answer and none")
	words := []string{"own asked for the machine's architecture while it was compiled", "[nif.own.platform." + arch + "]"}
	k.refuse(t, with("", asks), exitBuild, words, at...)
	k.refuse(t, with("", program), exitBuild, words, at...)
	asking := []string{"config/config.exs asks for the machine's architecture"}
	k.refuse(t, with("[nif.own]\n", config), exitBuild, asking, at...)
	k.refuse(t, with(method("own", "emulate"), config), exitBuild, asking, at...)
	k.refuse(t, with("", config), exitBuild, []string{"config/config.exs asks for the machine's architecture", "config/runtime.exs", "[platform." + arch + "]", "[nif.own.platform." + arch + "]"}, at...)
	k.otherSays(t, with(method("own", "emulate"), asks), "on "+cpu(other())+"-unknown-linux-gnu and none")
	k.otherSays(t, with(method("own", "cross"), config), "no answer and "+cpu(native()))
}
