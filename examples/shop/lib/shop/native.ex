defmodule Shop.Native do
  @moduledoc "Calls all native code once, and says what came out."

  @doc "One result a library."
  def results do
    Map.new(checks(), fn {name, check} -> {name, check.()} end)
  end

  defp checks do
    [
      cache_tab: fn -> length(elem(Shop.Catalog.search("bread"), 1)) end,
      epam: fn -> elem(Shop.Account.login("nobody", "wrong"), 1) end,
      ezlib: fn -> byte_size(Shop.Receipt.deflate(String.duplicate("bread", 1000))) end,
      fast_tls: fn -> Map.put(Shop.TLS.handshake(), :openssl, Shop.TLS.openssl()) end,
      fast_xml: fn ->
        :fxml.get_tag_cdata(:fxml_stream.parse_element("<a b='1'>&lt;bread&gt;</a>"))
      end,
      fast_yaml: fn -> elem(:fast_yaml.decode("{bread: [1, 2.5]}", [:maps, :sane_scalars]), 1) end,
      jiffy: fn -> :jiffy.decode("[1.5, \"\\u00e4\"]") end,
      sqlite3: fn -> Shop.Orders.version() end,
      stringprep: fn -> :stringprep.nodeprep("Ärger") end
    ]
  end
end
