package inside

import (
	"errors"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ID is the user and group number of everything in a sandbox.
const ID = 1000

// Capabilities is what the init needs until it locks itself down. They are
// ambient because it is not uid 0, and are worth something only in its own
// namespaces. Overlayfs works with those of whoever mounted it, hence the
// ones about files.
var Capabilities = []uintptr{
	unix.CAP_CHOWN, unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH,
	unix.CAP_FOWNER, unix.CAP_FSETID, unix.CAP_MKNOD, unix.CAP_NET_ADMIN,
	unix.CAP_SETPCAP, unix.CAP_SYS_ADMIN,
}

// lockDown gives up, for good, all that the set-up needed. What is left holds
// for the init as well: nothing in the sandbox has more than the program.
func lockDown(aslr bool) error {
	if !aslr {
		// Only a nicety for programs that let addresses into their output, so a
		// container which forbids it is no weaker for it.
		if err := personality(addrNoRandomize); err != nil && !errors.Is(err, unix.EPERM) {
			return lacking(err, "", "turn off address randomisation")
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return lacking(err, "", "set no_new_privs")
	}
	// The program runs as the same user as the init and must not reach into
	// it through /proc/1.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return lacking(err, "", "make init unreadable")
	}
	if err := dropCapabilities(); err != nil {
		return lacking(err, "", "drop capabilities")
	}
	return lacking(installFilter(), "run a kernel with CONFIG_SECCOMP_FILTER", "install system call filter")
}

// dropCapabilities empties all five sets. The bounding set is this thread's,
// from which the program is started; the others are emptied in every thread.
func dropCapabilities() error {
	for c := uintptr(0); c < 64; c++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) && c > unix.CAP_AUDIT_READ {
			break // past the last one that this kernel knows
		}
		if err != nil {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	head := &unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	none := new([2]unix.CapUserData)
	args := [2]uintptr{uintptr(unsafe.Pointer(head)), uintptr(unsafe.Pointer(&none[0]))}
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, args[0], args[1], 0)
	if errno == unix.ENOTSUP {
		// Built with cgo, as race tests are. The other threads then keep theirs
		// behind the filter and an unreadable process; the program never has any.
		_, _, errno = unix.RawSyscall(unix.SYS_CAPSET, args[0], args[1], 0)
	}
	runtime.KeepAlive(head)
	if errno != 0 {
		return errno
	}
	return nil
}

// addrNoRandomize is the bit of personality(2) that setarch -R sets.
const addrNoRandomize = 0x0040000

func personality(persona uintptr) error {
	if _, _, errno := unix.Syscall(unix.SYS_PERSONALITY, persona, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// limit is one resource as the program finds it.
type limit struct {
	name      string
	resource  int
	soft, max uint64
}

const unlimited = unix.RLIM_INFINITY

// limits are constants of the sandbox; gcc and the BEAM run well within them.
// 8 MiB of stack and 16384 files are what the usual system gives.
var limits = []limit{
	{"AS", unix.RLIMIT_AS, unlimited, unlimited},
	{"CORE", unix.RLIMIT_CORE, 0, 0},
	{"CPU", unix.RLIMIT_CPU, unlimited, unlimited},
	{"DATA", unix.RLIMIT_DATA, unlimited, unlimited},
	{"FSIZE", unix.RLIMIT_FSIZE, unlimited, unlimited},
	{"LOCKS", unix.RLIMIT_LOCKS, unlimited, unlimited},
	{"MEMLOCK", unix.RLIMIT_MEMLOCK, 64 << 10, 64 << 10},
	{"MSGQUEUE", unix.RLIMIT_MSGQUEUE, 819200, 819200},
	{"NICE", unix.RLIMIT_NICE, 0, 0},
	{"NOFILE", unix.RLIMIT_NOFILE, 16384, 16384},
	{"NPROC", unix.RLIMIT_NPROC, 8192, 8192},
	{"RSS", unix.RLIMIT_RSS, unlimited, unlimited},
	{"RTPRIO", unix.RLIMIT_RTPRIO, 0, 0},
	{"SIGPENDING", unix.RLIMIT_SIGPENDING, 4096, 4096},
	{"STACK", unix.RLIMIT_STACK, 8 << 20, unlimited},
}

func setLimits() error {
	for _, l := range limits {
		// syscall and not unix: the runtime then knows that the number of
		// files is ours and does not restore the old one in the program.
		err := syscall.Setrlimit(l.resource, &syscall.Rlimit{Cur: l.soft, Max: l.max})
		if errors.Is(err, unix.EPERM) {
			return lacking(err, "raise the hard limit: ulimit -H, or LimitNOFILE= and the like in the service", "set limit %s to %s", l.name, amount(l.max))
		}
		if err != nil {
			return lacking(err, "", "set limit %s to %s", l.name, amount(l.max))
		}
	}
	return nil
}

func amount(n uint64) string {
	if n == unlimited {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// sigaction is the kernel's, on amd64 and arm64 alike as far as the handler.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	sigDefault = 0
	sigIgnore  = 1
	lastSignal = 64
)

// resetSignals undoes what the caller's parent ignored or blocked, and lets
// the kernel throw away what the program sends to the init: process 1 gets no
// signal whose disposition is the default.
func resetSignals() error {
	for sig := uintptr(1); sig <= lastSignal; sig++ {
		if sig == uintptr(unix.SIGKILL) || sig == uintptr(unix.SIGSTOP) {
			continue
		}
		var old, dfl sigaction
		if err := rtSigaction(sig, nil, &old); err != nil {
			return err
		}
		if old.handler == sigIgnore || (old.handler != sigDefault && !runtimeSignal(unix.Signal(sig))) {
			if err := rtSigaction(sig, &dfl, nil); err != nil {
				return err
			}
		}
	}
	var none unix.Sigset_t
	return unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil)
}

// runtimeSignal says which signals the Go runtime cannot do without: faults,
// preemption, and the one that runs a system call in all threads.
func runtimeSignal(s unix.Signal) bool {
	switch s {
	case unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, unix.SIGURG, 32, 33, 34:
		return true
	}
	return false
}

func rtSigaction(sig uintptr, act, old *sigaction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}
