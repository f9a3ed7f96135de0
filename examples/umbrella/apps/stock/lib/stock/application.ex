defmodule Stock.Application do
  @moduledoc false
  use Application

  @impl true
  def start(_type, _args) do
    {:ok, items} = :stock |> Application.fetch_env!(:items) |> Stock.Item.parse()

    stock = %{
      id: Stock,
      start: {Agent, :start_link, [fn -> Enum.reverse(items) end, [name: Stock]]}
    }

    Supervisor.start_link([stock], strategy: :one_for_one, name: Stock.Supervisor)
  end
end
