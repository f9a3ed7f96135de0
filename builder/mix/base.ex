# Lays out what a release has of OTP and of the dependencies before there is an
# application: copying and stripping their modules is most of what `mix release`
# does. The step that assembles the release begins from that, and what it finds
# there it need not copy. Arguments: the folder to lay it out in and, if there is
# one, the release's name.
#
# Whatever keeps it from being laid out is no error: the release is then made
# without it, and says what is wrong.
defmodule Mix.Tasks.Retort.Base do
  use Mix.Task

  def run(args) do
    own = Retort.Base.own()
    for {app, path} <- own, do: Mix.Project.in_project(app, path, fn _module -> Retort.Base.describe() end)
    if Mix.Project.config()[:app], do: Retort.Base.describe()
    Mix.Task.run("deps.loadpaths", ["--no-deps-check"])
    [path | name] = args
    Retort.Cross.releases(& &1)
    release = Mix.Release.from_config!(if(name != [], do: name |> hd() |> String.to_atom()), Mix.Project.config(), path: path)
    Retort.Base.lay_out(release, Map.keys(release.applications) -- [Mix.Project.config()[:app] | Keyword.keys(own)])
  end
end

defmodule Retort.Base do
  @laid_out "_release/.laid_out"

  def main do
    args = [path | _name] = System.argv()
    File.mkdir_p!(path)
    Mix.start()

    try do
      Mix.CLI.main(["retort.base" | args])
    catch
      kind, reason ->
        IO.puts(["Nothing is laid out: ", Exception.format(kind, reason, __STACKTRACE__)])
        File.rm_rf!("_release")
        File.mkdir_p!(path)
    end
  end

  # The applications of the project besides its first: of an umbrella, and
  # dependencies that are folders of it.
  def own do
    paths = for dep <- Mix.Dep.cached(), not dep.scm.fetchable?(), do: {dep.app, dep.opts[:dest]}
    Enum.uniq_by(Enum.to_list(Mix.Project.apps_paths() || %{}) ++ paths, &elem(&1, 0))
  end

  # Writes the resource file of an application of the project. Where mix.exs
  # cannot say what that holds without the configuration, the dependencies are
  # what the application needs for certain.
  def describe do
    path = Mix.Project.compile_path()

    try do
      Mix.Tasks.Compile.App.run([])
    rescue
      _error -> guess(path, Mix.Project.config())
    end

    Code.prepend_path(path)
  end

  defp guess(path, config) do
    deps = for dep <- Mix.Dep.cached(), dep.top_level, Keyword.get(dep.opts, :runtime, true), dep.opts[:app] != false, do: dep.app
    facts = [vsn: to_charlist(config[:version]), modules: [], registered: [], applications: [:kernel, :stdlib, :elixir | deps]]
    File.mkdir_p!(path)
    File.write!(Path.join(path, "#{config[:app]}.app"), :io_lib.format(~c"~tp.~n", [{:application, config[:app], facts}]))
  end

  def lay_out(release, apps) do
    laid_out =
      [:erts | apps]
      |> Task.async_stream(fn app -> {app, {facts(release, app), copy(release, app)}} end, ordered: false, timeout: :infinity)
      |> Map.new(fn {:ok, done} -> done end)

    File.write!(@laid_out, :erlang.term_to_binary(laid_out, [:deterministic]))
  end

  defp copy(release, :erts), do: Mix.Release.copy_erts(release)
  defp copy(release, app), do: Mix.Release.copy_app(release, app)

  # What copying an application, or the runtime system, is a function of.
  defp facts(release, :erts), do: {release.erts_source, release.erts_version}
  defp facts(release, app), do: {facts(release, :erts), release.applications[app], release.options[:strip_beams]}

  # Has Mix keep what is laid out. Without debug information in this Mix it
  # copies everything.
  def begin(path) do
    with {:ok, data} <- File.read(@laid_out),
         {:module, _} <- :code.load_abs(~c"/retort/steady/Elixir.Mix.Release") do
      :ets.new(__MODULE__, [:named_table, :public])
      :persistent_term.put(__MODULE__, :erlang.binary_to_term(data))
    else
      _none -> File.rm_rf!(path)
    end
  end

  # What is laid out and this release does not have is taken away. Returns how
  # modules are stripped: a list of options, or nil where they are not, or where
  # nothing was laid out.
  def finish(path) do
    laid_out = :persistent_term.get(__MODULE__, %{})
    for {app, {facts, _result}} <- laid_out, :ets.lookup(__MODULE__, {:copied, app}) == [], do: remove(path, app, facts)

    case laid_out != %{} and :ets.lookup(__MODULE__, :strip) do
      [{:strip, true}] -> []
      [{:strip, options}] when is_list(options) -> options
      _none -> nil
    end
  end

  defp remove(path, :erts, {_source, version}), do: File.rm_rf!(Path.join(path, "erts-#{version}"))
  defp remove(path, app, {_erts, properties, _strip}), do: File.rm_rf!(Path.join([path, "lib", "#{app}-#{properties[:vsn]}"]))

  # What this does in place of Mix.Release.copy_app and copy_erts, which it is
  # given, is to look whether the same was copied before.
  def copy(release, app, original) do
    :ets.insert(__MODULE__, [{{:copied, app}}, {:strip, Keyword.get(release.options, :strip_beams, true)}])
    facts = facts(release, app)

    case :persistent_term.get(__MODULE__) do
      %{^app => {^facts, result}} -> result
      %{^app => {other, _result}} -> remove(release.path, app, other) && original.()
      _new -> original.()
    end
  end

  # Writes Mix.Release with those two functions redirected to the one above.
  def write(dir), do: Retort.Steady.rewrite(dir, Mix.Release, &redirect/1)

  defp redirect({:function, line, :copy_app, 2, clauses}), do: instead(line, :copy_app, [:release, :app], {:var, line, :app}, clauses)
  defp redirect({:function, line, :copy_erts, 1, clauses}), do: instead(line, :copy_erts, [:release], {:atom, line, :erts}, clauses)
  defp redirect(form), do: [form]

  defp instead(line, name, args, app, clauses) do
    vars = for arg <- args, do: {:var, line, arg}
    original = {:fun, line, {:clauses, [{:clause, line, [], [], [{:call, line, {:atom, line, :original}, vars}]}]}}
    call = {:call, line, {:remote, line, {:atom, line, __MODULE__}, {:atom, line, :copy}}, [{:var, line, :release}, app, original]}
    arity = length(args)
    [{:function, line, name, arity, [{:clause, line, vars, [], [call]}]}, {:function, line, :original, arity, clauses}]
  end
end
