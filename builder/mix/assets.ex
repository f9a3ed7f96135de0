# Runs Mix for asset commands, which come after compiling: what is compiled is
# loaded, and the task compile, which so many tasks call first, has been run.
# The application's layer has no manifests, so that Mix would compile all anew.
defmodule Retort.Assets do
  def main do
    args = System.argv()
    Mix.start()
    Mix.CLI.main(if match?([<<c, _rest::binary>> | _args] when c != ?-, args), do: ["retort.compiled" | args], else: args)
  end
end

defmodule Mix.Tasks.Retort.Compiled do
  use Mix.Task

  def run([task | args]) do
    if function_exported?(Mix.TasksServer, :run, 1) do
      for {app, path} <- Mix.Project.apps_paths() || [], do: Mix.Project.in_project(app, path, &compiled/1)
      compiled(Mix.Project.get())
    end

    Mix.Task.run(task, args)
  end

  defp compiled(nil), do: :ok

  defp compiled(project) do
    Mix.Task.run("loadpaths", ["--no-compile", "--no-deps-check"])
    protocols = Mix.Project.consolidation_path()
    if File.dir?(protocols), do: Code.prepend_path(protocols)
    Mix.TasksServer.run({:task, "compile", project})
  end
end
