# Compiles the application: from nothing, or from the state that an earlier run
# left in .retort/state if that gives the same. Arguments: config=APP VALUE (a
# term in base64) for each application that has compile-time configuration, or
# config=whole where the files of the project say it.
#
# Where it turns out afterwards that the result may not be that of a clean
# compilation with all its names made in order, everything is compiled anew in
# another VM: RETORT_ANEW counts these. .retort/made then holds the names.
defmodule Retort.Compile do
  alias Retort.{Asked, Names, Reads, State}

  @mode ".retort/mode"
  @made ".retort/made"
  @epoch 315_532_800
  @named ~w(.ex .eex .heex .leex .erl .hrl .xrl .yrl)

  def main do
    toolchain = Names.read(["/retort/names"])
    Retort.Files.sort()
    Retort.Steady.begin()
    config(System.argv())
    Retort.Cross.begin()
    build = System.fetch_env!("MIX_BUILD_PATH")
    files = State.files()
    {mode, state} = if anew() > 0, do: {:clean, State.new(files)}, else: State.begin(files, build, &numbers(files, &1.names))
    run(mode, state, files, build, toolchain)
  end

  defp run(:clean, state, files, build, toolchain) do
    for path <- children(build) -- foreign(build), do: File.rm_rf!(Path.join(build, path))
    result(:clean, state, files, build, toolchain)
  end

  # Whatever goes wrong here may be the state's fault.
  defp run(:incremental, state, files, build, toolchain) do
    result(:incremental, state, files, build, toolchain)
  rescue
    error -> again(build, files, [], Exception.message(error))
  end

  defp result(mode, state, files, build, toolchain) do
    foreign = foreign(build)
    state = %{state | names: sources(files, state.names)}
    base = Names.read(Enum.map(foreign, &Path.join([build, &1, ".mix/retort.names"])))
    own = own(state.names)
    made = Names.read([@made])
    for list <- [base, own, made], do: Names.atoms(list)

    before = times(build, children(build) -- foreign)
    old = State.built(build, children(build) -- foreign)
    priv = State.priv()
    tracer = Reads.start()
    failure = compile()
    seen = Reads.stop(tracer)
    with {kind, reason, stack} when mode == :clean <- failure, do: :erlang.raise(kind, reason, stack)

    now = times(build, children(build) -- foreign)
    changed = for {beam, time} <- now, before[beam] != time, do: beam
    gone = for {beam, _time} <- before, not is_map_key(now, beam), do: beam
    known = MapSet.new(toolchain)
    fresh = MapSet.new(changed)

    beams =
      for {beam, _time} <- now, into: %{} do
        {beam, if(beam not in fresh && state.beams[beam], do: state.beams[beam], else: Names.beam(Path.join(build, beam), known))}
      end

    found = Names.made(Map.values(beams), [base, own])

    cond do
      failure -> again(build, files, [], "an error may be due to what was compiled earlier")
      found != made and anew() < 3 -> again(build, files, found, "macros made the names #{Enum.join(Enum.take((found -- made) ++ (made -- found), 5), ", ")}")
      mode == :incremental and not State.sound?(state, seen, changed ++ gone, build) -> again(build, files, found, "a module that was found at run time has changed")

      true ->
        {watched?, projects} = projects()
        state = %{state | own: children(build) -- foreign, beams: beams, numbers: numbers(own, made), projects: projects}
        foreseen? = State.foreseen?(state, seen.built, old, build)

        if mode == :incremental and not foreseen? do
          again(build, files, found, "a compiler of the project looked at what was compiled earlier")
        else
          asking = asking(seen.machine, state.own)
          usable = watched? and foreseen? and not seen.commands and asking == [] and State.plain?(state) and found == made and priv == State.priv()
          finish(%{state | usable: usable}, seen, mode, build, found)
          for path <- asking, do: Asked.note(Path.join(build, path))
        end
    end
  end

  defp compile do
    Mix.start()
    Mix.CLI.main(["compile"])
    nil
  catch
    kind, reason -> {kind, reason, __STACKTRACE__}
  end

  defp finish(state, seen, mode, build, made) do
    state = State.add(state, seen, build)
    State.save(state, build)
    names(made)
    File.write!(@mode, Atom.to_string(mode))
  end

  # Of the folders that the project compiles to, those of applications that asked
  # which machine this is; of an umbrella that did, the first.
  defp asking(apps, own) do
    libs = Enum.filter(own, &String.starts_with?(&1, "lib/"))
    root = Enum.find(libs, List.first(libs), &(&1 == "lib/#{Mix.Project.config()[:app]}"))
    apps = apps ++ for(dep <- Mix.Dep.cached(), not dep.scm.fetchable?(), Asked.defined?(dep), do: dep.app)
    asked = for app <- apps, path = if(app, do: "lib/#{app}", else: root), path in libs, uniq: true, do: path
    Enum.sort(asked)
  end

  defp names(made) do
    File.mkdir_p!(".retort")
    File.write!(@made, :erlang.term_to_binary(made))
  end

  defp anew, do: String.to_integer(System.get_env("RETORT_ANEW", "0"))

  # Compiles everything in another VM, with these names made first.
  defp again(build, files, made, why) do
    IO.puts("Compiling everything again: #{why}")
    for path <- children(build) -- foreign(build), do: File.rm_rf!(Path.join(build, path))
    for {path, _hash} <- State.files(), not is_map_key(files, path), path != "config/config.exs", do: File.rm!(path)
    for path <- Map.keys(files), match?({:ok, %{type: :regular}}, File.lstat(path)), do: File.touch!(path, @epoch)
    names(made)

    port =
      Port.open({:spawn_executable, System.find_executable("elixir")}, [
        :nouse_stdio,
        :exit_status,
        args: ["--erl", "+S #{:erlang.system_info(:schedulers)}", "--boot", "/retort/start", "-pa", "/retort/ebin", "-e", "Retort.Compile.main()", "--" | System.argv()],
        env: [{~c"RETORT_ANEW", to_charlist(anew() + 1)}]
      ])

    receive do
      {^port, {:exit_status, 0}} -> :ok
      {^port, {:exit_status, status}} -> exit({:shutdown, status})
    end
  end

  defp config(["config=whole"]), do: :ok

  defp config(facts) do
    lines =
      for "config=" <> fact <- facts do
        [app, value] = String.split(fact, " ")
        ["config ", inspect(String.to_atom(app)), ", :erlang.binary_to_term(Base.decode64!(\"", value, "\"))\n"]
      end

    File.mkdir_p!("config")
    File.write!("config/config.exs", ["import Config\n", lines])
    File.touch!("config/config.exs", @epoch)
  end

  # The names in each source by the hash of its content.
  defp sources(files, known) do
    sources = for {path, {hash, mode}} <- files, mode >= 0, Path.extname(path) in @named, into: %{}, do: {hash, path}
    for {hash, path} <- sources, into: %{}, do: {hash, known[hash] || Names.source(path)}
  end

  defp own(names), do: names |> Map.values() |> Enum.concat() |> Enum.sort() |> Enum.dedup()

  # Stands for what numbers the atoms of these sources have.
  defp numbers(files, known) when is_map(files), do: files |> sources(known) |> own() |> numbers(Names.read([@made]))
  defp numbers(own, made), do: :erlang.md5(:erlang.term_to_binary([own, made]))

  defp times(build, own) do
    for path <- own, beam <- Path.wildcard(Path.join([build, path, "ebin/*.beam"])), into: %{} do
      {Path.relative_to(beam, build), File.stat!(beam, time: :posix).mtime}
    end
  end

  # Of the folders below, those of the dependencies: their names are listed.
  defp foreign(build), do: for(path <- children(build), File.regular?(Path.join([build, path, ".mix/retort.names"])), do: path)

  # The folders that the dependencies and the applications compile to.
  defp children(build) do
    libs = for name <- State.ls_if(Path.join(build, "lib")), do: "lib/" <> name
    libs ++ (State.ls_if(build) -- ["lib"])
  end

  # Whether every application of the project may be compiled from a state, and
  # for each of them, after those that it depends on: where it lies and compiles
  # to, the folders of its sources, and which compilers of its own run when all
  # others are through.
  defp projects do
    root = System.fetch_env!("MIX_DEPS_PATH") |> Path.dirname()
    deps = for dep <- Mix.Dep.cached(), not dep.scm.fetchable?(), do: dep

    all =
      Enum.map(deps, fn dep -> Mix.Dep.in_dependency(dep, fn _ -> project(Path.relative_to(dep.opts[:dest], root)) end) end) ++ [project("")]

    {Enum.all?(all, &elem(&1, 0)) and Code.get_compiler_option(:tracers) == [], Enum.map(all, &elem(&1, 1))}
  end

  defp project(dir) do
    config = Mix.Project.config()
    dirs = (config[:elixirc_paths] || []) ++ (config[:erlc_paths] || []) ++ List.wrap(config[:erlc_include_path])
    aliases = for {name, _} <- config[:aliases] || [], String.starts_with?(to_string(name), "compile"), do: name
    compilers = config[:compilers] || Mix.compilers()
    app = config[:app] && "lib/#{config[:app]}"
    dirs = for path <- dirs, do: Path.join(dir, path) |> String.trim_leading("/")
    last = compilers |> Enum.reverse() |> Enum.take_while(&(&1 not in Reads.compilers())) |> Enum.map(&to_string/1)
    {aliases == [] and !config[:build_embedded] and config[:elixirc_options][:tracers] in [nil, []], {dir, app, dirs, last}}
  end
end
