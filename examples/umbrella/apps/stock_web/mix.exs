defmodule StockWeb.MixProject do
  use Mix.Project

  def project do
    [
      app: :stock_web,
      version: "1.2.0",
      build_path: "../../_build",
      config_path: "../../config/config.exs",
      deps_path: "../../deps",
      lockfile: "../../mix.lock",
      elixir: "~> 1.18",
      start_permanent: Mix.env() == :prod,
      deps: deps()
    ]
  end

  def application do
    [extra_applications: [:logger], mod: {StockWeb.Application, []}]
  end

  defp deps do
    [
      {:cache_tab, "~> 1.0"},
      {:cowboy, "~> 2.12"},
      {:stock, in_umbrella: true}
    ]
  end
end
