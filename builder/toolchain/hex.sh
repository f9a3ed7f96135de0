# Compiles Hex and installs it below out, where Mix looks for it: twice, the first
# time for the names. Its Erlang modules include those of applications that it names
# indirectly.
compile() { mix compile --no-deps-check --no-protocol-consolidation --no-prune-code-paths; }
compile
boot_with_names _build/prod/lib/hex
rm -rf _build
compile
mkdir -p out/usr/lib/elixir/lib/hex
cp -R _build/prod/lib/hex/ebin out/usr/lib/elixir/lib/hex/
