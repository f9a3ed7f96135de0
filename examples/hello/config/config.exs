import Config

config :hello, greeting: "world"
