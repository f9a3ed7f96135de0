# Compiles the application: from nothing, or from the state that an earlier run
# left in .retort/state if that gives the same. Arguments: config=APP VALUE (a
# term in base64) for each application that has compile-time configuration, or
# config=whole where the files of the project say it.
#
# The state holds Mix's manifests, which trust times: a source is looked at
# again only if it is newer. So every file of the project gets the time of the
# run, counted from the epoch that all layers have, in which its content was
# last seen to change, and what that run compiled the same.
defmodule Retort.Compile do
  @state ".retort/state"
  @mode ".retort/mode"
  @format 1
  @epoch 315_532_800
  @kept ["compile.elixir_scm", "compile.fetch"]
  # What these compile follows from files that Mix watches.
  @compilers [:app, :elixir, :erlang, :gettext, :leex, :phoenix, :phoenix_live_view, :protocols, :yecc]
  @sources ~w(.erl .ex .hrl .xrl .yrl)

  def main do
    config(System.argv())
    build = System.fetch_env!("MIX_BUILD_PATH")
    files = files()
    {state, mode} = begin(read(), files)
    foreign = children(build)
    foreign = if mode == :clean, do: foreign, else: foreign -- state.own
    if mode == :clean, do: for(path <- state.own, do: File.rm_rf!(Path.join(build, path)))
    state = %{state | names: intern(build, foreign, files, state.names)}
    tracer = Retort.Reads.start()
    Mix.start()
    Mix.CLI.main(["compile"])
    {reads, lists, commands} = Retort.Reads.stop(tracer)
    own = children(build) -- foreign
    {watched?, dirs} = projects()

    save(
      %{
        state
        | own: own,
          usable: state.usable and watched? and not commands,
          dirs: dirs,
          reads: Enum.uniq(reads ++ state.reads),
          lists: Enum.uniq(lists ++ state.lists),
          tracked: tracked(build, own),
          time: System.os_time(:second)
      },
      build
    )

    File.write!(@mode, Atom.to_string(mode))
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
  end

  # Every file of the project with the hash of its content.
  defp files do
    for name <- ls("."), name not in ~w(_build _plugins .retort deps), file <- walk(name), into: %{} do
      file
    end
  end

  defp walk(path) do
    case File.lstat!(path) do
      %{type: :directory} -> for name <- ls(path), file <- walk(Path.join(path, name)), do: file
      %{type: :regular} -> [{path, :erlang.md5(File.read!(path))}]
      %{type: :symlink} -> [{path, {:link, File.read_link!(path)}}]
    end
  end

  defp ls(dir), do: dir |> File.ls!() |> Enum.sort()

  defp read do
    with {:ok, data} <- File.read(@state),
         %{format: @format} = state <- :erlang.binary_to_term(data) do
      state
    else
      _none -> nil
    end
  end

  defp begin(nil, files), do: {new(files, 0), :clean}

  defp begin(state, files) do
    changed = for {path, hash} <- files, known = state.files[path], known == nil or elem(known, 0) != hash, do: path
    removed = for {path, _} <- state.files, not is_map_key(files, path), do: path
    now = await(state.time)

    if state.usable and now and Enum.all?(changed ++ removed, &harmless?(&1, state, files)) do
      run = state.run + 1
      restore(state)

      files =
        for {path, hash} <- files, into: %{} do
          seen = if path in changed, do: run, else: elem(state.files[path], 1)
          if seen > 0 and is_binary(hash), do: File.touch!(path, @epoch + seen)
          {path, {hash, seen}}
        end

      {%{state | files: files, run: run}, :incremental}
    else
      {%{new(files, 0) | own: state.own, names: state.names}, :clean}
    end
  end

  defp new(files, run) do
    files = for {path, hash} <- files, into: %{}, do: {path, {hash, run}}
    %{format: @format, files: files, run: run, own: [], names: %{}, usable: true, dirs: [], reads: [], lists: [], tracked: [], time: 0, manifests: []}
  end

  # Mix keeps seconds. What is compiled in the second of the state would look as
  # old as that; a clock that went back, older.
  defp await(time) do
    case System.os_time(:second) - time do
      ahead when ahead > 0 -> true
      0 -> Process.sleep(100) && await(time)
      _behind -> false
    end
  end

  # Mix recompiles what a changed source or declared resource is part of. What
  # was read without being declared it does not know of.
  defp harmless?(path, state, files) do
    added? = is_map_key(files, path) and not is_map_key(state.files, path)
    removed? = not is_map_key(files, path)

    cond do
      Path.extname(path) in @sources and Enum.any?(state.dirs, &String.starts_with?(path, &1 <> "/")) -> true
      path in state.tracked -> not added?
      Enum.any?(state.reads, &same?(&1, path)) -> false
      added? or removed? -> not Enum.any?(state.lists, &same?(&1, Path.dirname(path)))
      true -> true
    end
  end

  # Paths are seen relative to the folder of whichever project was compiled.
  defp same?(seen, path), do: seen == path or String.ends_with?(path, "/" <> seen) or seen == "."

  defp restore(state) do
    build = System.fetch_env!("MIX_BUILD_PATH")

    for {path, data} <- state.manifests do
      File.mkdir_p!(Path.dirname(Path.join(build, path)))
      File.write!(Path.join(build, path), data)
    end

    for path <- state.own, {file, hash} <- walk(Path.join(build, path)), is_binary(hash), do: File.touch!(file, @epoch + state.run)
  end

  # Makes the atoms of the toolchain, of the dependencies and of the sources,
  # in this order. Returns the names of each source by the hash of its content.
  defp intern(build, foreign, files, known) do
    sources = for {path, hash} <- files, Path.extname(path) == ".ex", is_binary(hash), into: %{}, do: {hash, path}
    names = for {hash, path} <- sources, into: %{}, do: {hash, known[hash] || Retort.Names.source(path)}

    Retort.Names.intern(["/retort/names" | Enum.map(foreign, &Path.join([build, &1, ".mix/retort.names"]))])
    names |> Map.values() |> Enum.concat() |> Enum.sort() |> Retort.Names.atoms()
    names
  end

  # The folders that the dependencies and the applications compile to.
  defp children(build) do
    libs = for name <- ls_if(Path.join(build, "lib")), do: "lib/" <> name
    libs ++ (ls_if(build) -- ["lib"])
  end

  defp ls_if(dir) do
    if File.dir?(dir), do: ls(dir), else: []
  end

  # Whether Mix alone compiles every application of the project, and the
  # folders of their sources.
  defp projects do
    deps = for dep <- Mix.Dep.cached(), not dep.scm.fetchable?(), do: dep

    [project("") | Enum.map(deps, fn dep -> Mix.Dep.in_dependency(dep, fn _ -> project(Path.relative_to(dep.opts[:dest], root())) end) end)]
    |> Enum.reduce({true, []}, fn {watched?, dirs}, {all?, acc} -> {all? and watched?, dirs ++ acc} end)
  end

  defp root, do: System.fetch_env!("MIX_DEPS_PATH") |> Path.dirname()

  defp project(dir) do
    config = Mix.Project.config()
    dirs = (config[:elixirc_paths] || []) ++ (config[:erlc_paths] || []) ++ List.wrap(config[:erlc_include_path])
    {Enum.all?(config[:compilers] || Mix.compilers(), &(&1 in @compilers)), for(path <- dirs, do: Path.join(dir, path) |> String.trim_leading("/"))}
  end

  # The files that modules declare with @external_resource.
  defp tracked(build, own) do
    for path <- own,
        beam <- Path.wildcard(Path.join([build, path, "ebin/*.beam"])),
        {:ok, {_module, [attributes: attributes]}} <- [:beam_lib.chunks(to_charlist(beam), [:attributes])],
        {:external_resource, files} <- attributes,
        file <- files,
        is_binary(file),
        uniq: true,
        do: Path.relative_to(file, root())
  end

  defp save(state, build) do
    manifests =
      for path <- state.own,
          file <- Path.wildcard(Path.join([build, path, ".mix/**"]), match_dot: true),
          File.regular?(file),
          Path.basename(file) not in @kept do
        data = File.read!(file)
        File.rm!(file)
        {Path.relative_to(file, build), data}
      end

    File.mkdir_p!(".retort")
    File.write!(@state, :erlang.term_to_binary(%{state | manifests: manifests}, [:compressed]))
  end
