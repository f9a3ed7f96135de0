# Assembles the release with `mix release`, then settles what Mix leaves open:
# no cookie, no Windows scripts, one printed form of sys.config, and what a
# target adds. Arguments: --config FILE ..., --vm-args FILE, the folder to
# assemble into, then those of `mix release`.
defmodule Mix.Tasks.Retort.Release do
  use Mix.Task

  # Archives are made from the settled release; Mix's would hold the cookie. A
  # function after :tar may want it, so there it is made, and removed at the end.
  def run(args) do
    Retort.Cross.releases(&without_tar/1)
    structure()
    Mix.Task.run("release", args)
  end

  # Compiling links the folder priv of an application where it is to be found;
  # assets may have made the first file in it since.
  defp structure do
    for {app, path} <- Mix.Project.apps_paths() || [],
        do: Mix.Project.in_project(app, path, fn _module -> Mix.Project.build_structure() end)

    if Mix.Project.config()[:app], do: Mix.Project.build_structure()
  end

  defp without_tar(opts) do
    {steps, rest} = Enum.split_while(opts[:steps] || [:assemble], &(&1 != :tar))
    if Enum.any?(rest, &is_function/1), do: opts, else: Keyword.put(opts, :steps, steps)
  end
end

defmodule Retort.Release do
  @cookie ~S"""

  # retort: no cookie is shipped. RELEASE_COOKIE decides; without it the first
  # command makes a random one in releases/COOKIE, readable by its owner alone.
  if [ -z "${RELEASE_COOKIE:-}" ] && [ ! -s "$RELEASE_ROOT/releases/COOKIE" ]; then
    RELEASE_COOKIE="$(dd count=1 bs=32 if=/dev/urandom 2> /dev/null | od -A n -t x1 | tr -d ' \n')"
    if [ "$RELEASE_COMMAND" = "version" ]; then
      : # it talks to nobody and keeps nothing
    elif (umask 077 && printf '%s' "$RELEASE_COOKIE" > "$RELEASE_ROOT/releases/.cookie.$$") 2> /dev/null; then
      ln "$RELEASE_ROOT/releases/.cookie.$$" "$RELEASE_ROOT/releases/COOKIE" 2> /dev/null || RELEASE_COOKIE="$(cat "$RELEASE_ROOT/releases/COOKIE")"
      rm -f "$RELEASE_ROOT/releases/.cookie.$$"
    elif [ "${RELEASE_DISTRIBUTION:-sname}" != "none" ] && [ "$RELEASE_COMMAND" != "eval" ]; then
      echo "ERROR: set RELEASE_COOKIE: $RELEASE_ROOT/releases is not writable, so no cookie can be kept there" >&2
      exit 1
    fi
    export RELEASE_COOKIE
  fi
  """

  def main do
    {own, [path | args]} = OptionParser.parse_head!(System.argv(), strict: [config: :keep, vm_args: :string])
    Retort.Names.intern(Path.wildcard("_build/*/lib/*/.mix/retort.names", match_dot: true))
    args = args ++ ["--no-compile", "--overwrite", "--path", path]
    System.argv(["release" | args])
    Retort.Base.begin(path)
    looks = Retort.Amend.begin()
    Mix.start()
    Mix.CLI.main(["retort.release" | args])
    strip = Retort.Base.finish(path)
    settle(path, own)
    Retort.Amend.finish(looks, strip)
  end

  defp settle(path, own) do
    File.rm(Path.join(path, "releases/COOKIE"))
    for dir <- ["bin", "releases/*"], bat <- Path.wildcard(Path.join([path, dir, "*.bat"])), do: File.rm!(bat)
    for tar <- Path.wildcard(Path.join(path, "*.tar.gz")), tar?(path, tar), do: File.rm!(tar)
    for start <- Path.wildcard(Path.join(path, "bin/*")), do: start_script(start)

    for file <- Path.wildcard(Path.join(path, "releases/*/sys.config")) do
      merge(file, Keyword.get_values(own, :config))
      config(file)
    end

    for file <- Path.wildcard(Path.join(path, "releases/*/vm.args")), args = own[:vm_args], do: File.cp!(args, file)
  end

  # The archive of the step :tar, which bears the release's version.
  defp tar?(path, tar) do
    [_erts, version] = Path.join(path, "releases/start_erl.data") |> File.read!() |> String.split()
    String.ends_with?(tar, "-#{version}.tar.gz")
  end

  defp merge(_file, []), do: :ok

  defp merge(file, extra) do
    {:ok, [terms]} = :file.consult(file)

    merged =
      Enum.reduce(extra, terms, fn source, terms ->
        Config.Reader.merge(terms, Config.Reader.read!(source, env: Mix.env(), target: Mix.target()))
      end)

    File.write!(file, [comments(file), :io_lib.format(~c"~tp.~n", [merged])] |> :unicode.characters_to_binary())
  end

  defp comments(file), do: file |> File.stream!() |> Enum.take_while(&String.starts_with?(&1, "%%"))

  # The cookie is settled where Mix's start script has just read env.sh, which
  # may set RELEASE_COOKIE.
  defp start_script(file) do
    text = File.read!(file)

    case String.split(text, ~s(\n. "$REL_VSN_DIR/env.sh"\n)) do
      [head, rest] ->
        File.write!(file, [head, ~s(\n. "$REL_VSN_DIR/env.sh"\n), @cookie, rest])

      [_other] -> # a script of the application's own, or of a Mix that has changed
        if text =~ "REL_VSN_DIR" and text =~ "releases/COOKIE", do: raise("#{file}: no place for the cookie in the start script of this Mix")
    end
  end

  # Elixir before 1.20 prints the terms in no fixed order. A file that does not
  # read back equal stays as Mix wrote it.
  defp config(file) do
    with {:ok, [terms]} <- :file.consult(file),
         printed = [comments(file), :io_lib.format(format(), [terms])] |> :unicode.characters_to_binary(),
         temp = file <> ".retort",
         :ok <- File.write(temp, printed) do
      case :file.consult(temp) do
        {:ok, [^terms]} -> File.rename!(temp, file)
        _other -> File.rm!(temp)
      end
    end
  end

  # The k modifier (OTP 26) prints maps in the order of their keys; before, small
  # maps always had that order.
  defp format do
    if String.to_integer(to_string(:erlang.system_info(:otp_release))) >= 26, do: ~c"~ktp.~n", else: ~c"~tp.~n"
  end
end
