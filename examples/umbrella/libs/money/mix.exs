defmodule Money.MixProject do
  use Mix.Project

  def project do
    [app: :money, version: "0.4.0", elixir: "~> 1.18", deps: []]
  end
end
