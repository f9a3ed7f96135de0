defmodule Stock.Item do
  @moduledoc "So many of one thing, at a price each. Read from text such as `bread 12 x 3.20`."
  import NimbleParsec

  @unit Application.compile_env!(:stock, :unit)

  defstruct [:name, :count, :price]

  space = ignore(ascii_string([?\s], min: 1))
  amount = integer(min: 1, max: 6) |> ignore(string(".")) |> integer(2)

  item =
    utf8_string([?a..?z], min: 1)
    |> concat(space)
    |> integer(min: 1, max: 6)
    |> concat(space)
    |> ignore(string("x"))
    |> concat(space)
    |> concat(amount)
    |> wrap()

  separator = ignore(string(",")) |> concat(space)

  defparsecp(:list, item |> repeat(separator |> concat(item)) |> eos())

  @doc "Parses a list of items."
  def parse(text) do
    case list(text) do
      {:ok, items, "", _, _, _} -> {:ok, Enum.map(items, &new/1)}
      {:error, reason, _, _, _, _} -> {:error, reason}
    end
  end

  defp new([name, count, euro, cents]) do
    %__MODULE__{name: name, count: count, price: Money.new(euro * 100 + cents)}
  end

  @doc "What an item is worth."
  def worth(item), do: Money.times(item.price, item.count)

  defimpl Stock.Summary do
    def line(item), do: "#{item.count} #{Stock.Item.unit()} of #{item.name}"
  end

  @doc "What things are counted in."
  def unit, do: @unit
end
