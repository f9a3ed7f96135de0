# Compiles Hex and installs it below out, where Mix looks for it.
mix compile --no-deps-check --no-protocol-consolidation
mkdir -p out/usr/lib/elixir/lib/hex
cp -R _build/prod/lib/hex/ebin out/usr/lib/elixir/lib/hex/
