defmodule StockWorker.Application do
  @moduledoc false
  use Application

  @impl true
  def start(_type, _args) do
    pool =
      :poolboy.child_spec(StockWorker.Count,
        name: {:local, StockWorker.Count},
        worker_module: StockWorker.Count,
        size: 2,
        max_overflow: 0
      )

    children = [pool, StockWorker.Status]
    Supervisor.start_link(children, strategy: :one_for_one, name: StockWorker.Supervisor)
  end
end
