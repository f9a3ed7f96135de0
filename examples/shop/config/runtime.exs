import Config

port = String.to_integer(System.get_env("PORT", "4000"))

config :shop,
  port: port,
  database: System.get_env("DATABASE", ":memory:"),
  partner: System.get_env("PARTNER", "http://127.0.0.1:#{port}"),
  receipt_key: System.get_env("RECEIPT_KEY")
