defmodule ShopTest do
  use ExUnit.Case, async: true

  test "a query is parsed into filters" do
    assert Shop.Query.parse("bread <400") == {:ok, [word: "bread", below: 400]}
    assert {:error, _} = Shop.Query.parse("<")
  end

  test "a search finds what all filters admit" do
    assert {:ok, [%{name: "bread"}]} = Shop.Catalog.search("<400 >300")
  end

  test "a receipt says what was ordered, and only this shop can make it" do
    {:ok, products} = Shop.Catalog.fetch([1, 2, 3])
    %{receipt: receipt, id: id} = Shop.Orders.place(products)
    assert {:ok, %{"id" => ^id, "total" => 1045}} = Shop.Receipt.read(receipt)
    other = JOSE.JWK.from_oct(:crypto.strong_rand_bytes(32))
    {_, forged} = JOSE.JWS.compact(JOSE.JWS.sign(other, "{}", %{"alg" => "HS256"}))
    assert Shop.Receipt.read(forged) == :error
    assert %{orders: orders} = Shop.Orders.sum()
    assert orders > 0
  end

  test "any price is a filter" do
    property =
      :proper.forall(:proper_types.integer(0, 999_999_999), fn cents ->
        Shop.Query.parse("<#{cents}") == {:ok, [below: cents]}
      end)

    assert :proper.quickcheck(property, [:quiet, numtests: 50])
  end

  test "the manual is highlighted, in each of its languages" do
    html = Shop.Pages.manual()
    for language <- ~w(elixir erlang c), do: assert(html =~ ~s(class="makeup #{language}"))
  end

  test "the manual page and the feed" do
    assert IO.iodata_to_binary(Shop.Pages.man()) =~ ~s(.TH "shop" "1" "2026-01-02")
    assert Shop.Pages.feed() =~ ~s(<product id='2' cents='320'>bread</product>)
  end

  test "the partner has products" do
    assert {:ok, [_ | _]} = Shop.Partner.products()
  end

  test "all native code works" do
    results = Shop.Native.results()
    assert %{received: "hello", openssl: %{libraries: libraries}} = results.fast_tls
    assert Enum.count(libraries, &String.starts_with?(&1, "libcrypto")) == 1

    assert %{fast_xml: "<bread>", fast_yaml: [%{"bread" => [1, 2.5]}], jiffy: [1.5, "ä"]} =
             results

    assert %{cache_tab: 1, stringprep: "ärger"} = results
    assert is_binary(results.epam)
  end
end
