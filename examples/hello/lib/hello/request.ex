defmodule Hello.Request do
  @moduledoc "Reads one HTTP/1.1 request and writes one answer."

  @timeout 5_000

  @doc "Serves one connection; `tcp` and `inet` are the modules of its transport."
  def serve(tcp, inet, connection) do
    with {:ok, method, path} <- head(tcp, connection),
         :ok <- headers(tcp, connection) do
      {status, body} = answer(method, path)
      inet.setopts(connection, packet: :raw)
      tcp.send(connection, response(status, body))
    end

    tcp.close(connection)
  end

  defp head(tcp, connection) do
    case tcp.recv(connection, 0, @timeout) do
      {:ok, {:http_request, method, {:abs_path, path}, _version}} -> {:ok, method, path}
      other -> {:error, other}
    end
  end

  defp headers(tcp, connection) do
    case tcp.recv(connection, 0, @timeout) do
      {:ok, :http_eoh} -> :ok
      {:ok, {:http_header, _, _, _, _}} -> headers(tcp, connection)
      other -> {:error, other}
    end
  end

  defp answer(:GET, "/health"), do: {"200 OK", health()}
  defp answer(:GET, "/"), do: {"200 OK", ~s({"hello":"#{greeting()}"}\n)}
  defp answer(:GET, _path), do: {"404 Not Found", ~s({"error":"not found"}\n)}
  defp answer(_method, _path), do: {"405 Method Not Allowed", ~s({"error":"GET only"}\n)}

  defp health do
    [{_name, _number, openssl} | _] = :crypto.info_lib()

    ~s({"status":"ok","otp":"#{:erlang.system_info(:otp_release)}","elixir":"#{System.version()}",) <>
      ~s("openssl":"#{openssl}","cacerts":#{length(:public_key.cacerts_get())}}\n)
  end

  defp greeting, do: Application.fetch_env!(:hello, :greeting)

  defp response(status, body) do
    [
      "HTTP/1.1 ", status, "\r\n",
      "content-type: application/json\r\n",
      "content-length: ", Integer.to_string(byte_size(body)), "\r\n",
      "connection: close\r\n\r\n",
      body
    ]
  end
end
