// Package git brings the trees of git dependencies, by commit, as Mix checks
// them out.
//
// Its place: env/hex reads mix.lock, git brings what its :git entries name,
// the store keeps it. The machine's own git program fetches, outside of any
// sandbox, with the user's credentials: helpers, ssh agent, netrc, url rewrites.
// Nothing is ever asked for, and no user or password appears in an error.
//
// A [Cache] keeps a bare repository for each address below one folder. Many
// processes may use it. What is in it is not trusted: an object counts only if
// it has the name by which it was asked for.
//
// Invariants:
//   - Every commit, tree and blob is hashed here, from the commit that mix.lock
//     names to the last byte of each file.
//   - Files have the bytes of the commit: no filter, no attribute and no setting
//     of line ends changes them.
//   - No path leads out of the tree, nor does a symbolic link, also through others.
//   - Files, trees and downloads are bounded; no input makes it panic.
//   - The result depends on the [Source] alone: not on clock, user or machine.
//
// Beside the files lies a folder .git that holds what Mix asks git for, and
// what a build may ask of a shallow clone: the commit, the origin, the tag.
//
//	cache := git.Cache{Dir: filepath.Join(home, "git"), Env: os.Environ()}
//	src, err := git.FromLock(locked)
//	err = cache.Unpack(ctx, src, layerWriter)
package git
