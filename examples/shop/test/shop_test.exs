defmodule ShopTest do
  use ExUnit.Case, async: true

  test "a query is parsed into filters" do
    assert Shop.Query.parse("bread <400") == {:ok, [word: "bread", below: 400]}
    assert {:error, _} = Shop.Query.parse("<")
  end

  test "a search finds what all filters admit" do
    assert {:ok, [%{name: "bread"}]} = Shop.Catalog.search("<400 >300")
  end

  test "a receipt unpacks to what was bought" do
    receipt = :base64url.decode(Shop.Orders.receipt(Shop.Catalog.all()))
    z = :zlib.open()
    :ok = :zlib.inflateInit(z)
    json = :jiffy.decode(:zlib.inflate(z, receipt), [:return_maps])
    assert %{"total" => 1045} = json
  end
end
