import Config

# Each release has this file, and some of these applications.
config :stock, items: System.get_env("ITEMS", "bread 12 x 3.20, cheese 2 x 4.50")
config :stock_web, port: String.to_integer(System.get_env("PORT", "4000"))
config :stock_worker, port: String.to_integer(System.get_env("WORKER_PORT", "4001"))
