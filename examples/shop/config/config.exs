import Config

# Read while the application is compiled: changing it compiles Shop.Catalog
# anew, and no dependency.
config :shop, currency: "EUR"

config :logger, level: :info
