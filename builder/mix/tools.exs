# Compiles what runs in later steps, and writes the names that the modules of
# Elixir, of the parts of OTP that compile, of rebar3 and of retort hold: see names.ex.
for dir <- ["retort/ebin", "retort/steady"], do: File.mkdir_p!(dir)
{:ok, _modules, _warnings} = Kernel.ParallelCompiler.compile_to_path(Path.wildcard("/retort/*.ex"), "retort/ebin")
Retort.Steady.write("retort/steady")
Retort.Base.write("retort/steady")
elixir = :elixir |> :code.lib_dir() |> Path.join("../{eex,elixir,logger,mix}/ebin/*.beam") |> Path.wildcard()
apps = [:asn1, :compiler, :crypto, :eunit, :kernel, :parsetools, :stdlib, :syntax_tools]
otp = for app <- apps, dir = :code.lib_dir(app), is_list(dir), beam <- dir |> Path.join("ebin/*.beam") |> Path.wildcard(), do: beam
own = Path.wildcard("retort/ebin/*.beam")

# Not every project has rebar3.
rebar3 =
  with {:ok, sections} <- :escript.extract(~c"/usr/bin/rebar3", []) do
    {:ok, files} = :zip.unzip(sections[:archive], cwd: ~c"/tmp/rebar3")
    for file <- files, Path.extname(file) == ".beam", do: to_string(file)
  else
    _absent -> []
  end

names = for beam <- Enum.sort(elixir ++ otp ++ own ++ rebar3), name <- Retort.Names.beam(beam), do: name
names = names |> Enum.sort() |> Enum.dedup()
File.write!("retort/names", :erlang.term_to_binary(names))

# The VM loads the modules that it starts with several at a time, and makes their
# names in the order in which they come from the disk. A boot script that holds
# all names in its first command makes them before any module is loaded.
{:ok, boot} = File.read(Path.join(:code.root_dir(), "bin/start.boot"))
{:script, id, commands} = :erlang.binary_to_term(boot)
first = {:apply, {:erlang, :phash2, [Retort.Names.atoms(names)]}}
File.write!("retort/start.boot", :erlang.term_to_binary({:script, id, [first | commands]}))
