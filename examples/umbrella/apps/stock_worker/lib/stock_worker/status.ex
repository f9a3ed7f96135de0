defmodule StockWorker.Status do
  @moduledoc "Answers every request with the count of the stock, by OTP's own HTTP server."
  require Record

  Record.defrecordp(:mod, Record.extract(:mod, from_lib: "inets/include/httpd.hrl"))

  def child_spec(_opts) do
    %{id: __MODULE__, start: {__MODULE__, :start_link, []}, type: :supervisor}
  end

  def start_link do
    :inets.start(
      :httpd,
      [
        port: Application.fetch_env!(:stock_worker, :port),
        server_name: ~c"stock",
        server_root: ~c"/",
        document_root: ~c"/",
        modules: [__MODULE__]
      ],
      :stand_alone
    )
  end

  @doc "The callback of :httpd."
  def unquote(:do)(mod(method: ~c"GET")) do
    body =
      :json.encode(%{
        status: "ok",
        count: Stock.Summary.line(StockWorker.Count.now()),
        consolidated: Protocol.consolidated?(Stock.Summary)
      })

    length = body |> IO.iodata_length() |> Integer.to_charlist()
    head = [code: 200, content_type: ~c"application/json", content_length: length]
    {:proceed, [response: {:response, head, IO.iodata_to_binary(body)}]}
  end

  def unquote(:do)(_request), do: {:proceed, [response: {405, ~c"GET"}]}
end
