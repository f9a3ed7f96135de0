defmodule Shop.Application do
  @moduledoc false
  use Application

  @impl true
  def start(_type, _args) do
    :ok = Shop.Catalog.start_cache()

    children = [
      :poolboy.child_spec(Shop.Orders,
        name: {:local, Shop.Orders},
        worker_module: Shop.Orders,
        size: 4,
        max_overflow: 4
      ),
      Shop.Web
    ]

    Supervisor.start_link(children, strategy: :one_for_one, name: Shop.Supervisor)
  end
end
