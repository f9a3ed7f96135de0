# Compiles Elixir and installs it below out, as it lies in a root file system:
# twice, the first time for the names.
make -s compile
boot_with_names lib
make -s clean
make -s compile
make -s install PREFIX=/usr DESTDIR="$PWD/out"
rm -rf out/usr/share
