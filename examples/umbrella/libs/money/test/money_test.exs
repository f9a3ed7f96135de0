defmodule MoneyTest do
  use ExUnit.Case, async: true

  test "amounts are written with two digits" do
    assert to_string(Money.new(5)) == "0.05"
    assert to_string(Money.sum([Money.times(Money.new(150), 2), Money.new(20)])) == "3.20"
  end
end
