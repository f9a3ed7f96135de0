# Compiles Elixir and installs it below out, as it lies in a root file system.
make -s compile
make -s install PREFIX=/usr DESTDIR="$PWD/out"
rm -rf out/usr/share
