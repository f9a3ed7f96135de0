# Takes chance out of the compiler. Elixir tells variables of macros apart by
# integers, and takes them from the VM's clock-like counter where no module that
# is being defined counts them: erlang:unique_integer(), which differs from run
# to run. Phoenix.LiveView before 1.2.0 hashes them into its templates. Here they
# are counted for each file instead, which is as unique and always the same.
defmodule Retort.Steady do
  # Writes the toolchain's own elixir_module with that one call redirected.
  def write(dir) do
    {module, beam, _file} = :code.get_object_code(:elixir_module)

    case :beam_lib.chunks(beam, [:abstract_code]) do
      {:ok, {^module, [abstract_code: {:raw_abstract_v1, forms}]}} ->
        {:ok, ^module, beam} = :compile.noenv_forms(redirect(forms), [:deterministic])
        File.write!(Path.join(dir, "elixir_module.beam"), beam)

      _none ->
        raise "elixir_module of this Elixir holds no debug information, without which it cannot be made deterministic"
    end
  end

  # Puts it in place of the other; it lies on no code path, where every VM with
  # retort's modules would find it. Programs that are run from here on need no
  # tuned memory: see mixenv.go.
  def begin do
    {:module, :elixir_module} = :code.load_abs(~c"/retort/steady/elixir_module")
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
end
