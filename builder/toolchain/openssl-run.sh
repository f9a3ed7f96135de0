# The libraries of OpenSSL, the modules that they load, and the licence, which is
# all where OpenSSL is part of what uses it.
# Arguments: the libraries' folder, shared or no-shared.
mkdir -p "run/usr/$1" run/usr/share
cp -R usr/share/doc run/usr/share/
[ "$2" = no-shared ] || cp -R usr/"$1"/lib*.so.* usr/"$1"/ossl-modules "run/usr/$1/"
