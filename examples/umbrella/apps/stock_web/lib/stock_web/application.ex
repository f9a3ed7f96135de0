defmodule StockWeb.Application do
  @moduledoc false
  use Application

  @impl true
  def start(_type, _args) do
    :ok = StockWeb.Report.new()
    Supervisor.start_link([StockWeb.Handler], strategy: :one_for_one, name: StockWeb.Supervisor)
  end
end
