# Configures Erlang/OTP without OpenSSL: crypto's native code is a step of its own.
# Arguments: flags of the compiler, of the linker, applications to leave out,
# options of configure.
cflags=$1 ldflags=$2 without=$3
shift 3
for app in $without; do
  [ -d "lib/$app" ] || { echo "toolchain.otp.without: this OTP has no application $app" >&2; exit 1; }
  set -- "$@" "--without-$app"
done
export ERL_TOP="$PWD" CFLAGS="$cflags" CXXFLAGS="$cflags" LDFLAGS="$ldflags"
# What configure takes for libraries of native code, and the linker's flags, which
# most of them lack otherwise. It wants all three or none.
export DED_LD="${CC:-gcc}" DED_LDFLAGS="-shared -Wl,-Bsymbolic $ldflags" DED_LD_FLAG_RUNTIME_LIBRARY_PATH=-Wl,-R
./configure --prefix=/usr --enable-jit --enable-deterministic-build --with-ssl=no "$@"
# Only the native code needs OpenSSL: what is in Erlang is compiled in any case. (With
# --without-ssl the application ssl would be left out.)
rm -f lib/crypto/SKIP lib/ssl/SKIP lib/ssh/SKIP
# Names of temporary files are in them, and they would have all of OTP compiled again.
find . -name config.log -delete
