defmodule Hello.Certificate do
  @moduledoc "A self-signed certificate for this run of the service."

  @doc "Options for :ssl.listen/2: a fresh P-256 key and its certificate chain."
  def options do
    key = {:namedCurve, :secp256r1}
    chain = %{root: [key: key], intermediates: [], peer: [key: key]}
    %{server_config: config} = :public_key.pkix_test_data(%{server_chain: chain, client_chain: chain})
    Keyword.take(config, [:cert, :key, :cacerts])
  end
end
