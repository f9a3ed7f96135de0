defmodule Hello do
  @moduledoc "Answers every HTTP request with what the runtime image must provide."
  use Application

  @impl true
  def start(_type, _args) do
    {:ok, socket} =
      :gen_tcp.listen(port(), [:binary, packet: :http_bin, active: false, reuseaddr: true])

    server = Supervisor.child_spec({Task, fn -> serve(socket) end}, restart: :permanent)
    Supervisor.start_link([server], strategy: :one_for_one)
  end

  defp port, do: Application.fetch_env!(:hello, :port)

  defp serve(socket) do
    {:ok, client} = :gen_tcp.accept(socket)
    {:ok, _request} = :gen_tcp.recv(client, 0)
    body = report()

    :gen_tcp.send(client, [
      "HTTP/1.1 200 OK\r\ncontent-length: #{byte_size(body)}\r\nconnection: close\r\n\r\n",
      body
    ])

    :gen_tcp.close(client)
    serve(socket)
  end

  defp report do
    :ok = :public_key.cacerts_load()

    Enum.map_join(
      [
        greeting: Application.fetch_env!(:hello, :greeting),
        sha256: Base.encode16(:crypto.hash(:sha256, "retort"), case: :lower),
        tls: handshake(),
        cacerts: length(:public_key.cacerts_get()),
        localhost: match?({:ok, _}, :inet.gethostbyname(~c"localhost")),
        encoding: :file.native_name_encoding(),
        mode: :init.get_argument(:mode) |> inspect(),
        distributed: Node.alive?(),
        environment:
          for(n <- ~w(RELEASE_NAME RELEASE_VSN RELEASE_ROOT), do: System.get_env(n)) |> inspect(),
        user: elem(File.stat(System.fetch_env!("RELEASE_TMP")), 0)
      ],
      fn {key, value} -> "#{key}=#{value}\n" end
    )
  end

  defp handshake do
    chain = %{
      root: [digest: :sha256, key: {:namedCurve, :secp256r1}],
      intermediates: [],
      peer: [digest: :sha256, key: {:namedCurve, :secp256r1}]
    }

    %{server_config: server, client_config: client} =
      :public_key.pkix_test_data(%{server_chain: chain, client_chain: chain})

    {:ok, listener} = :ssl.listen(0, server)
    {:ok, {_, port}} = :ssl.sockname(listener)

    answer =
      Task.async(fn ->
        {:ok, socket} = :ssl.transport_accept(listener)
        {:ok, socket} = :ssl.handshake(socket)
        :ok = :ssl.send(socket, "hello")
        :ssl.close(socket)
      end)

    options = [:binary, active: false, verify: :verify_peer, server_name_indication: :disable]
    {:ok, socket} = :ssl.connect({127, 0, 0, 1}, port, options ++ client)
    {:ok, "hello"} = :ssl.recv(socket, 5)
    {:ok, [protocol: version]} = :ssl.connection_information(socket, [:protocol])
    :ok = Task.await(answer)
    version
  end
end
