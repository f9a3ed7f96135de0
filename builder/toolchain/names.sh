# boot_with_names FOLDER: virtual machines started from here on make the names in the
# compiled modules of FOLDER, sorted, before anything else. The order in which atoms
# came to be is the order of large maps (and from OTP 26 on of small ones), some of
# which Elixir writes into modules as they are; it compiles several files at a time.
boot_with_names() {
  cat > /tmp/names.escript << 'END'
#!/usr/bin/env escript
-mode(compile).

main([Folder]) ->
    ets:new(names, [set, named_table]),
    OTP = filelib:wildcard(code:root_dir() ++ "/lib/{compiler,kernel,parsetools,stdlib}-*/ebin/*.beam"),
    Own = filelib:wildcard(Folder ++ "/**/*.beam"),
    [beam(File, ["LitT"]) || File <- OTP],
    [beam(File, ["LitT", "Dbgi", "ExCk"]) || File <- Own],
    Names = lists:sort([Name || {Name} <- ets:tab2list(names)]),
    {ok, Boot} = file:read_file(code:root_dir() ++ "/bin/start.boot"),
    {script, Id, Commands} = binary_to_term(Boot),
    Script = {script, Id, [{apply, {erlang, phash2, [Names]}} | Commands]},
    ok = file:write_file("/tmp/names.boot", term_to_binary(Script)).

beam(File, More) ->
    {ok, {_Module, Chunks}} = beam_lib:chunks(File, [atoms | More], [allow_missing_chunks]),
    [term(Atom) || {atoms, Atoms} <- Chunks, {_Index, Atom} <- Atoms],
    [chunk(Id, Bytes) || {Id, Bytes} <- Chunks, is_binary(Bytes)].

%% Up to OTP 27 literals are compressed, and their size comes first; later that is 0.
chunk("LitT", <<0:32, Table/binary>>) -> literals(Table);
chunk("LitT", <<_Size:32, Table/binary>>) -> literals(zlib:uncompress(Table));
chunk(_Id, Bytes) -> term(binary_to_term(Bytes)).

literals(<<_Count:32, Rest/binary>>) ->
    [term(binary_to_term(Term)) || <<Size:32, Term:Size/binary>> <= Rest].

term(Atom) when is_atom(Atom) -> ets:insert(names, {Atom});
term([Head | Tail]) -> term(Head), term(Tail);
term(Tuple) when is_tuple(Tuple) -> term(tuple_to_list(Tuple));
term(Map) when is_map(Map) -> term(maps:to_list(Map));
term(_Other) -> true.
END
  escript /tmp/names.escript "$1"
  export ERL_AFLAGS="$ERL_AFLAGS -boot /tmp/names"
}
