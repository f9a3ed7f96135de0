import Config
config :hello, greeting: "hello"
config :logger, level: :info
