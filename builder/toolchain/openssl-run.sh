# The libraries of OpenSSL and the modules that they load.
# Arguments: the libraries' folder.
mkdir -p "run/usr/$1"
cp -R usr/"$1"/lib*.so.* usr/"$1"/ossl-modules "run/usr/$1/"
