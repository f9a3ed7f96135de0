# Compiles rebar3 with what it brings of its dependencies, and installs it below out.
# Its escript wants every application that rebar3 names, also those of commands
# which this OTP has no application for.
for app in common_test dialyzer edoc eunit inets parsetools public_key sasl snmp syntax_tools tools; do
  for dir in /usr/lib/erlang/lib/"$app"-*; do
    [ -d "$dir" ] || find . -name 'rebar.app.src*' -exec sed -i "/^ *$app,\$/d" {} +
  done
done
./bootstrap
mkdir -p out/usr/bin
cp rebar3 out/usr/bin/rebar3
chmod 755 out/usr/bin/rebar3
