// Package npm reads package-lock.json, and brings and unpacks the packages that
// it names, without npm.
//
// It stands beside env/hex in the pipeline: Parse and [Lock.Tree] turn a
// package-lock.json into folders for one platform, as npm ci --ignore-scripts
// would make them; [Unpack] verifies one tarball and gives its files; a
// [Registry] says what sha512 it names for a version.
//
// Invariants:
//   - A package is believed for the sha512 that the lock holds, and for nothing
//     else. What has none is refused.
//   - A registry's address is a matter of the machine: [Locate] alone puts one
//     before the one that a lock names.
//   - No path leads out of the project, whatever a lock or a tarball says.
//
// From a lock to folders:
//
//	lock, err := npm.Parse("assets/package-lock.json", data)
//	tree, err := lock.Tree("assets", env.LinuxAMD64)
//	for _, p := range tree.Packages {
//		err := npm.Unpack(ctx, tarball, npm.Want{Integrity: p.Integrity, Executables: p.Executables}, sink)
//	}
package npm
