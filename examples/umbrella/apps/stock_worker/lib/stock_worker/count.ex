defmodule StockWorker.Count do
  @moduledoc "Workers that count the stock."
  use GenServer

  defstruct [:kinds, :things]

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts)

  @doc "Counts the stock, by one worker of the pool."
  def now, do: :poolboy.transaction(__MODULE__, &GenServer.call(&1, :count))

  @impl true
  def init(_opts), do: {:ok, nil}

  @impl true
  def handle_call(:count, _from, state) do
    items = Stock.items()
    things = items |> Enum.map(& &1.count) |> Enum.sum()
    {:reply, %__MODULE__{kinds: length(items), things: things}, state}
  end

  defimpl Stock.Summary do
    def line(count), do: "#{count.things} #{Stock.Item.unit()} of #{count.kinds} kinds"
  end
end
