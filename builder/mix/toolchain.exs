# Writes the names that the modules of Elixir and of the parts of OTP that
# compile hold: see names.exs.
Code.require_file("names.exs", "/retort")
elixir = :elixir |> :code.lib_dir() |> Path.join("../{eex,elixir,logger,mix}/ebin/*.beam") |> Path.wildcard()
otp = for app <- [:compiler, :crypto, :kernel, :stdlib], beam <- app |> :code.lib_dir() |> Path.join("ebin/*.beam") |> Path.wildcard(), do: beam
names = for beam <- Enum.sort(elixir ++ otp), name <- Retort.Names.beam(beam), do: name
File.mkdir_p!(".retort")
File.write!(".retort/names", names |> Enum.sort() |> Enum.dedup() |> :erlang.term_to_binary())
