import Config

config :hello,
  http_port: String.to_integer(System.get_env("PORT", "4000")),
  https_port: String.to_integer(System.get_env("TLS_PORT", "4443"))
