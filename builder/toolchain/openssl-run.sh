# The libraries of OpenSSL and the modules that they load.
# Arguments: the libraries' folder.
mkdir -p "run/usr/$1"
cp -R out/usr/"$1"/lib*.so.* out/usr/"$1"/ossl-modules "run/usr/$1/"
