# Whether code that compiling runs asks which machine this is: the VM, or a program
# that says so. What comes of it is then that machine's. It is told by application:
# Mix loads others on the way to the one that it compiles.
defmodule Retort.Asked do
  @file_name ".mix/retort.asked"
  @programs ~w(arch dpkg dpkg-architecture lscpu uname)
  # Modules of OTP that ask for themselves, to find a file or to print it.
  @own ~w(asn1rt_nif crypto dbg dyntrace inets observer_backend pubkey_os_cacerts system_information)a
  # What `erlang:system_info(system_architecture)` is, of each platform.
  @architectures ~w(aarch64-unknown-linux-gnu x86_64-pc-linux-gnu)

  # The applications that Mix is in, the innermost first, and those that asked: nil
  # for the project that Mix began with.
  defstruct inside: [], apps: MapSet.new()

  # From here on, in every process.
  def begin do
    parent = self()
    tracer = spawn_link(fn -> loop(parent, %__MODULE__{}) end)
    :erlang.trace(:all, true, [:call, {:tracer, tracer}])
    :erlang.trace_pattern({:erlang, :open_port, 2}, true, [])
    patterns()
    tracer
  end

  # The applications that asked, until here.
  def stop(tracer) do
    :erlang.trace(:all, false, [:call])
    ref = :erlang.trace_delivered(:all)
    receive do: ({:trace_delivered, :all, ^ref} -> :ok)
    send(tracer, :stop)
    receive do: ({^tracer, apps} -> apps)
  end

  # Leaves a file in an application's build that says so.
  def note(build) do
    file = Path.join(build, @file_name)
    File.mkdir_p!(Path.dirname(file))
    File.write!(file, "")
  end

  # Whether rebar3 defines a macro of a dependency by a pattern that one platform alone matches.
  def defined?(%{manager: :rebar3, extra: config}) do
    release = "#{:erlang.system_info(:otp_release)}-"

    Enum.any?(defines(config), fn pattern ->
      @architectures |> Enum.uniq_by(&:re.run(release <> &1 <> "-64", pattern, [:unicode, capture: :none])) |> length() > 1
    end)
  end

  def defined?(_dep), do: false

  defp defines([{:platform_define, pattern, _name} | rest]), do: [pattern | defines(rest)]
  defp defines([{:platform_define, pattern, _name, _value} | rest]), do: [pattern | defines(rest)]
  defp defines([head | rest]), do: defines(head) ++ defines(rest)
  defp defines(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> defines()
  defp defines(_other), do: []

  # What is traced for it, besides :erlang.open_port/2.
  def patterns do
    :erlang.trace_pattern({:erlang, :system_info, 1}, [{[:system_architecture], [], [{:message, {:caller}}]}], [])
    :erlang.trace_pattern({:os, :cmd, :_}, true, [])

    for {module, name} <- [{Mix.Dep.Loader, :load}, {Mix.Project, :in_project}] do
      {:module, _} = :code.ensure_loaded(module)
      :erlang.trace_pattern({module, name, :_}, [{:_, [], [{:exception_trace}]}], [:local])
    end
  end

  defp loop(parent, asked) do
    receive do
      :stop -> send(parent, {self(), apps(asked)})
      message -> loop(parent, see(asked, message))
    end
  end

  def apps(asked), do: MapSet.to_list(asked.apps)

  # What a message of the tracer's says.
  def see(asked, {:trace, _pid, :call, {:erlang, :system_info, _args}, caller}), do: if(foreign?(caller), do: add(asked), else: asked)
  def see(asked, {:trace, _pid, :call, {Mix.Project, :in_project, [app | _]}}), do: %{asked | inside: [app | asked.inside]}
  def see(asked, {:trace, _pid, :call, {Mix.Dep.Loader, :load, [dep | _]}}), do: %{asked | inside: [dep.app | asked.inside]}
  def see(asked, {:trace, _pid, :call, {:erlang, _name, [port, options]}}), do: if(program?([port | for({:args, args} <- options, do: args)]), do: add(asked), else: asked)
  def see(asked, {:trace, _pid, :call, {:os, _name, args}}), do: if(program?(args), do: add(asked), else: asked)

  def see(asked, {:trace, _pid, kind, {module, _name, _arity}, _result}) when kind in [:return_from, :exception_from] and module in [Mix.Dep.Loader, Mix.Project],
    do: %{asked | inside: Enum.drop(asked.inside, 1)}

  def see(asked, _other), do: asked

  defp add(asked), do: %{asked | apps: MapSet.put(asked.apps, List.first(asked.inside))}

  defp foreign?({module, _name, _arity}), do: module not in @own
  defp foreign?(_unknown), do: true

  # Such as a shell that gets its command as an argument.
  defp program?(args), do: Enum.any?(words(args), &(Path.basename(&1) in @programs))

  defp words(text) when is_binary(text), do: String.split(text, ~r/[^a-zA-Z0-9_.\/-]+/)
  defp words(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> words()

  defp words([_head | _tail] = list) do
    if Enum.all?(list, &(&1 in 1..255)), do: list |> :erlang.list_to_binary() |> words(), else: Enum.flat_map(list, &words/1)
  end

  defp words(_other), do: []
end
