# Writes what Mix knows of a project to .retort/project.json, from mix.exs,
# mix.lock and config alone: the dependencies' folders are there but empty.
# Runs as `mix run --no-compile --no-deps-check --no-start project.exs`.
defmodule Retort.Project do
  def main do
    File.mkdir_p!(".retort")
    File.write!(".retort/project.json", [json(project()), "\n"])
  end

  defp project do
    config = Mix.Project.config()
    app = config[:app]
    releases = config[:releases] || []

    %{
      "app" => app && Atom.to_string(app),
      "version" => config[:version],
      "releases" => releases |> Enum.map(fn {name, _} -> Atom.to_string(name) end) |> Enum.sort(),
      "default_release" => config[:default_release] && Atom.to_string(config[:default_release]),
      "umbrella" => (config[:apps_path] && true) || false,
      "apps" => apps(config),
      "deps" => Enum.map(Mix.Dep.load_and_cache(), &dep/1),
      "otp_apps" => names(:code.lib_dir()),
      "elixir_apps" => names(Path.join(to_string(:code.lib_dir(:elixir)), "..")),
      "otp" => :erlang.system_info(:otp_release) |> to_string(),
      "elixir" => System.version()
    }
  end

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
      "deps" => dep.deps |> Enum.map(&Atom.to_string(&1.app)) |> Enum.sort()
    }
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
