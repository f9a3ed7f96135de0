defmodule StockWeb.Report do
  @moduledoc "What the web shows: a line for each item, made once and kept in cache_tab."

  defstruct [:lines]

  @cache :stock_web_report

  @doc "Makes the cache, which lives below cache_tab's own supervisor."
  def new, do: :ets_cache.new(@cache)

  @doc "The report."
  def get do
    :ets_cache.lookup(@cache, :report, fn ->
      things = Stock.items() ++ [Stock.worth()]
      {:ok, %__MODULE__{lines: Enum.map(things, &Stock.Summary.line/1)}}
    end)
  end

  defimpl Stock.Summary do
    def line(report), do: "#{length(report.lines)} lines"
  end
end
