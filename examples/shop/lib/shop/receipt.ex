defmodule Shop.Receipt do
  @moduledoc """
  Workers that make receipts: JSON (jiffy), deflated (ezlib), signed (jose).
  """
  use GenServer

  def start_link(opts), do: GenServer.start_link(__MODULE__, opts)

  @doc "Takes the key from RECEIPT_KEY; without it, receipts hold for one run."
  def load_key do
    secret =
      case Application.fetch_env!(:shop, :receipt_key) do
        nil -> :crypto.strong_rand_bytes(32)
        text -> :base64url.decode(text)
      end

    :persistent_term.put(__MODULE__, JOSE.JWK.from_oct(secret))
  end

  @doc "A receipt for an order, made by one worker of the pool."
  def make(order) do
    :poolboy.transaction(__MODULE__, &GenServer.call(&1, {:make, order}))
  end

  @doc "The order that a receipt is for, if this shop has signed it."
  def read(receipt) do
    case JOSE.JWS.verify_strict(key(), ["HS256"], receipt) do
      {true, deflated, _jws} -> {:ok, :jiffy.decode(inflate(deflated), [:return_maps])}
      _ -> :error
    end
  end

  @doc "Deflates data."
  def deflate(data) do
    {:ok, deflated} = :ezlib.compress(:ezlib.new(), IO.iodata_to_binary(data))
    IO.iodata_to_binary(deflated)
  end

  # ezlib ends its stream with a flush.
  defp inflate(deflated) do
    z = :zlib.open()
    :ok = :zlib.inflateInit(z)
    data = IO.iodata_to_binary(:zlib.inflate(z, deflated))
    :ok = :zlib.close(z)
    data
  end

  @impl true
  def init(_opts), do: {:ok, nil}

  @impl true
  def handle_call({:make, order}, _from, state) do
    signed = JOSE.JWS.sign(key(), deflate(:jiffy.encode(order)), %{"alg" => "HS256"})
    {_, receipt} = JOSE.JWS.compact(signed)
    {:reply, receipt, state}
  end

  defp key, do: :persistent_term.get(__MODULE__)
end
