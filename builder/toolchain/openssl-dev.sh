# What is compiled and linked against this OpenSSL. A patch release is compatible
# with what was compiled for another one of the same minor version; the headers
# say the minor version alone, so that what includes them stays as it is when a
# patch release comes.
# Arguments: the libraries' folder.
mkdir -p "dev/usr/$1"
cp -R out/usr/include dev/usr/
cp -R out/usr/"$1"/lib*.so out/usr/"$1"/lib*.a out/usr/"$1"/pkgconfig "dev/usr/$1/" 2> /dev/null || [ -e "dev/usr/$1/pkgconfig" ]
sed -E -i \
  -e 's/^(# *define OPENSSL_VERSION_PATCH +)[0-9]+/\10/' \
  -e 's/^(# *define OPENSSL_(FULL_)?VERSION_STR +"[0-9]+\.[0-9]+)\.[^"]*"/\1.0"/' \
  -e 's/^(# *define OPENSSL_VERSION_TEXT +"OpenSSL [0-9]+\.[0-9]+)\.[^"]*"/\1.0"/' \
  -e 's/^(# *define OPENSSL_RELEASE_DATE +)".*"/\1""/' dev/usr/include/openssl/opensslv.h
