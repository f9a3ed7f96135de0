// Package debian turns requirements on Debian packages into pins: it reads the
// signed indices of a suite, chooses one version of every package that is
// needed on each platform, and says where the files lie.
//
// Its place: env reads the manifest, this package fills the Debian part of the
// lock, the store fetches what the lock names. What holds:
//
//   - Trust runs unbroken from an embedded key over the signature of InRelease
//     and the digest of the package index to the digest of every pin. Nothing
//     outside the signed text is read, nothing above the signed size.
//   - An index past its Valid-Until, older than the one of the previous lock,
//     or of another suite than asked for, is refused.
//   - The same request on the same indices gives the same lock, whatever the
//     order of its parts. All sets of a platform are solved as one root, so
//     that a package has one version there.
//   - What is chosen is what apt chooses without Recommends, wherever apt's
//     choice meets every dependency and conflict; the search is complete, so
//     an error means that no choice exists, and names the reason.
//   - Previous pins stay as long as somebody serves them.
//
// Example:
//
//	archive := debian.Archive{Mirrors: mirrors}
//	result, err := archive.Resolve(ctx, debian.Request{
//		Suite: "trixie",
//		Sets: map[env.Platform]map[string][]string{
//			env.LinuxAMD64: {"toolchain": {"gcc", "erlang-dev (>= 1:27)"}},
//		},
//		Now: time.Now(),
//	})
package debian
