# Takes chance out of the compiler. Elixir tells variables of macros apart by
# integers, and takes them from the VM's clock-like counter where no module that
# is being defined counts them: erlang:unique_integer(), which differs from run
# to run. Phoenix.LiveView before 1.2.0 hashes them into its templates. Here they
# are counted for each file instead, which is as unique and always the same.
#
# What is kept in a table of ETS is listed in an order that follows from how many
# atoms there were before: here it is sorted. And System says, as /proc/cpuinfo does
# in the sandbox, that there is one processor.
defmodule Retort.Steady do
  @sort {:remote, 0, {:atom, 0, :lists}, {:atom, 0, :sort}}
  @one {:fun, 0, {:clauses, [{:clause, 0, [{:var, 0, :_}], [], [{:integer, 0, 1}]}]}}
  # Functions of modules whose result is handed to another.
  @instead [
    {:application, [get_all_env: 0, get_all_env: 1, loaded_applications: 0], @sort},
    {Module, [attributes_in: 1, definitions_in: 2], @sort},
    {System, [schedulers: 0, schedulers_online: 0], @one}
  ]

  # Writes those modules of the toolchain that are changed.
  def write(dir) do
    changes = for {module, functions, change} <- @instead, do: {module, &instead(&1, functions, change)}

    for {module, change} <- [{:elixir_module, &[redirect(&1)]} | changes], rewrite(dir, module, change) == :none do
      raise "#{module} of this toolchain holds no debug information, without which it cannot be made deterministic"
    end
  end

  # Writes a module with each of its forms changed to others, if the forms are in it.
  def rewrite(dir, module, change) do
    with {:ok, {^module, [abstract_code: {:raw_abstract_v1, forms}]}} <- :beam_lib.chunks(:code.which(module), [:abstract_code]) do
      {:ok, ^module, beam} = forms |> Enum.flat_map(change) |> :compile.noenv_forms([:deterministic])
      File.write!(Path.join(dir, "#{module}.beam"), beam)
    else
      _none -> :none
    end
  end

  # Puts them in place of the others; they lie on no code path, where every VM with
  # retort's modules would find them. Programs that are run from here on need no
  # tuned memory: see mixenv.go.
  def begin do
    for module <- [:elixir_module | Enum.map(@instead, &elem(&1, 0))] do
      :code.unstick_mod(module)
      {:module, ^module} = :code.load_abs(~c"/retort/steady/#{module}")
    end

    System.delete_env("GLIBC_TUNABLES")
  end

  # An integer that no other file gets: the hash of the file's path above the
  # count of those it got. Processes that a macro starts, whose order is open,
  # keep to the VM's.
  def unique_integer do
    case {Process.get(:elixir_compiler_info), Process.get(:elixir_compiler_file)} do
      {{_compiler, pid}, file} when pid == self() and is_binary(file) ->
        count = Process.get(__MODULE__, 0) + 1
        Process.put(__MODULE__, count)
        <<hash::64, _rest::binary>> = :erlang.md5(file)
        -(hash * 0x1_0000_0000 + count)

      _other ->
        :erlang.unique_integer()
    end
  end

  defp redirect({:call, line, {:remote, _, {:atom, _, :erlang}, {:atom, _, :unique_integer}}, []}) do
    {:call, line, {:remote, line, {:atom, line, __MODULE__}, {:atom, line, :unique_integer}}, []}
  end

  defp redirect(form) when is_tuple(form), do: form |> Tuple.to_list() |> redirect() |> List.to_tuple()
  defp redirect([head | tail]), do: [redirect(head) | redirect(tail)]
  defp redirect(form), do: form

  defp instead({:function, line, name, arity, clauses} = form, functions, change) do
    if {name, arity} in functions do
      vars = for n <- 1..arity//1, do: {:var, line, :"Arg#{n}"}
      original = :"original_#{name}"
      [{:function, line, name, arity, [{:clause, line, vars, [], [{:call, line, change, [{:call, line, {:atom, line, original}, vars}]}]}]}, {:function, line, original, arity, clauses}]
    else
      [form]
    end
  end

  defp instead(form, _functions, _change), do: [form]
end
