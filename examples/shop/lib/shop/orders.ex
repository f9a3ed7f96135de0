defmodule Shop.Orders do
  @moduledoc "Workers that make receipts: JSON (jiffy), deflated (ezlib), in URL-safe text (base64url)."
  use GenServer

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts)

  @doc "A receipt for some products, made by one worker of the pool."
  def receipt(products) do
    :poolboy.transaction(__MODULE__, &GenServer.call(&1, {:receipt, products}))
  end

  @impl true
  def init(_opts), do: {:ok, nil}

  @impl true
  def handle_call({:receipt, products}, _from, state) do
    json = :jiffy.encode(%{total: Enum.sum(Enum.map(products, & &1.cents)), items: products})
    {:ok, deflated} = :ezlib.compress(:ezlib.new(), IO.iodata_to_binary(json))
    {:reply, :base64url.encode(IO.iodata_to_binary(deflated)), state}
  end
end
