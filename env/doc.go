// Package env says what a build is made with. It holds the manifest, which is
// what the user asks for, and the lock, which is what that resolved to.
//
// It is the first stage: a manifest and a lock are the only inputs of planning
// besides the application's source tree. The package itself does nothing but
// read, check and write these two files. Whoever resolves a manifest into a
// lock lives in a folder below, one for each kind of source.
//
// What holds:
//   - A Manifest and a Config are complete and valid once returned, and no
//     method changes them. All problems of a manifest are reported at once, as
//     an ErrorList.
//   - A lock has exactly one form. EncodeLock writes it and DecodeLock refuses
//     any other bytes, so equal locks are equal files.
//   - Nothing here reads the clock, the environment or the network. Only
//     LoadManifest, LoadLock and Initial read files.
//
// To read both and see that they belong together:
//
//	m, err := env.LoadManifest("toolchain.toml")
//	...
//	l, err := env.LoadLock("toolchain.lock")
//	...
//	err = m.CheckLock(l)
//	...
//	c, err := m.For(env.LinuxARM64, "staging")
package env
