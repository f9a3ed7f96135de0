# Whether code that compiling a dependency runs asks which machine this is: the VM, or
# a program that says so. What it compiles is then that machine's.
defmodule Retort.Asked do
  @file_name ".mix/retort.asked"
  @programs ~w(arch dpkg dpkg-architecture lscpu uname)
  # Modules of OTP that ask for themselves, to find a file or to print it.
  @own ~w(asn1rt_nif crypto dbg dyntrace inets observer_backend pubkey_os_cacerts system_information)a

  # From here on, in every process.
  def begin do
    parent = self()
    tracer = spawn_link(fn -> loop(parent, false) end)
    :erlang.trace(:all, true, [:call, {:tracer, tracer}])
    :erlang.trace_pattern({:erlang, :system_info, 1}, [{[:system_architecture], [], [{:message, {:caller}}]}], [])
    for call <- [{:erlang, :open_port, 2}, {:os, :cmd, :_}], do: :erlang.trace_pattern(call, true, [])
    tracer
  end

  # Leaves a file in the dependency's build if so.
  def note(tracer, build) do
    :erlang.trace(:all, false, [:call])
    ref = :erlang.trace_delivered(:all)
    receive do: ({:trace_delivered, :all, ^ref} -> :ok)
    send(tracer, :asked)

    if receive(do: ({:asked, asked} -> asked)) do
      file = Path.join(build, @file_name)
      File.mkdir_p!(Path.dirname(file))
      File.write!(file, "")
    end
  end

  defp loop(parent, asked) do
    receive do
      {:trace, _pid, :call, {:erlang, :system_info, _}, caller} -> loop(parent, asked or foreign?(caller))
      {:trace, _pid, :call, {_module, _function, args}} -> loop(parent, asked or program?(args))
      :asked -> send(parent, {:asked, asked})
    end
  end

  defp foreign?({module, _name, _arity}), do: module not in @own
  defp foreign?(_unknown), do: true

  # Such as a shell that gets its command as an argument.
  defp program?(args), do: Enum.any?(words(args), &(&1 in @programs))

  defp words(text) when is_binary(text), do: String.split(text, ~r/[^a-zA-Z0-9_.-]+/)
  defp words(tuple) when is_tuple(tuple), do: tuple |> Tuple.to_list() |> words()

  defp words([_head | _tail] = list) do
    if Enum.all?(list, &(&1 in 1..255)), do: list |> :erlang.list_to_binary() |> words(), else: Enum.flat_map(list, &words/1)
  end

  defp words(_other), do: []
end
