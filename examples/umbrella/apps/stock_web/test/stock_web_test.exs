defmodule StockWebTest do
  use ExUnit.Case, async: true

  test "visits are counted" do
    assert Stock.Summary.line(StockWeb.Visits.count("/a")) == "visit 1 of /a"
    assert Stock.Summary.line(StockWeb.Visits.count("/a")) == "visit 2 of /a"
  end
end
