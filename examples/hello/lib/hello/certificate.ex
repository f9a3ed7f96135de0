defmodule Hello.Certificate do
  @moduledoc "A self-signed certificate for this run of the service."

  @doc "Options for :ssl.listen/2: a fresh P-256 key and its certificate chain."
  def options do
    # Without a digest it is SHA-1, which no client of today accepts.
    cert = [key: {:namedCurve, :secp256r1}, digest: :sha256]
    chain = %{root: cert, intermediates: [], peer: cert}
    %{server_config: config} = :public_key.pkix_test_data(%{server_chain: chain, client_chain: chain})
    Keyword.take(config, [:cert, :key, :cacerts])
  end
end
