defmodule Hello.Application do
  @moduledoc "Starts the HTTP and the HTTPS listener."
  use Application

  @impl true
  def start(_type, _args) do
    :ok = Hello.Signals.install()

    children = [
      {Task.Supervisor, name: Hello.Connections},
      Supervisor.child_spec({Hello.Listener, transport: :tcp, port: port(:http_port)}, id: :http),
      Supervisor.child_spec({Hello.Listener, transport: :tls, port: port(:https_port)}, id: :https)
    ]

    Supervisor.start_link(children, strategy: :one_for_one, name: Hello.Supervisor)
  end

  defp port(key), do: Application.fetch_env!(:hello, key)
end
