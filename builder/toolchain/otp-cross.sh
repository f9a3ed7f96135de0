# Compiles the native code of Erlang/OTP, but for that of crypto, for another machine,
# and puts it in place of what it is in this machine's OTP, which lies below usr.
# Arguments: jobs=N.
export ERL_TOP="$PWD"
jobs=${1#jobs=} native=$PWD/native
# As where everything is compiled, see otp.sh.
unset ERL_COMPILER_OPTIONS
printf '.DEFAULT: ; @:\nopt: ; @:\n' > lib/crypto/c_src/Makefile
for part in cross_check_erl depend erl_interface emulator; do
  make -s -j"$jobs" "$part"
done
make -s -C erts NO_START_SCRIPTS=true TESTROOT="$native" release
make -s -C lib/erl_interface TESTROOT="$native" release
mkdir out
mv usr out/
otp=out/usr/lib/erlang
elf() { LC_ALL=C grep -rlaP '\A\x7fELF' "$@" | sort; }
for dir in "$otp"/lib/*/priv; do
  app=${dir%-*} app=${app##*/}
  [ -n "$(elf "$dir")" ] || continue
  for code in "lib/$app/c_src" "lib/$app/src/flex"; do
    if [ -e "$code/Makefile" ]; then
      make -s -C "$code" -j"$jobs" opt
      make -s -C "$code" RELEASE_PATH="$native" release_spec
    fi
  done
done
erts=$(cd "$native" && echo erts-*)
elf out | grep -Fqx "$otp/$erts/bin/beam.smp" # or nothing below would be replaced
for dir in include lib; do
  rm -rf "${otp:?}/$erts/$dir"
  cp -R "$native/$erts/$dir" "$otp/$erts/"
done
{ elf out; find out -name '*.a'; find "$otp/usr" "$otp"/lib/erl_interface-*/include -type f -name '*.h'; } | sort -u | while read -r file; do
  made=$native${file#"$otp"}
  if [ ! -e "$made" ]; then # those of bin are copies
    made=$(find "$native/$erts/bin" -name "${file##*/}")
  fi
  [ -n "$made" ] || { echo "toolchain.otp: nothing makes $file for another machine: leave its application out (without = [...]), or have the platform emulated" >&2; exit 1; }
  cp "$made" "$file"
done
