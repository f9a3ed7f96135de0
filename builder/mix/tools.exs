# Compiles what runs in later steps, and writes the names that the modules of
# Elixir and of the parts of OTP that compile hold: see names.ex.
for dir <- ["retort/ebin", "retort/steady"], do: File.mkdir_p!(dir)
{:ok, _modules, _warnings} = Kernel.ParallelCompiler.compile_to_path(Path.wildcard("/retort/*.ex"), "retort/ebin")
Retort.Steady.write("retort/steady")
Retort.Base.write("retort/steady")
elixir = :elixir |> :code.lib_dir() |> Path.join("../{eex,elixir,logger,mix}/ebin/*.beam") |> Path.wildcard()
otp = for app <- [:compiler, :crypto, :kernel, :stdlib], beam <- app |> :code.lib_dir() |> Path.join("ebin/*.beam") |> Path.wildcard(), do: beam
names = for beam <- Enum.sort(elixir ++ otp), name <- Retort.Names.beam(beam), do: name
File.write!("retort/names", names |> Enum.sort() |> Enum.dedup() |> :erlang.term_to_binary())
