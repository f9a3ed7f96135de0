// Package deb reads Debian binary packages without dpkg.
//
// A package enters as bytes whose digest the caller has checked and leaves as
// the entries of a layer: the files of data.tar as dpkg would lay them down,
// each maintainer script and other control member below var/lib/dpkg/info, and
// the control stanza as var/lib/dpkg/status.d/NAME, where scanners look for it.
// Nothing is executed; package layers/configure computes what the maintainer
// scripts would have done.
//
// Invariants: the entries depend on the package's bytes and on Options.Rewrite
// alone, never on Options.Jobs; every length is checked against a limit before
// it is believed; a file that md5sums names has the content it promises; the
// package is the one that Options.Want names.
//
//	ctl, err := deb.Unpack(ctx, file, size, deb.Options{Jobs: 2}, sink)
package deb
