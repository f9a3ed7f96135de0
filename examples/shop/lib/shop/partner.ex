defmodule Shop.Partner do
  @moduledoc "Asks a partner's shop over HTTP (gun). Without a partner, it is this shop."

  @timeout 5_000

  @doc "The partner's products."
  def products do
    %URI{host: host, port: port} = URI.parse(Application.fetch_env!(:shop, :partner))
    {:ok, pid} = :gun.open(String.to_charlist(host), port, %{retry: 0})

    try do
      with {:ok, _protocol} <- :gun.await_up(pid, @timeout),
           stream = :gun.get(pid, "/"),
           {:response, :nofin, 200, _headers} <- :gun.await(pid, stream, @timeout),
           {:ok, body} <- :gun.await_body(pid, stream, @timeout) do
        {:ok, Map.fetch!(:jiffy.decode(body, [:return_maps]), "products")}
      else
        _other -> {:error, "the partner does not answer"}
      end
    after
      :gun.close(pid)
    end
  end
end
