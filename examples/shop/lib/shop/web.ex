defmodule Shop.Web do
  @moduledoc "The HTTP side: `/`, `/search?q=`, `/receipt`, `/domain?name=` and `/health`."

  # The listener lives below our own supervisor, and so stops with it.
  def child_spec(_opts) do
    port = Application.fetch_env!(:shop, :port)
    routes = :cowboy_router.compile([{:_, [{"/[...]", __MODULE__, []}]}])

    :ranch.child_spec(__MODULE__, :ranch_tcp, %{socket_opts: [port: port]}, :cowboy_clear, %{
      env: %{dispatch: routes},
      connection_type: :supervisor
    })
  end

  def init(req, state) do
    query = Map.new(:cowboy_req.parse_qs(req))
    {status, body} = answer(:cowboy_req.path(req), query)
    headers = %{"content-type" => "application/json"}
    {:ok, :cowboy_req.reply(status, headers, :jiffy.encode(body), req), state}
  end

  defp answer("/", _query), do: {200, %{products: Shop.Catalog.all()}}
  defp answer("/health", _query), do: health()
  defp answer("/receipt", _query), do: {200, %{receipt: Shop.Orders.receipt(Shop.Catalog.all())}}

  defp answer("/search", %{"q" => text}) do
    case Shop.Catalog.search(text) do
      {:ok, products} -> {200, %{products: products}}
      {:error, reason} -> {400, %{error: reason}}
    end
  end

  defp answer("/domain", %{"name" => name}) do
    {200, %{ascii: name |> String.to_charlist() |> :idna.encode() |> List.to_string()}}
  catch
    :exit, _reason -> {400, %{error: "no domain name"}}
  end

  defp answer(_path, _query), do: {404, %{error: "not found"}}

  # Healthy is who can do the work: each NIF is called.
  defp health do
    {:ok, [_ | _]} = Shop.Catalog.search("<10000")
    <<_, _::binary>> = Shop.Orders.receipt([])
    {200, %{status: "ok", otp: List.to_string(:erlang.system_info(:otp_release))}}
  end
end
