import Config

# Read while the application is compiled: changing it compiles Shop.Catalog
# anew, and no dependency.
config :shop, currency: "EUR"

config :jose, json_module: :jose_json_jiffy

config :logger, level: :info
