# Compiles Erlang/OTP, but for crypto's native code, and installs it below out,
# as it lies in a root file system.
# Arguments: jobs=N.
export ERL_TOP="$PWD"
# configure has set +deterministic where a compiler runs. With the variable, what
# lists the files that a module includes would leave out where they are.
unset ERL_COMPILER_OPTIONS
printf '.DEFAULT: ; @:\nopt: ; @:\n' > lib/crypto/c_src/Makefile
# Debian's tarball lacks them; common_test's reports do without.
for file in jquery-latest.js jquery.tablesorter.min.js; do
  [ ! -d lib/common_test/priv ] || [ -e "lib/common_test/priv/$file" ] || : > "lib/common_test/priv/$file"
done
make -s -j"${1#jobs=}"
make -s DESTDIR="$PWD/out" install
# What compiling and running never read.
rm -rf out/usr/lib/erlang/lib/*/c_src out/usr/lib/erlang/lib/*/examples out/usr/lib/erlang/lib/*/doc
find out/usr/lib/erlang/lib/*/src -type f ! -name '*.hrl' -delete
find out/usr/lib/erlang/lib -depth -type d -empty -delete
