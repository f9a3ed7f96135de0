# Takes the time of the build out of what asset commands left. Arguments: files
# and folders. A gzip header has no time (RFC 1952: 0); in the
# cache_manifest.json of `mix phx.digest` it is SOURCE_DATE_EPOCH, in seconds
# since the year 0 as Phoenix counts them. Only phx.digest.clean reads it.
defmodule Retort.Settle do
  @year_1970 62_167_219_200

  def main, do: Enum.each(System.argv(), &path/1)

  defp path(path) do
    case File.lstat!(path).type do
      :directory -> path |> File.ls!() |> Enum.sort() |> Enum.each(&path(Path.join(path, &1)))
      :regular -> file(path, Path.basename(path))
      _link -> :ok
    end
  end

  defp file(path, "cache_manifest.json") do
    text = File.read!(path)
    time = @year_1970 + String.to_integer(System.fetch_env!("SOURCE_DATE_EPOCH"))
    settled = Regex.replace(~r/("mtime"\s*:\s*)[0-9]+/, text, "\\g{1}#{time}")
    if settled != text, do: File.write!(path, settled)
    packed = path <> ".gz"
    if File.regular?(packed) and gunzip(packed) == text, do: File.write!(packed, :zlib.gzip(settled))
  end

  defp file(path, name) do
    if String.ends_with?(name, ".gz"), do: gzip(path)
  end

  defp gunzip(path) do
    :zlib.gunzip(File.read!(path))
  rescue
    ErlangError -> nil
  end

  defp gzip(path) do
    case File.open!(path, [:read, :raw, :binary], &:file.pread(&1, 0, 8)) do
      {:ok, <<0x1F, 0x8B, 8, _flags, time::binary-size(4)>>} when time != <<0::32>> ->
        File.open!(path, [:read, :write, :raw, :binary], &(:ok = :file.pwrite(&1, 4, <<0::32>>)))

      _none ->
        :ok
    end
  end
end
