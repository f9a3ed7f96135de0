# The libraries of OpenSSL, the modules that they load, and the licence.
# Arguments: the libraries' folder.
mkdir -p "run/usr/$1" run/usr/share
cp -R usr/share/doc run/usr/share/
cp -R usr/"$1"/lib*.so.* usr/"$1"/ossl-modules "run/usr/$1/"
