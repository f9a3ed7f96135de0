# What compiling looks at, until stop: files, folders, modules that are asked
# for by name, programs, maps that are gone through in an order which the number
# of all atoms decides. Elixir compiles each source in a process of its own,
# so that what module bodies and macros do is known by source.
defmodule Retort.Reads do
  @file_calls [consult: 1, list_dir: 1, list_dir_all: 1, open: 2, path_consult: 2, read_file: 1, read_file: 2] ++
                [read_file_info: 1, read_file_info: 2, read_link: 1, read_link_all: 1, read_link_info: 1, read_link_info: 2]
  @orders [
    {{:erts_internal, :map_next, 3}, [:_, :"$1", :_]},
    {{:maps, :keys, 1}, [:"$1"]},
    {{:maps, :values, 1}, [:"$1"]},
    {{:erlang, :term_to_binary, 1}, [:"$1"]},
    {{:erlang, :term_to_binary, 2}, [:"$1", :_]}
  ]
  @low_calls [list_dir: 1, list_dir_all: 1, open: 2, read_file: 1]

  defstruct [
    :main,
    owner: %{},
    scripts: MapSet.new(),
    passes: MapSet.new(),
    sources: MapSet.new(),
    reads: MapSet.new(),
    lists: MapSet.new(),
    seen: MapSet.new(),
    declared: MapSet.new(),
    asked: MapSet.new(),
    ordered: MapSet.new(),
    commands: false
  ]

  def start do
    parent = self()
    tracer = spawn_link(fn -> loop(%__MODULE__{main: parent}) end)
    :erlang.trace(:all, true, [:call, :procs, {:tracer, tracer}])
    for {name, arity} <- @low_calls, do: :erlang.trace_pattern({:prim_file, name, arity}, true, [])
    for {name, arity} <- @file_calls, do: :erlang.trace_pattern({:file, name, arity}, true, [:local])
    for module <- [:elixir_compiler, Kernel.ErrorHandler, Mix.Rebar, Module], do: {:module, _} = :code.ensure_loaded(module)
    pattern({:elixir_compiler, :file, 2})
    pattern({:code, :ensure_loaded, 1})
    for arity <- [3, 4], do: pattern({Kernel.ErrorHandler, :ensure_compiled, arity})
    pattern({:erlang, :open_port, 2})
    for {mfa, args} <- @orders, do: large(mfa, args)
    :erlang.trace_pattern({Mix.Rebar, :load_config, 1}, [{:_, [], [{:return_trace}]}], [])
    for {name, arity} <- Module.module_info(:exports), name in [:__put_attribute__, :put_attribute], arity > 2, do: attribute(name, arity)
    tracer
  end

  defp pattern(mfa), do: :erlang.trace_pattern(mfa, true, [])

  # A map of up to 32 keys lists atoms in the order in which these were made,
  # which is fixed (names.ex); a larger one in that of a hash of their numbers,
  # and so names that are made before them count.
  defp large(mfa, args) do
    :erlang.trace_pattern(mfa, [{args, [{:is_map, :"$1"}, {:>, {:map_size, :"$1"}, 32}], []}], [])
  end

  defp attribute(name, arity) do
    head = [:_, :external_resource | List.duplicate(:_, arity - 2)]
    :erlang.trace_pattern({Module, name, arity}, [{head, [], []}], [])
  end

  def stop(tracer) do
    :erlang.trace(:all, false, [:call, :procs])
    ref = :erlang.trace_delivered(:all)
    receive(do: ({:trace_delivered, :all, ^ref} -> :ok))
    send(tracer, :stop)
    receive(do: ({^tracer, result} -> result))
  end

  defp loop(seen) do
    receive do
      {:trace, parent, :spawn, child, mfa} -> loop(seen |> inherit(parent, child) |> pass(child, mfa))
      {:trace, pid, :call, {Mix.Rebar, :load_config, _args}} -> loop(%{seen | scripts: MapSet.put(seen.scripts, pid)})
      {:trace, pid, :return_from, {Mix.Rebar, :load_config, _arity}, _config} -> loop(%{seen | scripts: MapSet.delete(seen.scripts, pid)})
      {:trace, pid, :call, {module, name, args}} -> loop(call(seen, pid, module, name, args))
      :stop -> send(seen.main, {self(), result(seen)})
      _other -> loop(seen)
    end
  end

  defp inherit(seen, parent, child) do
    seen = if parent in seen.scripts, do: %{seen | scripts: MapSet.put(seen.scripts, child)}, else: seen

    case seen.owner do
      %{^parent => source} -> %{seen | owner: Map.put(seen.owner, child, source)}
      _other -> seen
    end
  end

  # The passes of Erlang's compiler, and the process in which Elixir notes what a
  # source refers to, go through maps of their own.
  defp pass(seen, child, {:erlang, :apply, [fun | _]}) when is_function(fun) do
    if Function.info(fun, :module) == {:module, :elixir_erl_compiler}, do: %{seen | passes: MapSet.put(seen.passes, child)}, else: seen
  end

  defp pass(seen, child, {:proc_lib, :init_p, [_parent, _ancestors, :gen, :init_it, args]}) do
    if Kernel.LexicalTracker in args, do: %{seen | passes: MapSet.put(seen.passes, child)}, else: seen
  end

  defp pass(seen, _child, _mfa), do: seen

  # A source that another compiles is one that this other reads.
  defp call(seen, pid, :elixir_compiler, :file, [file, _callback]) do
    source = relative(file)

    if source && Path.extname(source) == ".ex" && pid != seen.main && !seen.owner[pid] do
      %{seen | owner: Map.put(seen.owner, pid, source), sources: MapSet.put(seen.sources, source)}
    else
      look(seen, pid, file)
    end
  end

  # Commands of a dependency's rebar.config.script concern nothing but that.
  defp call(seen, pid, :erlang, :open_port, [port, _options]), do: %{seen | commands: seen.commands or (pid not in seen.scripts and command?(port))}
  defp call(seen, pid, :erts_internal, _name, [_path, map | _]), do: order(seen, pid, map)
  defp call(seen, pid, :maps, _name, [map]), do: order(seen, pid, map)
  defp call(seen, pid, :erlang, _name, [map | _]), do: order(seen, pid, map)
  defp call(seen, _pid, :prim_file, name, [path | _]) when name in [:list_dir, :list_dir_all], do: %{seen | lists: put(seen.lists, path)}
  defp call(seen, _pid, :prim_file, _name, [path | _]), do: %{seen | reads: put(seen.reads, path)}
  defp call(seen, pid, :file, _name, [path | _]), do: look(seen, pid, path)
  defp call(seen, pid, :code, :ensure_loaded, [module]), do: ask(seen, pid, module)
  defp call(seen, pid, Kernel.ErrorHandler, :ensure_compiled, [module | _]), do: ask(seen, pid, module)

  defp call(seen, pid, Module, _name, [_module, :external_resource, path | _]) do
    with %{^pid => source} <- seen.owner, path when is_binary(path) <- relative(path) do
      %{seen | declared: MapSet.put(seen.declared, {source, path})}
    else
      _other -> seen
    end
  end

  defp look(seen, pid, path) do
    with %{^pid => source} <- seen.owner, path when is_binary(path) and path != source <- relative(path) do
      %{seen | seen: MapSet.put(seen.seen, {source, path})}
    else
      _other -> seen
    end
  end

  defp order(seen, pid, map) do
    with %{^pid => source} <- seen.owner, false <- pid in seen.passes, true <- Enum.any?(map, fn {key, _value} -> is_atom(key) end) do
      %{seen | ordered: MapSet.put(seen.ordered, source)}
    else
      _other -> seen
    end
  end

  defp ask(seen, pid, module) when is_atom(module) do
    case seen.owner do
      %{^pid => source} -> %{seen | asked: MapSet.put(seen.asked, {source, Atom.to_string(module)})}
      _other -> seen
    end
  end

  defp ask(seen, _pid, _other), do: seen

  # Mix asks git about dependencies; that reads nothing of the project.
  defp command?({:spawn_executable, path}), do: Path.basename(IO.chardata_to_string(path)) != "git"
  defp command?({:spawn, _command}), do: true
  defp command?(_other), do: false

  defp put(set, path) do
    case relative(path) do
      nil -> set
      path -> MapSet.put(set, path)
    end
  end

  # A path in the project, relative to it; nil for others. One that was relative
  # already may mean the folder of any application of the project.
  defp relative(path) do
    root = Path.dirname(System.fetch_env!("MIX_DEPS_PATH"))
    text = IO.chardata_to_string(path)

    path =
      case Path.type(text) do
        :absolute -> text |> Path.expand() |> Path.relative_to(root)
        _other -> text |> Path.split() |> Enum.reject(&(&1 in [".", ".."])) |> Path.join()
      end

    case path do
      "/" <> _other -> nil
      "_build/" <> _other -> nil
      "deps/" <> _other -> nil
      path -> path
    end
  rescue
    _not_text -> nil
  end

  defp result(seen) do
    for {key, %MapSet{} = set} <- Map.from_struct(seen), key not in [:scripts, :passes], into: %{commands: seen.commands}, do: {key, Enum.sort(set)}
  end
end
