defmodule Stock.MixProject do
  use Mix.Project

  def project do
    [
      app: :stock,
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
    [extra_applications: [:logger], mod: {Stock.Application, []}]
  end

  defp deps do
    [
      {:money, path: "../../libs/money"},
      {:nimble_parsec, "~> 1.4", runtime: false}
    ]
  end
end
