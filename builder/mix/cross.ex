# Where Erlang/OTP lies that native code is compiled against, and that a release
# takes, if it is another platform's than that of the programs which run here.
defmodule Retort.Cross do
  # Says so to what compiles native code; what the manifest says stays. The
  # variables are those of elixir_make, of rebar3's port compiler and of Nerves.
  def begin do
    if root = root() do
      ei = Path.join(root, "lib") |> File.ls!() |> Enum.filter(&String.starts_with?(&1, "erl_interface-")) |> Enum.sort() |> List.last()
      [include, lib] = for dir <- ~w(include lib), do: Path.join([root, "lib", ei || "erl_interface", dir])
      erts = Path.join(erts(), "include")

      for {name, value} <- [
            ERTS_INCLUDE_DIR: erts,
            ERL_EI_INCLUDE_DIR: include,
            ERL_INTERFACE_INCLUDE_DIR: include,
            ERL_EI_LIBDIR: lib,
            ERL_INTERFACE_LIB_DIR: lib,
            ERL_CFLAGS: "-I#{include} -I#{erts}",
            ERL_LDFLAGS: "-L#{lib} -lei"
          ],
          name = Atom.to_string(name),
          System.get_env(name) == nil,
          do: System.put_env(name, value)
    end
  end

  # Changes what mix.exs says of each release, and has it take that Erlang/OTP. A
  # project that says nothing of releases has one all the same.
  def releases(change) do
    config = Mix.Project.config()

    releases =
      case config[:releases] || [] do
        [] -> for app <- [config[:app]], app != nil and root() != nil, do: {app, []}
        releases -> releases
      end

    if releases != [] and function_exported?(Mix.ProjectStack, :merge_config, 1),
      do: Mix.ProjectStack.merge_config(releases: for({name, opts} <- releases, do: {name, fn -> opts |> evaluated() |> change.() |> with_erts() end}))
  end

  defp evaluated(opts) when is_function(opts, 0), do: evaluated(opts.())
  defp evaluated(opts), do: opts

  defp with_erts(opts) do
    asked = opts[:include_erts]
    asked = if is_function(asked, 0), do: asked.(), else: asked
    if root() == nil or asked == false, do: opts, else: Keyword.put(opts, :include_erts, erts())
  end

  defp root do
    if sysroot = System.get_env("RETORT_SYSROOT"), do: Path.join(sysroot, "usr/lib/erlang")
  end

  defp erts do
    erts = Path.join(root(), "erts-#{:erlang.system_info(:version)}")
    if not File.dir?(erts), do: raise("the platform that is built for has another Erlang/OTP than the one that compiles: #{erts} is not there, but #{Enum.join(Path.wildcard(Path.join(root(), "erts-*")), ", ")}")
    erts
  end
end
