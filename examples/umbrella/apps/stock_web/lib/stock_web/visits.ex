defmodule StockWeb.Visits do
  @moduledoc "Counts visits, in a table of cache_tab."

  defstruct [:path, :count]

  @cache :stock_web_visits

  @doc "Makes the counters."
  def new, do: :ets_cache.new(@cache)

  @doc "Counts one more visit of a path."
  def count(path) do
    :ets_cache.insert_new(@cache, path, 0)
    :ok = :ets_cache.incr(@cache, path, 1)
    {:ok, count} = :ets_cache.lookup(@cache, path)
    %__MODULE__{path: path, count: count}
  end

  defimpl Stock.Summary do
    def line(visits), do: "visit #{visits.count} of #{visits.path}"
  end
end
