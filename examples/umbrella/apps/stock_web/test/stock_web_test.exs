defmodule StockWebTest do
  use ExUnit.Case, async: true

  test "the report has a line for each item, and one for all" do
    {:ok, report} = StockWeb.Report.get()
    assert report.lines == ["12 pieces of bread", "2 pieces of cheese", "47.40 EUR"]
    assert Stock.Summary.line(report) == "3 lines"
  end
end
