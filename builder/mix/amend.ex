# What a release is made of besides copies of the application's modules. Nobody
# looked at one of them but to copy it, if it was looked into once: then the
# release of another in its place is this one with another copy, for which
# nobody has to run Mix: builder/amend.go.
#
# .retort/state then holds the chunks that a copy keeps, those that modules have,
# and the files that anybody else looked at.
defmodule Retort.Amend do
  @state ".retort/state"
  @several 1_000_000
  @calls [open: 2, read_file: 1, read_file_info: 1, read_file_info: 2, read_link: 1, read_link_info: 1, read_link_info: 2]

  def begin do
    tracer = spawn_link(fn -> loop(%{}, false) end)
    :erlang.trace(:all, true, [:call, {:tracer, tracer}])
    for {name, arity} <- @calls, do: :erlang.trace_pattern({:prim_file, name, arity}, true, [])
    :erlang.trace_pattern({:erlang, :open_port, 2}, true, [])
    tracer
  end

  defp loop(looks, commands?) do
    receive do
      {:trace, _pid, :call, {:erlang, :open_port, [port, _options]}} -> loop(looks, commands? or Retort.Reads.command?(port))
      {:trace, _pid, :call, {:prim_file, name, args}} -> loop(look(looks, name, args), commands?)
      {:stop, pid} -> send(pid, {self(), looks, commands?})
      _other -> loop(looks, commands?)
    end
  end

  defp look(looks, name, [path | modes]) do
    cond do
      name == :open and Enum.any?([:write, :append, :exclusive], &(&1 in hd(modes))) -> looks
      name in [:open, :read_file] -> Map.update(looks, path, 1, &(&1 + 1))
      true -> Map.put(looks, path, @several)
    end
  end

  # Where modules are copied as they are, or a program was run, nothing is known.
  def finish(tracer, strip) do
    {looks, commands?} = stop(tracer)

    if is_list(strip) and not commands? do
      looks = for {path, count} <- looks, text = text(path), do: {text, count}
      own = own()
      names = MapSet.new(own, &Path.basename/1)
      copied = for {path, count} <- looks, ["ebin", name] <- [path |> Path.split() |> Enum.take(-2)], name in names, do: {name, count}
      modules = for {name, counts} <- Enum.group_by(copied, &elem(&1, 0), &elem(&1, 1)), counts != [1], do: "ebin/" <> name
      files = for {path, _count} <- looks, {:project, file} <- [Retort.Reads.place(path)], do: file
      File.mkdir_p!(Path.dirname(@state))
      File.write!(@state, Enum.intersperse(chunks(own, strip) ++ Enum.sort(Enum.uniq(modules ++ files)), 0))
    end
  end

  defp stop(tracer) do
    :erlang.trace(:all, false, [:call])
    ref = :erlang.trace_delivered(:all)
    receive(do: ({:trace_delivered, :all, ^ref} -> :ok))
    send(tracer, {:stop, self()})
    receive(do: ({^tracer, looks, commands?} -> {looks, commands?}))
  end

  defp text(path) do
    IO.chardata_to_string(path)
  rescue
    _not_text -> nil
  end

  # The modules of the project: the names in those of dependencies are listed.
  defp own do
    for app <- Path.wildcard(Path.join(System.fetch_env!("MIX_BUILD_PATH"), "lib/*")),
        not File.regular?(Path.join(app, ".mix/retort.names")),
        beam <- Path.wildcard(Path.join(app, "ebin/*.beam")),
        do: beam
  end

  # The chunks which a copy of any of these modules keeps, in the order in which
  # it has them, and all that they have.
  defp chunks([], _strip), do: ["", ""]

  defp chunks([first | _] = beams, strip) do
    known = for beam <- beams, {name, _place, _size} <- :beam_lib.info(to_charlist(beam))[:chunks], uniq: true, do: name
    {:ok, _module, chunks} = :beam_lib.all_chunks(to_charlist(first))
    {:ok, all} = :beam_lib.build_module(chunks ++ for(name <- known, not List.keymember?(chunks, name, 0), do: {name, "0"}))
    {:ok, copy} = Mix.Release.strip_beam(all, strip)
    kept = for {name, _place, _size} <- Enum.sort_by(:beam_lib.info(copy)[:chunks], &elem(&1, 1)), do: name
    [kept, known]
  end
end
