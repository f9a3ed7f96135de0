# What compiling looks at, until stop: files, folders, modules that are asked
# for by name, programs, maps that are gone through in an order which the number
# of all atoms decides. Elixir compiles each source in a process of its own,
# so that what module bodies and macros do is known by source.
defmodule Retort.Reads do
  alias Retort.Asked

  @file_calls [consult: 1, list_dir: 1, list_dir_all: 1, open: 2, path_consult: 2, read_file: 1, read_file: 2] ++
                [read_file_info: 1, read_file_info: 2, read_link: 1, read_link_all: 1, read_link_info: 1, read_link_info: 2]
  @orders [
    {{:erts_internal, :map_next, 3}, [:_, :"$1", :_]},
    {{:maps, :keys, 1}, [:"$1"]},
    {{:maps, :values, 1}, [:"$1"]},
    {{:erlang, :term_to_binary, 1}, [:"$1"]},
    {{:erlang, :term_to_binary, 2}, [:"$1", :_]}
  ]
  # So are tables, whatever their size.
  @listings [{:code, :all_loaded, 0}, {:ets, :tab2list, 1}]
  @low_calls [list_dir: 1, list_dir_all: 1, open: 2, read_file: 1, read_file_info: 1, read_file_info: 2, read_link_info: 1, read_link_info: 2]
  @low_looks [:read_file_info, :read_link_info]
  @lists [:list_dir, :list_dir_all]
  @write_calls [copy: 2, copy: 3, rename: 2, write_file: 2, write_file: 3]
  # Folders that Mix links into the build if they are there.
  @linked ~w(include priv src)
  # What these compile follows from files that Mix watches.
  @compilers [:app, :elixir, :erlang, :gettext, :leex, :phoenix, :phoenix_live_view, :protocols, :yecc]
  # Whose calls say which application Mix is in.
  @inside [Mix.Dep.Loader, Mix.Project]
  @parts ["all" | Enum.map(@compilers, &Atom.to_string/1)]

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
    inputs: MapSet.new(),
    listed: MapSet.new(),
    built: MapSet.new(),
    projects: [],
    tasks: %{},
    helpers: %{},
    machine: %Asked{},
    commands: false
  ]

  def compilers, do: @compilers
  def linked, do: @linked

  def start do
    parent = self()
    tracer = spawn_link(fn -> loop(%__MODULE__{main: parent}) end)
    :erlang.trace(:all, true, [:call, :procs, {:tracer, tracer}])
    for {name, arity} <- @low_calls, do: pattern({:prim_file, name, arity})
    for {name, arity} <- @file_calls ++ @write_calls, do: pattern({:file, name, arity}, [:local])
    for module <- [:elixir_compiler, Kernel.ErrorHandler, Mix.ProjectStack, Mix.Rebar, Mix.Task, Mix.Task.Compiler, Module], do: {:module, _} = :code.ensure_loaded(module)
    pattern({:elixir_compiler, :file, 2})
    pattern({:code, :ensure_loaded, 1})
    for arity <- [3, 4], do: pattern({Kernel.ErrorHandler, :ensure_compiled, arity})
    pattern({:erlang, :open_port, 2})
    Asked.patterns()
    pattern({Mix.ProjectStack, :push, 3})
    pattern({Mix.ProjectStack, :pop, 0})
    pattern({Mix.Task.Compiler, :after_compiler, 2})
    :erlang.trace_pattern({Mix.Task, :run, 2}, [{:_, [], [{:exception_trace}]}], [:local])
    for {mfa, args} <- @orders, do: large(mfa, args)
    for mfa <- @listings, do: pattern(mfa)
    :erlang.trace_pattern({Mix.Rebar, :load_config, 1}, [{:_, [], [{:return_trace}]}], [])
    for {name, arity} <- Module.module_info(:exports), name in [:__put_attribute__, :put_attribute], arity > 2, do: attribute(name, arity)
    tracer
  end

  # A call that is one of a silent process too.
  defp pattern(mfa, flags \\ []), do: :erlang.trace_pattern(mfa, [{:_, [], [{:silent, false}]}], flags)

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
      {:trace, pid, :call, {Mix.Task, :run, [task, _args]}} -> loop(task(seen, pid, to_string(task)))
      {:trace, pid, kind, {Mix.Task, :run, 2}, _result} when kind in [:return_from, :exception_from] -> loop(%{seen | tasks: Map.update!(seen.tasks, pid, &tl/1)})
      {:trace, _pid, _kind, {module, _name, _args}, _value} = message when module in [:erlang | @inside] -> loop(%{seen | machine: Asked.see(seen.machine, message)})
      {:trace, _pid, :call, {module, _name, _args}} = message when module in [:os | @inside] -> loop(%{seen | machine: Asked.see(seen.machine, message)})
      {:trace, pid, :call, {module, name, args}} -> loop(seen |> quiet(pid) |> input(compiler(seen, pid), module, name, args) |> call(pid, module, name, args))
      :stop -> send(seen.main, {self(), result(seen)})
      _other -> loop(seen)
    end
  end

  # A task that is run while a compiler of the project runs is part of that.
  defp task(seen, pid, task) do
    running = Map.get(seen.tasks, pid, [])

    compiler =
      case task do
        "compile." <> name when name not in @parts -> {name, List.first(seen.projects)}
        _other -> List.first(running)
      end

    %{seen | tasks: Map.put(seen.tasks, pid, [compiler | running])}
  end

  # The compiler of the project that runs now, or that started this process, as
  # its name and that of the application.
  defp compiler(%{tasks: tasks} = seen, pid), do: Enum.find_value(tasks, seen.helpers[pid], fn {_pid, running} -> List.first(running) end)

  defp input(seen, nil, _module, _name, _args), do: seen

  defp input(seen, compiler, module, name, [path | _] = args) when module in [:file, :prim_file] do
    seen = if compiled?(place(written(name, args))), do: %{seen | commands: true}, else: seen

    case place(path) do
      {:project, path} when name in @lists -> %{seen | listed: MapSet.put(seen.listed, path), inputs: MapSet.put(seen.inputs, path)}
      {:project, path} -> %{seen | inputs: MapSet.put(seen.inputs, path)}
      {:build, path} -> %{seen | built: MapSet.put(seen.built, {compiler, path})}
      nil -> seen
    end
  end

  # What is called when a compiler is through, is not seen.
  defp input(seen, _compiler, Mix.Task.Compiler, :after_compiler, _args), do: %{seen | commands: true}
  defp input(seen, _compiler, _module, _name, _args), do: seen

  defp inherit(seen, parent, child) do
    seen = if parent in seen.scripts, do: %{seen | scripts: MapSet.put(seen.scripts, child)}, else: seen

    seen =
      case compiler(seen, parent) do
        nil -> seen
        compiler -> %{seen | helpers: Map.put(seen.helpers, child, compiler)}
      end

    case seen.owner do
      %{^parent => source} -> %{seen | owner: Map.put(seen.owner, child, source)}
      _other -> seen
    end
  end

  # The passes of Erlang's compiler, and the process in which Elixir notes what a
  # source refers to, go through maps of their own, and so often that sending
  # these took a fifth of the time: they are kept silent but for other calls.
  defp pass(seen, child, mfa) do
    if pass?(mfa), do: quiet(%{seen | passes: MapSet.put(seen.passes, child)}, child), else: seen
  end

  defp pass?({:erlang, :apply, [fun | _]}) when is_function(fun), do: Function.info(fun, :module) == {:module, :elixir_erl_compiler}
  defp pass?({:proc_lib, :init_p, [_parent, _ancestors, :gen, :init_it, args]}), do: Kernel.LexicalTracker in args
  defp pass?(_mfa), do: false

  defp quiet(seen, pid) do
    if pid in seen.passes, do: :erlang.trace(pid, true, [:silent])
    seen
  rescue
    ArgumentError -> seen # it has ended
  end

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
  defp call(seen, pid, :erlang, :open_port, [port, _options] = args) do
    machine = Asked.see(seen.machine, {:trace, pid, :call, {:erlang, :open_port, args}})
    %{seen | machine: machine, commands: seen.commands or (pid not in seen.scripts and command?(port))}
  end

  defp call(seen, pid, module, name, args) when {module, name, length(args)} in @listings, do: order(seen, pid)
  defp call(seen, pid, :erts_internal, _name, [_path, map | _]), do: order(seen, pid, map)
  defp call(seen, pid, :maps, _name, [map]), do: order(seen, pid, map)
  defp call(seen, pid, :erlang, _name, [map | _]), do: order(seen, pid, map)
  defp call(seen, _pid, :prim_file, name, _args) when name in @low_looks, do: seen
  defp call(seen, _pid, :prim_file, name, [path | _]) when name in @lists, do: %{seen | lists: put(seen.lists, path)}
  defp call(seen, _pid, :prim_file, _name, [path | _]), do: %{seen | reads: put(seen.reads, path)}
  defp call(seen, pid, :file, name, args), do: seen |> look(pid, hd(args)) |> write(pid, name, args)
  defp call(seen, _pid, Mix.ProjectStack, :push, [_module, config, _file]), do: %{seen | projects: [config[:app] | seen.projects]}
  defp call(seen, _pid, Mix.ProjectStack, :pop, []), do: %{seen | projects: Enum.drop(seen.projects, 1)}
  defp call(seen, _pid, Mix.Task.Compiler, :after_compiler, _args), do: seen
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

  defp order(seen, pid, map), do: if(Enum.any?(map, fn {key, _value} -> is_atom(key) end), do: order(seen, pid), else: seen)

  defp order(seen, pid) do
    with source when source != nil <- seen.owner[pid] || task_name(compiler(seen, pid)), false <- pid in seen.passes do
      %{seen | ordered: MapSet.put(seen.ordered, source)}
    else
      _other -> seen
    end
  end

  defp task_name(nil), do: nil
  defp task_name({name, _app}), do: "mix compile.#{name}"

  defp ask(seen, pid, module) when is_atom(module) do
    case seen.owner do
      %{^pid => source} -> %{seen | asked: MapSet.put(seen.asked, {source, Atom.to_string(module)})}
      _other -> seen
    end
  end

  defp ask(seen, _pid, _other), do: seen

  # Mix asks git about dependencies; that reads nothing of the project.
  def command?({:spawn_executable, path}), do: Path.basename(IO.chardata_to_string(path)) != "git"
  def command?({:spawn, _command}), do: true
  def command?(_other), do: false

  defp put(set, path) do
    case relative(path) do
      nil -> set
      path -> MapSet.put(set, path)
    end
  end

  defp relative(path) do
    with {:project, path} <- place(path), do: path, else: (_other -> nil)
  end

  # Where a path lies: in the project, or among what it is compiled to, and
  # relative to that; nil for others. One that was relative already may mean the
  # folder of any application of the project, and so may one of the folders that
  # Mix links into the build.
  def place(nil), do: nil

  def place(path) do
    root = Path.dirname(System.fetch_env!("MIX_DEPS_PATH"))
    text = IO.chardata_to_string(path)

    path =
      case Path.type(text) do
        :absolute -> text |> Path.expand() |> Path.relative_to(root)
        _other -> text |> Path.split() |> Enum.reject(&(&1 in [".", ".."])) |> Path.join()
      end

    case Path.split(path) do
      ["/" | _other] -> nil
      ["_build", _env, "lib", _app, folder | rest] when folder in @linked -> {:project, Path.join([folder | rest])}
      ["_build", _env | rest] when rest != [] -> {:build, Path.join(rest)}
      [folder | _other] when folder in ["_build", "deps"] -> nil
      _other -> {:project, path}
    end
  rescue
    _not_text -> nil
  end

  # What a source leaves in the build, but the compiler does not know of.
  defp write(seen, pid, name, args) do
    with %{^pid => _source} <- seen.owner, {:build, _path} = to <- place(written(name, args)), false <- compiled?(to) do
      %{seen | commands: true}
    else
      _other -> seen
    end
  end

  defp compiled?({:build, path}), do: Enum.any?(["consolidated", "ebin"], &(&1 in Path.split(path)))
  defp compiled?(_elsewhere), do: false

  defp written(:open, [path, modes]), do: if(is_list(modes) and Enum.any?([:write, :append, :exclusive], &(&1 in modes)), do: path)
  defp written(name, [_from, to | _]) when name in [:copy, :rename], do: to
  defp written(:write_file, [path | _]), do: path
  defp written(_name, _args), do: nil

  defp result(seen) do
    for {key, %MapSet{} = set} <- Map.from_struct(seen), key not in [:scripts, :passes], into: %{commands: seen.commands, machine: Asked.apps(seen.machine)}, do: {key, Enum.sort(set)}
  end
end
