# Compiles the rebar3 plugins named in the arguments once, into _compiled.
# rebar3 would compile them again for every dependency. Those that do not
# compile here are compiled where they are used.
defmodule Retort.Plugins do
  @project "_project"

  def main do
    plugins = System.argv()
    File.mkdir_p!("_compiled")
    File.mkdir_p!(Path.join(@project, "src"))
    File.write!(Path.join(@project, "rebar.config"), "{plugins, [#{Enum.join(plugins, ", ")}]}.\n")
    File.write!(Path.join(@project, "src/retort.app.src"), "{application, retort, [{vsn, \"0\"}, {applications, [kernel, stdlib]}]}.\n")
    for plugin <- plugins, do: checkout(@project, plugin)

    System.cmd(System.fetch_env!("MIX_REBAR3"), ["bare", "compile", "--paths", "/nonexistent"],
      cd: @project,
      env: [{"REBAR_PROFILE", "prod"}, {"REBAR_BARE_COMPILER_OUTPUT_DIR", Path.expand("_output")}],
      into: IO.stream(),
      stderr_to_stdout: true
    )

    for plugin <- plugins, ebin = Path.join([compiled(@project), plugin, "ebin"]), File.dir?(ebin) do
      File.mkdir_p!(Path.join("_compiled", plugin))
      File.cp_r!(ebin, Path.join(["_compiled", plugin, "ebin"]))
    end
  end

  # Puts a plugin beside a project, with what it compiled to.
  def checkout(project, plugin) do
    File.mkdir_p!(Path.join(project, "_checkouts"))
    File.cp_r!(Path.join("_plugins", plugin), Path.join([project, "_checkouts", plugin]))

    if File.dir?(Path.join("_compiled", plugin)) do
      File.mkdir_p!(compiled(project))
      File.cp_r!(Path.join("_compiled", plugin), Path.join(compiled(project), plugin))
    end
  end

  defp compiled(project), do: Path.join(project, "_build/prod/checkouts")
end
