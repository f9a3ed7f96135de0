defmodule StockTest do
  use ExUnit.Case, async: true

  test "items are read from text" do
    assert {:ok, [item]} = Stock.Item.parse("bread 12 x 3.20")
    assert Stock.Summary.line(item) == "12 pieces of bread"
    assert item |> Stock.Item.worth() |> Stock.Summary.line() == "38.40 EUR"
    assert {:error, _} = Stock.Item.parse("bread")
  end
end
