# Compiles Hex and installs it below out, where Mix looks for it.
# Its Erlang modules include those of applications that it names indirectly.
mix compile --no-deps-check --no-protocol-consolidation --no-prune-code-paths
mkdir -p out/usr/lib/elixir/lib/hex
cp -R _build/prod/lib/hex/ebin out/usr/lib/elixir/lib/hex/
