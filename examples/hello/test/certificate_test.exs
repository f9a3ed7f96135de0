defmodule Hello.CertificateTest do
  use ExUnit.Case, async: true

  test "every run has a certificate of its own" do
    assert Hello.Certificate.options()[:cert] != Hello.Certificate.options()[:cert]
  end
end
