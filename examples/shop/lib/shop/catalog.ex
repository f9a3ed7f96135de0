defmodule Shop.Catalog do
  @moduledoc "What is for sale. Searches are kept in cache_tab, a cache with a NIF."

  @currency Application.compile_env!(:shop, :currency)
  @cache :shop_searches

  @products [
    %{id: 1, name: "Käse", cents: 450},
    %{id: 2, name: "bread", cents: 320},
    %{id: 3, name: "apples", cents: 275}
  ]

  @doc "Makes the cache, which lives below cache_tab's own supervisor."
  def start_cache, do: :ets_cache.new(@cache, max_size: 1000)

  @doc "All products."
  def all, do: Enum.map(@products, &Map.put(&1, :currency, @currency))

  @doc "The products that a query admits, or why it is none."
  def search(text) do
    case Shop.Query.parse(text) do
      {:ok, filters} ->
        :ets_cache.lookup(@cache, text, fn -> {:ok, filter(filters)} end)

      {:error, reason} ->
        {:error, reason}
    end
  end

  defp filter(filters) do
    Enum.filter(all(), fn product -> Enum.all?(filters, &admits?(&1, product)) end)
  end

  defp admits?({:below, cents}, product), do: product.cents < cents
  defp admits?({:above, cents}, product), do: product.cents > cents
  defp admits?({:word, word}, product), do: String.contains?(String.downcase(product.name), word)
end
