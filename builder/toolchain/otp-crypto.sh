# Compiles the native code of OTP's application crypto and installs it below out.
# Arguments: flags of the compiler, of the linker, options of configure; jobs=N.
export ERL_TOP="$PWD" CFLAGS="$1" CXXFLAGS="$1" LDFLAGS="$2"
export DED_LD="${CC:-gcc}" DED_LDFLAGS="-shared -Wl,-Bsymbolic $2" DED_LD_FLAG_RUNTIME_LIBRARY_PATH=-Wl,-R
shift 2
for arg; do
  shift
  case $arg in jobs=*) jobs=${arg#jobs=} ;; *) set -- "$@" "$arg" ;; esac
done
(cd lib/crypto && ./configure --prefix=/usr --with-ssl-rpath=no "$@")
[ ! -e lib/crypto/SKIP ] || { cat lib/crypto/SKIP; exit 1; } >&2
make -s -C lib/crypto/c_src -j"$jobs" opt
make -s -C lib/crypto/c_src RELEASE_PATH="$PWD/out/usr/lib/erlang" release_spec
