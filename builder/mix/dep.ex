# Compiles one dependency in a project made of nothing but it and what it
# depends on: theirs is what the folders deps and _build hold. Arguments: its
# name, then dep=NAME OPTIONS and lock=ENTRY for it and everything below it,
# config=APP VALUE (a term in base64) for what it may read of the application's
# configuration or config=whole where the project's own files say it,
# plugin=NAME for each rebar3 plugin in _plugins, precompiled=FILE if an archive
# takes the place of compiling native code, and jobs=N, which decides nothing.
defmodule Retort.Shell do
  # rebar3 goes on without a plugin that it cannot find, and a NIF is missing in
  # the end: that is made an error here.
  @behaviour Mix.Shell

  defdelegate info(message), to: Mix.Shell.IO

  # elixir_make compiles if it cannot use an archive that was asked for.
  def error(message) do
    Mix.Shell.IO.error(message)
    if IO.iodata_to_binary(message) =~ "from precompiled binary", do: Mix.raise("the archive that toolchain.toml names as precompiled is not the one which the dependency wants")
  end

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

defmodule Retort.Dep do
  @erlang "erl,hrl,xrl,yrl,asn1"

  def main do
    Retort.Files.sort()
    [app | facts] = System.argv()
    prepare(app, facts)
    Retort.Cross.begin()
    objects = objects(app)
    # Mix takes away the path of modules that no dependency has.
    for module <- [Retort.Asked, Retort.Names, Retort.Shell], do: {:module, _} = Code.ensure_loaded(module)
    atoms = intern(app)
    Retort.Steady.begin()
    if not File.exists?("deps/#{app}/mix.exs"), do: erlang(atoms, facts)
    Mix.start()
    Mix.shell(Retort.Shell)
    asked = Retort.Asked.begin()
    Mix.CLI.main(["deps.compile", app])
    asked? = asked?(app, Retort.Asked.stop(asked), facts)
    clean(app, objects)
    if asked?, do: app |> dirs() |> List.last() |> Retort.Asked.note()
    names(app)
  end

  defp prepare(app, facts) do
    all = fn name -> for fact <- facts, [^name, value] <- [String.split(fact, "=", parts: 2)], do: value end

    File.write!("mix.exs", project(all.("dep")))
    File.write!("mix.lock", ["%{\n", all.("lock") |> Enum.map(&["  ", &1, ",\n"]), "}\n"])
    File.mkdir_p!("config")
    native = native(app, all.("precompiled"))

    case all.("config") do
      ["whole"] -> File.write!("config/config.exs", ["\nimport Config\n", native], [:append])
      facts -> File.write!("config/config.exs", ["import Config\n", Enum.map(facts, &config/1), native])
    end

    for plugin <- all.("plugin"), do: Retort.Plugins.checkout("deps/#{app}", plugin)
  end

  defp project(deps) do
    """
    defmodule Retort.MixProject do
      use Mix.Project
      def project, do: [app: :retort, version: "0.0.0", deps: [#{Enum.join(deps, ", ")}]]
    end
    """
  end

  defp config(fact) do
    [app, value] = String.split(fact, " ")
    ["config ", inspect(String.to_atom(app)), ", :erlang.binary_to_term(Base.decode64!(\"", value, "\"))\n"]
  end

  # elixir_make downloads native code if it may, and compiles it otherwise.
  defp native(app, []), do: ["config :elixir_make, :force_build, [", app, ": true]\n"]
  defp native(_app, [_archive]), do: []

  # Object files, but for those in priv, which belong to the release. Some are
  # found twice, by a link of rebar3's.
  defp objects(app), do: for(dir <- dirs(app), file <- Path.wildcard(Path.join(dir, "**/*.o")), "priv" not in Path.split(file), do: file)

  # Removes what holds times or chance and nobody reads again: manifests of
  # Mix, rebar3's state, object files.
  defp clean(app, objects) do
    [source, build] = dirs(app)
    for name <- ["_build", "_checkouts"], do: File.rm_rf!(Path.join(source, name))
    for name <- [".rebar3", "mix.rebar.config"], do: File.rm_rf!(Path.join(build, name))
    for file <- objects(app) -- objects, do: File.rm(file)
    for path <- Path.wildcard(Path.join(build, ".mix/*"), match_dot: true), Path.basename(path) not in ["compile.elixir_scm", "compile.fetch"], do: File.rm_rf!(path)
  end

  defp dirs(app), do: ["deps/#{app}", Path.join([System.fetch_env!("MIX_BUILD_PATH"), "lib", app])]

  # What the project's configuration asks, is the project's. rebar3 has a VM of its own.
  defp asked?(app, apps, facts) do
    dep = Enum.find(Mix.Dep.cached(), &(to_string(&1.app) == app))
    (nil in apps and "config=whole" not in facts) or dep.app in apps or Retort.Asked.defined?(dep)
  end

  # Makes the atoms of what is below it and of its own source: see names.ex.
  defp intern(app) do
    [source, build] = dirs(app)
    below = Retort.Names.intern(Path.wildcard(Path.join(build, "../*/.mix/retort.names"), match_dot: true))
    files = Path.wildcard(Path.join(source, "**/*.{ex,exs,#{@erlang}}")) ++ Path.wildcard("deps/*/include/**/*.hrl")
    names = for file <- files, name <- Retort.Names.source(file), do: name
    below ++ (names |> Enum.sort() |> Enum.dedup() |> Retort.Names.atoms())
  end

  # rebar3 and make have virtual machines of their own. These, too, start with all
  # names, and so may use every processor; their environment does not say how many.
  defp erlang(atoms, facts) do
    {:script, id, [first | commands]} = "/retort/start.boot" |> File.read!() |> :erlang.binary_to_term()
    script = {:script, id, [first, {:apply, {:erlang, :phash2, [atoms]}} | commands]}
    File.write!("/tmp/retort.boot", :erlang.term_to_binary(script))
    [jobs] = for "jobs=" <> jobs <- facts, do: jobs
    File.write!("/tmp/retort.args", "-boot /tmp/retort +S #{jobs}:#{jobs}")
    System.put_env("ERL_AFLAGS", String.replace(System.fetch_env!("ERL_AFLAGS"), "+S 1:1 +SDio 1", "-args_file /tmp/retort.args"))
  end

  # Writes the names that the compiled modules hold. What is compiled later
  # makes atoms of them in this order before anything else, so that the order
  # in which it happens to load modules decides nothing.
  defp names(app) do
    [_source, build] = dirs(app)
    file = Path.join(build, ".mix/retort.names")
    names = for beam <- Path.wildcard(Path.join(build, "ebin/*.beam")), name <- Retort.Names.beam(beam), do: name
    File.mkdir_p!(Path.dirname(file))
    File.write!(file, names |> Enum.sort() |> Enum.dedup() |> :erlang.term_to_binary())
  end
end
