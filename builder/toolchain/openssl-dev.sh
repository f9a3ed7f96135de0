# What is compiled and linked against this OpenSSL. A patch release is compatible
# with what was compiled for another one of the same minor version; the headers
# say the minor version alone, so that what includes them stays as it is when a
# patch release comes.
# Arguments: the libraries' folder.
mkdir -p "dev/usr/$1"
cp -R usr/include dev/usr/
for file in usr/"$1"/lib*.so usr/"$1"/lib*.a usr/"$1"/pkgconfig; do
  [ ! -e "$file" ] || cp -R "$file" "dev/usr/$1/"
done
sed -E -i \
  -e 's/^(# *define OPENSSL_VERSION_PATCH +)[0-9]+/\10/' \
  -e 's/^(# *define OPENSSL_(FULL_)?VERSION_STR +"[0-9]+\.[0-9]+)\.[^"]*"/\1.0"/' \
  -e 's/^(# *define OPENSSL_VERSION_TEXT +"OpenSSL [0-9]+\.[0-9]+)\.[^"]*"/\1.0"/' \
  -e 's/^(# *define OPENSSL_RELEASE_DATE +)".*"/\1""/' dev/usr/include/openssl/opensslv.h
sed -E -i 's/^(Version: [0-9]+\.[0-9]+)\..*/\1.0/' "dev/usr/$1"/pkgconfig/*.pc
