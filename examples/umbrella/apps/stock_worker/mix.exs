defmodule StockWorker.MixProject do
  use Mix.Project

  def project do
    [
      app: :stock_worker,
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
    [extra_applications: [:inets, :logger], mod: {StockWorker.Application, []}]
  end

  defp deps do
    [
      {:poolboy, "~> 1.5"},
      {:stock, in_umbrella: true}
    ]
  end
end
