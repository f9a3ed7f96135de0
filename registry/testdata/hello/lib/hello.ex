defmodule Hello do
  @moduledoc "Answers every HTTP request with what the runtime image must provide."
  use Application

  @impl true
  def start(_type, _args) do
    {:ok, socket} =
      :gen_tcp.listen(port(), [:binary, packet: :http_bin, active: false, reuseaddr: true])

    Supervisor.start_link([{Task, fn -> serve(socket) end}], strategy: :one_for_one)
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
        tls: match?({:ok, _}, :ssl.start()) or :ssl.start() == :ok,
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
end
