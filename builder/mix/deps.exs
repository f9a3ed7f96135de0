# Compiles the dependencies named in the arguments with `mix deps.compile`.
# rebar3 goes on without a plugin that it cannot find, and a NIF is missing in
# the end: that is made an error here.
defmodule Retort.Shell do
  @behaviour Mix.Shell

  defdelegate info(message), to: Mix.Shell.IO
  defdelegate error(message), to: Mix.Shell.IO
  defdelegate prompt(message), to: Mix.Shell.IO
  defdelegate yes?(message, options \\ []), to: Mix.Shell.IO
  defdelegate print_app(), to: Mix.Shell.IO

  def cmd(command, options \\ []) do
    status =
      Mix.Shell.cmd(command, options, fn data ->
        IO.binwrite(data)
        Process.put(__MODULE__, [Process.get(__MODULE__, []), data])
      end)

    case Regex.scan(~r/(?:Errors loading plugin|Plugin) \{?([a-z0-9_]+)(?:\.|.{0,80} not available)/, IO.iodata_to_binary(Process.get(__MODULE__, []))) do
      [] -> status
      found -> missing(found)
    end
  end

  defp missing(found) do
    names = found |> Enum.map(&List.last/1) |> Enum.uniq() |> Enum.sort()

    Mix.raise(
      "rebar3 plugins are needed and not pinned: #{Enum.join(names, ", ")}. " <>
        "Name each with its version under [hex.plugins] in toolchain.toml and run retort lock"
    )
  end
end

Mix.start()
Mix.shell(Retort.Shell)
Mix.CLI.main(["deps.compile" | System.argv()])
