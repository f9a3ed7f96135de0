defmodule StockWeb.Handler do
  @moduledoc "The HTTP side: `/` and `/health`."

  # The listener lives below our own supervisor, and so stops with it.
  def child_spec(_opts) do
    port = Application.fetch_env!(:stock_web, :port)
    routes = :cowboy_router.compile([{:_, [{"/[...]", __MODULE__, []}]}])

    :ranch.child_spec(__MODULE__, :ranch_tcp, %{socket_opts: [port: port]}, :cowboy_clear, %{
      env: %{dispatch: routes},
      connection_type: :supervisor
    })
  end

  def init(req, state) do
    {status, body} = answer(:cowboy_req.path(req))
    headers = %{"content-type" => "application/json"}
    {:ok, :cowboy_req.reply(status, headers, :json.encode(body), req), state}
  end

  defp answer("/") do
    {:ok, report} = StockWeb.Report.get()
    {200, %{lines: report.lines, summary: Stock.Summary.line(report)}}
  end

  defp answer("/health") do
    {200, %{status: "ok", consolidated: Protocol.consolidated?(Stock.Summary)}}
  end

  defp answer(_path), do: {404, %{error: "not found"}}
end
