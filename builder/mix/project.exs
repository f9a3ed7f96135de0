# Writes what Mix knows of a project to .retort/project.json, from mix.exs,
# mix.lock and config alone: the dependencies' folders are there but empty.
# Runs as `mix run --no-compile --no-deps-check --no-start project.exs`.
Code.require_file("/retort/asked.ex")

defmodule Retort.Project do
  def main do
    File.mkdir_p!(".retort")
    File.write!(".retort/project.json", [json(project()), "\n"])
  end

  defp project do
    config = Mix.Project.config()
    app = config[:app]
    releases = config[:releases] || []
    {env, asked} = config(config)

    %{
      "app" => app && Atom.to_string(app),
      "version" => config[:version],
      "releases" => releases |> Enum.map(fn {name, _} -> Atom.to_string(name) end) |> Enum.sort(),
      "default_release" => config[:default_release] && Atom.to_string(config[:default_release]),
      "umbrella" => (config[:apps_path] && true) || false,
      "apps" => apps(config),
      "deps" => Enum.map(Mix.Dep.load_and_cache(), &dep/1),
      "config" => env,
      "config_asked" => asked,
      "otp_apps" => names(:code.lib_dir()),
      "elixir_apps" => names(Path.join(to_string(:code.lib_dir(:elixir)), "..")),
      "otp" => :erlang.system_info(:otp_release) |> to_string(),
      "elixir" => System.version()
    }
  end

  # The compile-time configuration of each application as the base64 of a term,
  # or null if it holds what means nothing to another VM. Of Logger's the part
  # that its macros read: the rest decides nothing before the release runs. And
  # whether the files asked which machine this is: see asked.ex.
  @logger [:always_evaluate_messages, :compile_time_application, :compile_time_purge_matching]
  defp config(project) do
    file = project[:config_path]

    if Path.expand(file) != Path.expand("config/config.exs") and File.regular?(file),
      do: Mix.raise("config_path in mix.exs is #{file}: retort wants the configuration in config/config.exs")

    if File.regular?(file) do
      # Mix has read it once.
      Code.unrequire_files(for path <- Code.required_files(), String.starts_with?(path, File.cwd!()), do: path)
      tracer = Retort.Asked.begin()
      read = Config.Reader.read!(file, env: Mix.env(), target: Mix.target())
      asked = Retort.Asked.stop(tracer)

      env =
        for {app, env} <- read, into: %{} do
          env = if app == :logger, do: Keyword.take(env, @logger), else: env
          {Atom.to_string(app), if(portable?(env), do: encode(Enum.sort(env)))}
        end

      {env, asked != []}
    else
      {%{}, false}
    end
  end

  defp encode(term), do: term |> :erlang.term_to_binary([:deterministic, minor_version: 2]) |> Base.encode64()

  defp portable?(term) when is_pid(term) or is_port(term) or is_reference(term), do: false
  defp portable?(term) when is_function(term), do: Function.info(term, :type) == {:type, :external}
  defp portable?([head | tail]), do: portable?(head) and portable?(tail)
  defp portable?(term) when is_tuple(term), do: portable?(Tuple.to_list(term))
  defp portable?(term) when is_map(term), do: portable?(:maps.to_list(term))
  defp portable?(_term), do: true

  defp apps(config) do
    cond do
      config[:apps_path] -> Mix.Project.apps_paths() |> Enum.map(fn {app, path} -> %{"app" => Atom.to_string(app), "path" => path} end) |> Enum.sort_by(& &1["app"])
      config[:app] -> [%{"app" => Atom.to_string(config[:app]), "path" => "."}]
      true -> []
    end
  end

  defp dep(dep) do
    opts = dep.opts
    cwd = File.cwd!()

    %{
      "app" => Atom.to_string(dep.app),
      "scm" => dep.scm |> inspect(),
      "manager" => dep.manager && Atom.to_string(dep.manager),
      "top_level" => dep.top_level,
      "dest" => opts[:dest] && Path.relative_to(opts[:dest], cwd),
      "in_umbrella" => (opts[:in_umbrella] || opts[:from_umbrella]) && true || false,
      "options" => inspect(options(dep), limit: :infinity, printable_limit: :infinity, width: :infinity),
      "deps" => dep.deps |> Enum.map(&Atom.to_string(&1.app)) |> Enum.sort()
    }
  end

  # The options of a dependency that decide where it comes from and how it is
  # compiled; everything else in them Mix finds out again.
  # Those of git stand in mix.lock in the order that mix.exs has.
  @locked [:branch, :ref, :tag, :sparse, :subdir, :depth]
  @options [:app, :branch, :compile, :depth, :env, :git, :hex, :manager, :path, :ref, :repo, :sparse, :subdir, :submodules, :tag]
  defp options(dep) do
    system_env = if dep.system_env == [], do: [], else: [system_env: Enum.sort(dep.system_env)]
    path = if dep.opts[:path], do: [path: Path.relative_to_cwd(dep.opts[:dest])], else: []
    {git, other} = dep.opts |> Keyword.take(@options) |> Keyword.split(@locked)
    Enum.sort(Keyword.merge(other, path ++ system_env)) ++ git
  end

  # The application names below a lib folder: "crypto" of "crypto-5.5.3".
  defp names(dir) do
    to_string(dir)
    |> File.ls!()
    |> Enum.map(&(&1 |> String.split("-") |> hd()))
    |> Enum.uniq()
    |> Enum.sort()
  end

  defp json(nil), do: "null"
  defp json(value) when is_boolean(value), do: Atom.to_string(value)
  defp json(value) when is_integer(value), do: Integer.to_string(value)
  defp json(value) when is_list(value), do: ["[", value |> Enum.map(&json/1) |> Enum.intersperse(","), "]"]

  defp json(value) when is_map(value) do
    pairs = value |> Enum.sort() |> Enum.map(fn {k, v} -> [json(k), ":", json(v)] end)
    ["{", Enum.intersperse(pairs, ","), "}"]
  end

  defp json(value) when is_binary(value) do
    escaped =
      for <<c::utf8 <- value>>, into: "" do
        cond do
          c == ?" -> "\\\""
          c == ?\\ -> "\\\\"
          c < 0x20 -> "\\u" <> String.pad_leading(Integer.to_string(c, 16), 4, "0")
          true -> <<c::utf8>>
        end
      end

    [?", escaped, ?"]
  end
end

Retort.Project.main()
