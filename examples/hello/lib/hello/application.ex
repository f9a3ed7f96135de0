defmodule Hello.Application do
  @moduledoc "Starts the HTTP and the HTTPS listener."
  use Application

  @impl true
  def start(_type, _args) do
    children = [
      {Task.Supervisor, name: Hello.Connections},
      Supervisor.child_spec({Hello.Listener, transport: :tcp, port: port(:http_port)}, id: :http),
      Supervisor.child_spec({Hello.Listener, transport: :tls, port: port(:https_port)}, id: :https)
    ]

    Supervisor.start_link(children, strategy: :one_for_one, name: Hello.Supervisor)
  end

  # Every connection is closed by now, and nothing else has state to save. OTP
  # would go on to wait a full second for its terminal: leave before that.
  @impl true
  def stop(_state), do: System.halt(0)

  defp port(key), do: Application.fetch_env!(:hello, key)
end
