defmodule Shop.TLS do
  @moduledoc "TLS through OpenSSL (fast_tls)."

  @timeout 5_000

  @doc "Shakes hands with itself, and says how: protocol, cipher, and what was received."
  def handshake do
    {:ok, listener} = :gen_tcp.listen(0, [:binary, active: false, ip: {127, 0, 0, 1}])
    {:ok, port} = :inet.port(listener)
    client = Task.async(fn -> send_hello(port) end)
    {:ok, socket} = :gen_tcp.accept(listener, @timeout)

    with_certificate(fn file ->
      {:ok, tls} = :fast_tls.tcp_to_tls(socket, certfile: file)
      {:ok, received} = :fast_tls.recv(tls, 0, @timeout)
      {:ok, cipher} = :fast_tls.get_negotiated_cipher(tls)
      :ok = :fast_tls.close(tls)
      :ok = :gen_tcp.close(listener)
      Map.merge(Task.await(client), %{cipher: cipher, received: received})
    end)
  end

  defp send_hello(port) do
    {:ok, socket} = :gen_tcp.connect({127, 0, 0, 1}, port, [:binary, active: false], @timeout)
    {:ok, tls} = :fast_tls.tcp_to_tls(socket, [:connect, :verify_none])
    :ok = :fast_tls.finish_handshake(tls, @timeout)
    :ok = :fast_tls.send(tls, "hello")
    {:ok, certificate} = :fast_tls.get_peer_certificate(tls, :otp)
    %{signed_with: signature(certificate)}
  end

  defp signature(certificate) do
    {:OTPCertificate, _tbs, {:SignatureAlgorithm, oid, _parameters}, _signature} = certificate
    {digest, sign} = :public_key.pkix_sign_types(oid)
    "#{sign} #{digest}"
  end

  # fast_tls reads certificates from files.
  defp with_certificate(fun) do
    name = "shop-#{System.pid()}-#{System.unique_integer([:positive])}.pem"
    file = Path.join(System.tmp_dir!(), name)

    try do
      File.write!(file, certificate(), [:exclusive])
      fun.(file)
    after
      File.rm(file)
    end
  end

  defp certificate do
    cert = [key: {:namedCurve, :secp256r1}, digest: :sha256]
    chain = %{root: cert, intermediates: [], peer: cert}

    %{server_config: config} =
      :public_key.pkix_test_data(%{server_chain: chain, client_chain: chain})

    {kind, key} = config[:key]

    :public_key.pem_encode([
      {:Certificate, config[:cert], :not_encrypted},
      {kind, key, :not_encrypted}
    ])
  end

  @doc "The OpenSSL of this process. fast_tls and OTP's crypto must share it."
  def openssl do
    [{_name, _number, version}] = :crypto.info_lib()

    libraries =
      "/proc/self/maps"
      |> File.read!()
      |> then(&Regex.scan(~r{/\S*/(lib(?:ssl|crypto)\.so\S*)}, &1, capture: :all_but_first))
      |> List.flatten()
      |> Enum.uniq()
      |> Enum.sort()

    %{version: version, libraries: libraries}
  end
end
