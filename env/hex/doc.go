// Package hex reads what a Mix project locks and what a Hex repository serves.
//
// It is the client side of Hex without Elixir: mix.lock ([ParseLock]), package
// tarballs ([Unpack]), the marker by which Mix knows an unpacked dependency
// ([Marker]), the addresses of packages in public, organisation and private
// repositories ([Candidates]), and the signed registry, which is read to pin
// rebar3 plugins that no mix.lock names ([Resolver]).
//
// It writes to no disk: tarballs come through an io.ReaderAt, files leave
// through a [Sink]. Only a [Resolver] downloads.
//
// Invariants:
//   - No byte of a tarball is looked at before the whole has the checksum that
//     the lock names; there is no way to go on after a mismatch.
//   - A registry answer counts only with the repository's signature, and only
//     if it names the repository and package that were asked for.
//   - Every parser has a bound on size and depth, and panics on no input.
//   - No key of a repository appears in an error, in a URL or in %v output.
package hex