end

# Which files and folders are read, and whether programs are run, until stop.
defmodule Retort.Reads do
  def start do
    parent = self()
    tracer = spawn_link(fn -> loop(parent, MapSet.new(), MapSet.new(), false) end)
    :erlang.trace(:all, true, [:call, {:tracer, tracer}])
    for {name, arity} <- [open: 2, read_file: 1, list_dir: 1, list_dir_all: 1], do: :erlang.trace_pattern({:prim_file, name, arity}, true, [])
    :erlang.trace_pattern({:erlang, :open_port, 2}, true, [])
    tracer
  end

  def stop(tracer) do
    :erlang.trace(:all, false, [:call])
    ref = :erlang.trace_delivered(:all)
    receive(do: ({:trace_delivered, :all, ^ref} -> :ok))
    send(tracer, :stop)
    receive(do: ({^tracer, result} -> result))
  end

  defp loop(parent, reads, lists, commands) do
    receive do
      {:trace, _pid, :call, {:erlang, :open_port, [port, _options]}} -> loop(parent, reads, lists, commands or command?(port))
      {:trace, _pid, :call, {:prim_file, name, [path | _]}} when name in [:list_dir, :list_dir_all] -> loop(parent, reads, put(lists, path), commands)
      {:trace, _pid, :call, {:prim_file, _name, [path | _]}} -> loop(parent, put(reads, path), lists, commands)
      {:trace, _pid, :call, _other} -> loop(parent, reads, lists, commands)
      :stop -> send(parent, {self(), {MapSet.to_list(reads), MapSet.to_list(lists), commands}})
    end
  end

  # Mix asks git about dependencies; that reads nothing of the project.
  defp command?({:spawn_executable, path}), do: Path.basename(IO.chardata_to_string(path)) != "git"
  defp command?({:spawn, _command}), do: true
  defp command?(_other), do: false

  # Keeps what may be in the project, relative to it.
  defp put(set, path) do
    path = IO.chardata_to_string(path)
    root = Path.dirname(System.fetch_env!("MIX_DEPS_PATH"))

    case Path.relative_to(path, root) do
      "/" <> _other -> set
      "_build" <> _rest -> set
      "deps" <> _rest -> set
      path -> MapSet.put(set, path)
    end
  rescue
    _not_text -> set
  end
end
