# Runs inside the release: every native library of the dependencies loads, and
# both port programs answer.
root = System.fetch_env!("RELEASE_ROOT")
otp = ~w(asn1 crypto)

natives =
  for library <- Path.wildcard(root <> "/lib/*/priv/**/*.so"),
      [app, _version] = library |> Path.relative_to(root <> "/lib") |> Path.split() |> hd() |> String.split("-"),
      app not in otp do
    # A NIF is no driver: that is said only once the loader found all it needs.
    case :erl_ddll.load(to_charlist(Path.dirname(library)), to_charlist(Path.basename(library, ".so"))) do
      :ok -> :driver
      {:error, :no_driver_init} -> :nif
      {:error, reason} -> raise "#{library}: #{:erl_ddll.format_error(reason)}"
    end
  end

IO.inspect(Enum.frequencies(natives), label: "natives")

{:ok, db} = :sqlite3.open(:probe, [:in_memory])
IO.inspect(:sqlite3.sql_exec(db, "SELECT sqlite_version() <> '', 6 * 7 AS answer")[:rows], label: "sqlite3")

{:ok, _} = Application.ensure_all_started(:epam)
{false, _reason} = :epam.authenticate("login", "nobody", "wrong")
IO.puts("epam answers")

[eimp] = Path.wildcard(root <> "/lib/eimp-*/priv/bin/eimp")
port = Port.open({:spawn_executable, eimp}, [:binary, packet: 4])
Port.command(port, <<3, "tag", 2, 0, "no image">>)

receive do
  {^port, {:data, <<3, "tag", _result, text::binary>>}} -> IO.puts("eimp answers #{text}")
after
  10_000 -> raise "eimp is silent"
end
