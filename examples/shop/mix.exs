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
    [extra_applications: [:logger, :crypto, :public_key], mod: {Shop.Application, []}]
  end

  defp deps do
    native() ++
      [
        {:asciideck, "~> 0.1"},
        {:base64url, "~> 1.0"},
        {:cowboy, "~> 2.12"},
        # gun asks for an older one, and works with this one as well.
        {:cowlib, "~> 2.13", override: true},
        {:ex_doc, "~> 0.35"},
        {:gun, "~> 1.3"},
        {:idna, "~> 6.1"},
        {:jose, "~> 1.11"},
        # Optional for ex_doc, which highlights C if it is present.
        {:makeup_c, "~> 0.1"},
        # Its macros run when Shop.Query is compiled.
        {:nimble_parsec, "~> 1.4", runtime: false},
        {:poolboy, "~> 1.5"},
        {:proper, "~> 1.4", only: :test}
      ]
  end

  # NIFs in C and C++, but for sqlite3, a linked-in driver, and epam, a program.
  defp native do
    [
      {:cache_tab, "~> 1.0"},
      {:epam, "~> 1.0"},
      {:ezlib, "~> 1.0"},
      {:fast_tls, "~> 1.1"},
      {:fast_xml, "~> 1.1"},
      {:fast_yaml, "~> 1.0"},
      {:jiffy, "~> 1.1"},
      {:sqlite3, "~> 1.1"},
      {:stringprep, "~> 1.0"}
    ]
  end
end
