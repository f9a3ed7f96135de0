defmodule Shop.MixProject do
  use Mix.Project

  def project do
    [
      app: :shop,
      version: "1.0.0",
      elixir: "~> 1.18",
      start_permanent: Mix.env() == :prod,
      deps: deps(),
      releases: [shop: [include_executables_for: [:unix]]]
    ]
  end

  def application do
    [extra_applications: [:logger], mod: {Shop.Application, []}]
  end

  # jiffy is a NIF in C++, cache_tab and ezlib are NIFs in C, nimble_parsec is
  # an Elixir library whose macros run in our own compile step, and the others
  # are plain Erlang.
  defp deps do
    [
      {:base64url, "~> 1.0"},
      {:cache_tab, "~> 1.0"},
      {:cowboy, "~> 2.12"},
      {:ezlib, "~> 1.0"},
      {:idna, "~> 6.1"},
      {:jiffy, "~> 1.1"},
      {:nimble_parsec, "~> 1.4"},
      {:poolboy, "~> 1.5"}
    ]
  end
end
