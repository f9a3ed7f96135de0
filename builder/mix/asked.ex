# Whether code that compiling a dependency runs asks which machine this is: the VM, or
# a program that says so. What it compiles is then that machine's.
defmodule Retort.Asked do
  @file_name ".mix/retort.asked"
  @programs ~w(arch dpkg lscpu uname)

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

  # What the toolchain asks for itself reaches nothing. The bodies of modules are run
  # by erl_eval.
  defp foreign?({module, _name, _arity}) do
    path = :code.which(module)
    module == :erl_eval or not (is_list(path) and List.starts_with?(path, ~c"/usr/lib/"))
  end

  defp foreign?(_unknown), do: true

  # Such as a shell that gets its command as an argument.
  defp program?(args) do
    words = args |> inspect(limit: :infinity, printable_limit: :infinity) |> String.split(~r/[^\w.-]+/)
    Enum.any?(@programs, &(&1 in words))
  end
end
