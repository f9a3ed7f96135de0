# Compiles OpenSSL and installs it below out, as it lies in a root file system.
# Arguments: Configure's target, the libraries' folder, shared or no-shared,
# flags of the compiler, of the linker, further options of Configure; jobs=N.
target=$1 libdir=$2 kind=$3 cflags=$4 ldflags=$5
shift 5
for arg; do
  shift
  case $arg in jobs=*) jobs=${arg#jobs=} ;; *) set -- "$@" "$arg" ;; esac
done
# Modules and engines are found below the libraries; nothing runs at this place.
CFLAGS=$cflags LDFLAGS=$ldflags perl ./Configure "$target" --prefix=/usr --libdir="$libdir" --openssldir=/etc/ssl \
  "$kind" no-tests "$@"
libs=
if [ "$kind" = shared ]; then # archives would have each file compiled once more
  libs='LIBS= INSTALL_LIBS='
fi
# shellcheck disable=SC2086
for part in build_libs build_modules; do
  make -s -j"$jobs" $libs $part
done
# shellcheck disable=SC2086
make -s $libs DESTDIR="$PWD/out" install_dev install_modules
install -D -m 644 LICENSE.txt out/usr/share/doc/openssl-source/copyright
