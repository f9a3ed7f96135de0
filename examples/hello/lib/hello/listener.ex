defmodule Hello.Listener do
  @moduledoc """
  Accepts connections on one port, over TCP or TLS, and answers each request in
  a task of its own. The TLS certificate is made at start and lives in memory.
  """
  use GenServer

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts)

  @impl true
  def init(opts) do
    transport = Keyword.fetch!(opts, :transport)
    {:ok, socket} = listen(transport, Keyword.fetch!(opts, :port))
    {:ok, _pid} = Task.start_link(fn -> accept(transport, socket) end)
    {:ok, socket}
  end

  defp listen(:tcp, port) do
    :gen_tcp.listen(port, [:binary, active: false, reuseaddr: true, packet: :http_bin, backlog: 128])
  end

  defp listen(:tls, port) do
    :ssl.listen(
      port,
      [:binary, active: false, reuseaddr: true, packet: :http_bin] ++ Hello.Certificate.options()
    )
  end

  defp accept(:tcp, socket) do
    {:ok, connection} = :gen_tcp.accept(socket)

    {:ok, pid} =
      Task.Supervisor.start_child(Hello.Connections, fn ->
        receive do
          :go -> Hello.Request.serve(:gen_tcp, :inet, connection)
        end
      end)

    :ok = :gen_tcp.controlling_process(connection, pid)
    send(pid, :go)
    accept(:tcp, socket)
  end

  defp accept(:tls, socket) do
    {:ok, connection} = :ssl.transport_accept(socket)

    {:ok, pid} =
      Task.Supervisor.start_child(Hello.Connections, fn ->
        receive do
          :go -> :ok
        end

        with {:ok, connection} <- :ssl.handshake(connection, 5_000) do
          Hello.Request.serve(:ssl, :ssl, connection)
        end
      end)

    :ok = :ssl.controlling_process(connection, pid)
    send(pid, :go)
    accept(:tls, socket)
  end
end
