defmodule Umbrella.MixProject do
  use Mix.Project

  def project do
    [
      apps_path: "apps",
      version: "1.2.0",
      start_permanent: Mix.env() == :prod,
      deps: [],
      default_release: :web,
      releases: [
        web: [applications: [stock_web: :permanent], include_executables_for: [:unix]],
        worker: [applications: [stock_worker: :permanent], include_executables_for: [:unix]]
      ]
    ]
  end
end
