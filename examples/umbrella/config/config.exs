import Config

# Read while Stock.Item is compiled.
config :stock, unit: "pieces"

config :logger, level: :info
