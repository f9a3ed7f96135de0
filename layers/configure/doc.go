// Package configure computes what dpkg's configuration would have added to an
// unpacked tree, without executing a process.
//
// It comes after the packages' layers are realised and before anything runs in
// them. Layer is a pure function of the contents of those layers: the same for
// a foreign architecture as for the machine's own. Fixed generators write what
// no package ships (users, the certificate bundle, the loader's cache); the
// maintainer scripts are interpreted in this process over a copy-on-write view
// of the tree, with every command they call implemented here.
//
// Invariants: no file outside the given trees is read, none is written; a
// command that is not known is reported, never skipped silently; ids come from
// a fixed table, never from the order of packages.
//
//	rep, err := configure.Layer(ctx, configure.Input{
//		Trees:    []configure.Tree{{Dir: dir, Entries: entries}},
//		Packages: packages,
//		Platform: env.LinuxAMD64,
//	}, sink)
package configure
