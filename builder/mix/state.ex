# What an earlier run left in .retort/state, and whether the next may begin
# from it. It holds Mix's manifests, which trust times: a source is looked at
# again only if it is newer. So every file of the project gets the time of the
# run, counted from the epoch that all layers have, in which its content was
# last seen to change, and what that run compiled the same.
#
# The state holds no atoms but those of this module: reading it must make none.
defmodule Retort.State do
  @path ".retort/state"
  @format 4
  @epoch 315_532_800
  @kept ["compile.elixir_scm", "compile.fetch"]
  @erlang ~w(.erl .hrl .xrl .yrl)
  @sources [".ex" | @erlang]
  @foreign ~w(_build _plugins .retort deps)
  # Manifests of those compilers that begin from what they find.
  @manifests ~w(app_cache app_tracer elixir erlang leex lock protocols xref yecc) |> Enum.map(&("compile." <> &1))
  # What else of an earlier run these may find.
  @found ~w(.mix consolidated ebin)
  @shared [".mix", "consolidated", "phoenix-colocated"]

  defstruct format: @format,
            files: %{},
            run: 0,
            own: [],
            names: %{},
            beams: %{},
            usable: true,
            projects: [],
            reads: [],
            lists: [],
            seen: [],
            declared: [],
            asked: [],
            ordered: [],
            inputs: [],
            listed: [],
            numbers: nil,
            manifests: [],
            generated: [],
            time: 0

  # Every file of the project with the hash of its content, and its mode.
  def files do
    for name <- ls("."), name not in @foreign, file <- walk(name), into: %{}, do: file
  end

  defp walk(path) do
    case File.lstat!(path) do
      %{type: :directory} -> for name <- ls(path), file <- walk(Path.join(path, name)), do: file
      %{type: :regular, mode: mode} -> [{path, {hash(path), Bitwise.band(mode, 0o111)}}]
      %{type: :symlink} -> [{path, {File.read_link!(path), -1}}]
    end
  end

  # OpenSSL's hash takes a tenth of the time that the VM's own does.
  defp hash(path) do
    {:ok, data} = :prim_file.read_file(path)
    if Code.ensure_loaded?(:crypto), do: :crypto.hash(:sha256, data), else: :erlang.md5(data)
  end

  defp ls(dir), do: dir |> File.ls!() |> Enum.sort()
  def ls_if(dir), do: if(File.dir?(dir), do: ls(dir), else: [])

  # What lies in folders named priv, where an application may compile to, and
  # when it was written.
  def priv do
    for name <- ls("."), name not in @foreign, path <- tree(name), "priv" in Path.split(path), into: %{} do
      stat = File.stat!(path, time: :posix)
      {path, {stat.size, stat.mtime}}
    end
  end

  def new(files), do: %__MODULE__{files: Map.new(files, fn {path, hash} -> {path, {hash, 0}} end)}

  # Whether the project has nothing but plain files: Mix sees through a
  # symbolic link, and what its target's time says is another file's.
  def plain?(state), do: not Enum.any?(state.files, fn {_path, {{_hash, mode}, _seen}} -> mode < 0 end)

  # numbers stands for those that the atoms of a state and these files have.
  def begin(files, build, numbers) do
    case read() do
      nil -> {:clean, new(files)}
      state -> begin(state, files, build, numbers)
    end
  rescue
    _broken -> {:clean, new(files)}
  end

  defp read do
    with {:ok, data} <- File.read(@path),
         %__MODULE__{format: @format} = state <- :erlang.binary_to_term(data, [:safe]) do
      state
    else
      _none -> nil
    end
  rescue
    _broken -> nil
  end

  defp begin(state, files, build, numbers) do
    added = for path <- Map.keys(files), not is_map_key(state.files, path), do: path
    removed = for path <- Map.keys(state.files), not is_map_key(files, path), do: path
    edited = for {path, {hash, _seen}} <- state.files, is_map_key(files, path), files[path] != hash, do: path

    obstacle =
      cond do
        not state.usable -> "the last compilation cannot be continued"
        not await(state.time) -> "the clock went back"
        state.ordered != [] and state.numbers != numbers.(state) -> "#{hd(state.ordered)} goes through a map of many atoms, and names came or went"
        true -> obstacle(state, files, added, removed, edited, build)
      end

    if obstacle == nil do
      state = %{state | run: state.run + 1, files: age(state, files, added ++ edited, removed)}
      restore(state, build)
      {:incremental, state}
    else
      IO.puts("Compiling everything: #{obstacle}")
      {:clean, %{new(files) | names: if(names?(state.names), do: state.names, else: %{})}}
    end
  end

  defp names?(names), do: Enum.all?(names, fn {hash, list} -> is_binary(hash) and Enum.all?(list, &is_binary/1) end)

  # Mix keeps seconds. What is compiled in the second of the state would look as
  # old as that; a clock that went back, older.
  defp await(time) do
    case System.os_time(:second) - time do
      ahead when ahead > 0 -> true
      0 -> Process.sleep(50) && await(time)
      _behind -> false
    end
  end

  # The run in which each file was last seen to change. Mix does not follow the
  # includes of includes, nor parse transforms: a change of Erlang code is one
  # of all Erlang code.
  defp age(state, files, fresh, removed) do
    run = state.run + 1
    erlang? = Enum.any?(fresh ++ removed, &(Path.extname(&1) in @erlang))
    fresh = MapSet.new(fresh)

    for {path, hash} <- files, into: %{} do
      fresh? = path in fresh or (erlang? and Path.extname(path) in @erlang)
      {path, {hash, if(fresh?, do: run, else: elem(state.files[path], 1))}}
    end
  end

  # What Mix would not notice of these changes, or nil.
  defp obstacle(state, files, added, removed, edited, build) do
    changed = MapSet.new(added ++ removed ++ edited)
    seen = for {source, path} <- state.seen, source not in changed, {source, path} not in state.declared, uniq: true, do: path
    declared = for {_source, path} <- state.declared, uniq: true, do: path
    dirs = for {_dir, _app, dirs, _last} <- state.projects, dir <- dirs, do: dir <> "/"

    watched? = fn path ->
      (Path.extname(path) in @sources and String.starts_with?(path, dirs)) or Enum.any?(declared, &same?(&1, path))
    end

    listed? = fn path, lists -> Enum.any?(parents(path), fn parent -> parent != "." and Enum.any?(lists, &same?(&1, parent)) end) end

    cond do
      linked(state.files) != linked(files) -> "a folder that Mix links came or went"
      removed != [] and compile_env?(state, build) -> "a module may have read configuration"
      path = Enum.find(changed, fn path -> Enum.any?(seen, &same?(&1, path)) end) -> "a module reads #{path} without declaring it"
      path = Enum.find(added ++ removed, &("." in seen or listed?.(&1, seen))) -> "a module lists the folder of #{path}"
      path = Enum.find(changed, fn path -> not watched?.(path) and Enum.any?(state.reads, &same?(&1, path)) end) -> "#{path} is read while compiling"
      path = Enum.find(added ++ removed, &(not watched?.(&1) and listed?.(&1, state.lists))) -> "the folder of #{path} is listed while compiling"
      path = Enum.find(changed, fn path -> Enum.any?(state.inputs, &same?(&1, path)) end) -> "a compiler of the project looks at #{path}"
      path = Enum.find(added ++ removed, &listed?.(&1, state.listed)) -> "a compiler of the project lists the folder of #{path}"
      true -> nil
    end
  end

  defp linked(files) do
    for {path, _} <- files, parent <- parents(path), Path.basename(parent) in Retort.Reads.linked(), uniq: true, into: MapSet.new(), do: parent
  end

  defp parents(path) do
    case Path.dirname(path) do
      "." -> ["."]
      parent -> [parent | parents(parent)]
    end
  end

  # Mix does not take what a removed module alone has read of the configuration
  # out of the application's resource file.
  defp compile_env?(state, build) do
    for(path <- state.own, file <- Path.wildcard(Path.join([build, path, "ebin/*.app"])), do: File.read!(file))
    |> Enum.any?(&(&1 =~ "compile_env"))
  end

  # A path may have been seen from the folder of an application.
  defp same?(seen, path), do: seen == path or String.ends_with?(path, "/" <> seen)

  # Compilers of the project begin from nothing: they follow what they find.
  defp restore(state, build) do
    for path <- state.own, do: clean(path, build)

    for {path, data} <- state.manifests, Path.basename(path) in @manifests do
      File.mkdir_p!(Path.dirname(Path.join(build, path)))
      File.write!(Path.join(build, path), data)
    end

    for {path, {{_hash, mode}, seen}} <- state.files, seen > 0, mode >= 0, do: File.touch!(path, @epoch + seen)

    for {path, data} <- state.generated, not File.exists?(path), File.dir?(Path.dirname(path)) do
      File.write!(path, data)
      File.touch!(path, @epoch + state.run - 1)
    end

    for path <- state.own, file <- tree(Path.join(build, path)), do: File.touch!(file, @epoch + state.run - 1)
  end

  defp clean("lib/" <> _name = app, build) do
    for name <- ls(Path.join(build, app)), name not in @found, path = Path.join([build, app, name]), File.lstat!(path).type != :symlink, do: File.rm_rf!(path)
    for path <- Path.wildcard(Path.join([build, app, "ebin/*"]), match_dot: true), Path.extname(path) not in [".app", ".beam"], do: File.rm_rf!(path)
  end

  defp clean(path, build), do: path in @shared || File.rm_rf!(Path.join(build, path))

  # All files below some of the folders that are compiled to.
  def built(build, paths) do
    for path <- paths, file <- tree(Path.join(build, path)), into: MapSet.new(), do: Path.relative_to(file, build)
  end

  # Whether compilers of the project saw nothing of an earlier run: of what the
  # others have made, only modules of applications that these were through with.
  # What they saw are pairs of a compiler, of an application, and a path.
  def foreseen?(state, seen, old, build) do
    order = for {{_dir, app, _dirs, last}, index} <- Enum.with_index(state.projects), into: %{}, do: {app, {index, last}}

    Enum.all?(seen, fn {{name, of}, path} ->
      {index, last} = Map.get(order, "lib/#{of}", {0, []})

      through? = fn app ->
        case order[app] do
          {before, _last} -> before < index or (app == "lib/#{of}" and name in last)
          nil -> false
        end
      end

      app = path |> Path.split() |> Enum.take(2) |> Path.join()

      case Path.split(path) do
        ["lib", _app | _rest] when not is_map_key(order, app) -> true
        ["lib", _app, "ebin" | _rest] -> through?.(app) or not there?(path, old, build)
        ["lib", _app, ".mix", name] -> name not in @manifests
        ["lib", _app, "consolidated" | _rest] -> not there?(path, old, build)
        ["lib" | _rest] -> true
        [shared | _rest] -> shared not in @shared or not there?(path, old, build)
      end
    end)
  end

  defp there?(path, old, build), do: path in old or File.exists?(Path.join(build, path))

  defp tree(path) do
    case File.lstat!(path) do
      %{type: :directory} -> for name <- ls(path), file <- tree(Path.join(path, name)), do: file
      %{type: :regular} -> [path]
      _other -> []
    end
  end

  # Whether all that was compiled because of a module that has changed was
  # compiled again. Mix knows of what is named in a source. What is found at run
  # time, as the implementation of a protocol is, only the search for it shows.
  def sound?(state, seen, beams, build) do
    changed = for beam <- beams, into: MapSet.new(), do: Path.basename(beam, ".beam")
    again = MapSet.new(seen.sources)

    not Enum.any?(state.asked, fn {source, module} -> module in changed and source not in again and is_map_key(state.files, source) end) and
      (function_exported?(Protocol, :__concat__, 2) or not Enum.any?(beams, &implementation?(Path.join(build, &1))))
  end

  # Before Elixir 1.17 a protocol's search leaves no trace.
  defp implementation?(beam) do
    case :beam_lib.chunks(to_charlist(beam), [:attributes]) do
      {:ok, {_module, [attributes: attributes]}} -> Keyword.has_key?(attributes, :__impl__)
      _gone -> true
    end
  end

  # Adds what a run has seen to what is still true of the earlier ones.
  def add(state, seen, build) do
    again = MapSet.new(seen.sources)
    keep = fn pairs -> for {source, _} = pair <- pairs, source not in again, is_map_key(state.files, source), do: pair end
    known = references(state, build)
    asked = for {source, module} = pair <- seen.asked, module not in Map.get(known, source, []), do: pair

    %{
      state
      | reads: Enum.uniq(seen.reads ++ state.reads),
        lists: Enum.uniq(seen.lists ++ state.lists),
        seen: Enum.uniq(keep.(state.seen) ++ seen.seen),
        declared: Enum.uniq(keep.(state.declared) ++ seen.declared),
        asked: Enum.uniq(keep.(state.asked) ++ asked),
        inputs: Enum.uniq(seen.inputs ++ state.inputs),
        listed: Enum.uniq(seen.listed ++ state.listed),
        ordered: Enum.uniq(Enum.filter(state.ordered, &(&1 not in again and is_map_key(state.files, &1))) ++ seen.ordered),
        usable: state.usable and Enum.all?(again, &(is_map_key(known, &1) and is_map_key(state.files, &1))) and (state.run > 0 or map_size(known) == MapSet.size(again))
    }
  end

  # The modules that each source refers to, as Mix's manifests have it. Elixir
  # 1.19 and later infers types from structs which the source names for when it
  # runs: Mix does not compile it again because of these, so they are left out.
  defp references(state, build) do
    for {dir, app, _dirs, _last} <- state.projects, app, entry <- entries(Path.join([build, app, ".mix/compile.elixir"])), into: %{} do
      {path, record} = entry
      {Path.join(dir, path) |> String.trim_leading("/"), record |> Tuple.to_list() |> followed() |> atoms([])}
    end
  end

  defp followed(fields) do
    runtime = Enum.find_index(fields, &is_list/1) + 2 # behind compile and export
    if Version.match?(System.version(), ">= 1.19.0-dev"), do: List.delete_at(fields, runtime), else: fields
  end

  # Sources are a map by path, or a list of records whose first field that is.
  defp entries(manifest) do
    with {:ok, data} <- File.read(manifest), term when is_tuple(term) <- :erlang.binary_to_term(data) do
      case elem(term, 2) do
        %{} = sources -> Map.to_list(sources)
        sources when is_list(sources) -> for source <- sources, do: {elem(source, 1), source}
      end
    else
      _none -> []
    end
  end

  defp atoms(atom, acc) when is_atom(atom), do: [Atom.to_string(atom) | acc]
  defp atoms([head | tail], acc), do: atoms(tail, atoms(head, acc))
  defp atoms(tuple, acc) when is_tuple(tuple), do: atoms(Tuple.to_list(tuple), acc)
  defp atoms(_other, acc), do: acc

  # Whether this Erlang source is made from one of the project's.
  defp grammar?(path, state) do
    not is_map_key(state.files, path) and Enum.any?([".xrl", ".yrl"], &is_map_key(state.files, Path.rootname(path) <> &1))
  end

  # Takes Mix's manifests out of what is built: they hold times.
  def save(state, build) do
    manifests =
      for path <- state.own,
          dir = if(path == ".mix", do: path, else: Path.join(path, ".mix")),
          file <- Path.wildcard(Path.join([build, dir, "**"]), match_dot: true),
          File.regular?(file),
          Path.basename(file) not in @kept do
        data = File.read!(file)
        File.rm!(file)
        {Path.relative_to(file, build), data}
      end

    generated = for {_dir, _app, dirs, _last} <- state.projects, dir <- dirs, path <- Path.wildcard(dir <> "/**/*.erl"), grammar?(path, state), uniq: true, do: {path, File.read!(path)}
    File.mkdir_p!(".retort")
    state = %{state | manifests: manifests, generated: generated, time: System.os_time(:second)}
    File.write!(@path, :erlang.term_to_binary(state, compressed: 1))
  end
end
