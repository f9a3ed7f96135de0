# Compiles rebar3 with what it brings of its dependencies, and installs it below out.
./bootstrap
mkdir -p out/usr/bin
cp rebar3 out/usr/bin/rebar3
chmod 755 out/usr/bin/rebar3
