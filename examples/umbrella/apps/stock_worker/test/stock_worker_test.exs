defmodule StockWorkerTest do
  use ExUnit.Case, async: true

  test "the stock is counted" do
    assert Stock.Summary.line(StockWorker.Count.now()) == "14 pieces of 2 kinds"
  end
end
