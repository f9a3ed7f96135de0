defmodule Shop.Query do
  @moduledoc "Queries such as `bread <400`. The parser is generated at compile time."
  import NimbleParsec

  price = integer(min: 1, max: 9)

  filter =
    choice([
      ignore(string("<")) |> concat(price) |> unwrap_and_tag(:below),
      ignore(string(">")) |> concat(price) |> unwrap_and_tag(:above),
      utf8_string([?a..?z, ?0..?9, 0xDF..0x24F], min: 1) |> unwrap_and_tag(:word)
    ])

  space = ignore(ascii_string([?\s], min: 1))

  defparsecp(:query, filter |> repeat(space |> concat(filter)) |> eos())

  @doc "Parses a query into filters."
  def parse(text) do
    case text |> String.trim() |> String.downcase() |> query() do
      {:ok, filters, "", _, _, _} -> {:ok, filters}
      {:error, reason, _, _, _, _} -> {:error, reason}
    end
  end
end
