defmodule Shop.Application do
  @moduledoc false
  use Application

  @impl true
  def start(_type, _args) do
    :ok = Shop.Catalog.load()
    :ok = Shop.Receipt.load_key()

    children = [
      Shop.Orders,
      :poolboy.child_spec(Shop.Receipt,
        name: {:local, Shop.Receipt},
        worker_module: Shop.Receipt,
        size: 4,
        max_overflow: 4
      ),
      Shop.Web
    ]

    Supervisor.start_link(children, strategy: :one_for_one, name: Shop.Supervisor)
  end
end
