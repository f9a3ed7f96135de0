defmodule Shop.Catalog do
  @moduledoc """
  What is for sale, from a YAML file (fast_yaml). Searches are kept in cache_tab,
  a cache with a NIF.
  """

  @currency Application.compile_env!(:shop, :currency)
  @cache :shop_searches

  @doc "Reads the products, and makes the cache, which lives below cache_tab's own supervisor."
  def load do
    file = Application.app_dir(:shop, "priv/products.yaml")
    {:ok, [products]} = :fast_yaml.decode_from_file(file, [:sane_scalars, :maps])
    :persistent_term.put(__MODULE__, Enum.map(products, &product/1))
    :ets_cache.new(@cache, max_size: 1000)
  end

  defp product(%{"id" => id, "name" => name, "cents" => cents}) do
    %{id: id, name: name, cents: cents, currency: @currency}
  end

  @doc "All products."
  def all, do: :persistent_term.get(__MODULE__)

  @doc "The products with these numbers, or the first number that is none."
  def fetch(ids) do
    known = Map.new(all(), &{&1.id, &1})

    case Enum.find(ids, &(not is_map_key(known, &1))) do
      nil -> {:ok, Enum.map(ids, &known[&1])}
      id -> {:error, id}
    end
  end

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
