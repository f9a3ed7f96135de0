// Package sandbox is the built-in engine: it runs one process of a recipe in
// fresh Linux namespaces, without a daemon, without cgo and without root.
//
// It stands at the end of the pipeline: the builder decides what runs and on
// which directories, this package makes the directories into a file system
// and the process into its only inhabitant, and says how it ended.
//
// A run is two processes. The first is this same binary, started again as
// process 1 of new user, mount, pid, network, ipc, uts and cgroup namespaces.
// It builds the view (an overlay of the given directories, a minimal /dev, a
// /proc whose host-wide files are constants), gives up every privilege,
// installs a system call filter and starts the second, the program itself.
// main and TestMain must therefore call Init before anything else:
//
//	func main() {
//		sandbox.Init()
//		…
//	}
//
// Invariants:
//
//   - All or nothing. Each step that fails ends the run; there is no weaker
//     mode. What the machine lacks comes back as *builder.UnavailableError
//     with the command that mends it, and Probe tells it beforehand.
//   - The same for root and for an ordinary user: inside, the program is
//     always uid 1000 and gid 1000, without any capability.
//   - When Run returns, every process of the run is dead and its mounts are
//     gone, however the run ended. If the caller dies, even by SIGKILL, so
//     does the run.
//   - Nothing is written to the directories of Process.Root.
//
// What no namespace hides stays as it is: the kernel's release and the size of
// the memory as system calls tell them, the features of the processor, the
// clock, randomness, the processors that the caller may use, and in
// /proc/self/status how many groups the caller is in.
//
// The kernel must be 5.12 or later. Overlays are made with fsconfig and
// lowerdir+ (6.8); older kernels are given a mount option string that is
// refused, never cut, when it is too long.
package sandbox
