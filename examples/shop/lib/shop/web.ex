defmodule Shop.Web do
  @moduledoc "The HTTP side. priv/manual.md and priv/shop.asciidoc describe it."

  @json "application/json"

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
    {status, type, body, req} =
      case :cowboy_req.method(req) do
        "GET" -> req |> get() |> reply(req)
        "POST" -> post(req)
        _ -> reply({405, %{error: "GET or POST"}}, req)
      end

    {:ok, :cowboy_req.reply(status, %{"content-type" => type}, body, req), state}
  end

  defp get(req) do
    answer(:cowboy_req.path(req), Map.new(:cowboy_req.parse_qs(req)))
  end

  defp post(req) do
    {:ok, body, req} = :cowboy_req.read_body(req, %{length: 65_536})

    case decode(body) do
      {:ok, json} -> :cowboy_req.path(req) |> accept(json) |> reply(req)
      :error -> reply({400, %{error: "no JSON"}}, req)
    end
  end

  defp decode(body) do
    {:ok, :jiffy.decode(body, [:return_maps])}
  catch
    :error, _reason -> :error
  end

  defp reply({status, body}, req), do: {status, @json, :jiffy.encode(body), req}
  defp reply({status, type, body}, req), do: {status, type, body, req}

  defp answer("/", _query), do: {200, %{products: Shop.Catalog.all()}}
  defp answer("/health", _query), do: health()
  defp answer("/native", _query), do: {200, Shop.Native.results()}
  defp answer("/orders", _query), do: {200, Shop.Orders.sum()}
  defp answer("/manual", _query), do: {200, "text/html; charset=utf-8", Shop.Pages.manual()}
  defp answer("/shop.1", _query), do: {200, "text/troff; charset=utf-8", Shop.Pages.man()}
  defp answer("/feed.xml", _query), do: {200, "application/xml", Shop.Pages.feed()}

  defp answer("/search", %{"q" => text}) do
    case Shop.Catalog.search(text) do
      {:ok, products} -> {200, %{products: products}}
      {:error, reason} -> {400, %{error: reason}}
    end
  end

  defp answer("/receipt", %{"text" => text}) do
    case Shop.Receipt.read(text) do
      {:ok, order} -> {200, order}
      :error -> {400, %{error: "not signed by this shop"}}
    end
  end

  defp answer("/domain", %{"name" => name}) do
    {200, %{ascii: name |> String.to_charlist() |> :idna.encode() |> List.to_string()}}
  catch
    :exit, _reason -> {400, %{error: "no domain name"}}
  end

  defp answer("/partner", _query) do
    case Shop.Partner.products() do
      {:ok, products} -> {200, %{products: products}}
      {:error, reason} -> {502, %{error: reason}}
    end
  end

  defp answer(_path, _query), do: {404, %{error: "not found"}}

  defp accept("/orders", %{"items" => [_ | _] = ids}) do
    case Shop.Catalog.fetch(ids) do
      {:ok, products} -> {201, Shop.Orders.place(products)}
      {:error, id} -> {400, %{error: "no product", id: id}}
    end
  end

  defp accept("/login", %{"name" => name, "password" => password}) do
    case Shop.Account.login(name, password) do
      {:ok, name} -> {200, %{name: name}}
      {:error, reason} -> {401, %{error: reason}}
    end
  end

  defp accept(_path, _json), do: {404, %{error: "not found"}}

  # Healthy is who can sell.
  defp health do
    {:ok, [_ | _]} = Shop.Catalog.search("<10000")
    %{orders: _} = Shop.Orders.sum()
    {200, %{status: "ok", otp: List.to_string(:erlang.system_info(:otp_release))}}
  end
end
