package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func interfaces([]string) string {
	all, err := net.Interfaces()
	var names []string
	for _, i := range all {
		names = append(names, i.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ") + outcome(err)
}

func dial(args []string) string {
	c, err := net.Dial(args[0], args[1])
	if err == nil {
		c.Close()
	}
	return result(err)
}

// loopback talks to itself, over each family that must work.
func loopback([]string) string {
	for _, at := range [][2]string{{"tcp4", "127.0.0.1:0"}, {"unix", "@probe"}} {
		l, err := net.Listen(at[0], at[1])
		if err != nil {
			return at[0] + ": " + outcome(err)
		}
		defer l.Close()
		if s := dial([]string{l.Addr().Network(), l.Addr().String()}); s != "ok" {
			return at[0] + ": " + s
		}
	}
	return "ok"
}

// socket opens a socket of the given family, type and protocol.
func socket(args []string) string {
	var n [3]int
	for i := range n {
		n[i], _ = strconv.Atoi(args[i])
	}
	fd, err := unix.Socket(n[0], n[1], n[2])
	if err == nil {
		unix.Close(fd)
	}
	return result(err)
}

// calls are system calls with arguments that do nothing, or nothing that
// lasts, if they are let through.
var calls = map[string][]uintptr{
	"unshare":           {unix.SYS_UNSHARE, unix.CLONE_NEWUSER},
	"keyctl":            {unix.SYS_KEYCTL, unix.KEYCTL_GET_KEYRING_ID, ^uintptr(4) + 1, 0},
	"mount":             {unix.SYS_MOUNT, 0, 0, 0, unix.MS_BIND, 0},
	"fsopen":            {unix.SYS_FSOPEN, 0, 0},
	"pivot_root":        {unix.SYS_PIVOT_ROOT, 0, 0},
	"chroot":            {unix.SYS_CHROOT, 0},
	"setns":             {unix.SYS_SETNS, ^uintptr(0), 0},
	"bpf":               {unix.SYS_BPF, ^uintptr(0), 0, 0},
	"perf_event_open":   {unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, ^uintptr(0), 0},
	"userfaultfd":       {unix.SYS_USERFAULTFD, ^uintptr(0)},
	"io_uring_setup":    {unix.SYS_IO_URING_SETUP, 1, 0},
	"ptrace":            {unix.SYS_PTRACE, unix.PTRACE_TRACEME, 0, 0, 0},
	"process_vm_readv":  {unix.SYS_PROCESS_VM_READV, uintptr(os.Getpid()), 0, 0, 0, 0, 0},
	"open_by_handle_at": {unix.SYS_OPEN_BY_HANDLE_AT, ^uintptr(0), 0, 0},
	"init_module":       {unix.SYS_INIT_MODULE, 0, 0, 0},
	"kexec_load":        {unix.SYS_KEXEC_LOAD, 0, 1 << 20, 0, 0},
	"reboot":            {unix.SYS_REBOOT, 0, 0, 0, 0},
	"swapon":            {unix.SYS_SWAPON, 0, 0},
	"acct":              {unix.SYS_ACCT, 1},
	"syslog":            {unix.SYS_SYSLOG, 10, 0, 0},
	"quotactl":          {unix.SYS_QUOTACTL, 0, 0, 0, 0},
	"personality":       {unix.SYS_PERSONALITY, 0x0020000}, // UNAME26
	"pidfd_getfd":       {unix.SYS_PIDFD_GETFD, ^uintptr(0), 0, 0},
	"clone3":            {unix.SYS_CLONE3, 0, 0},
	"fanotify_init":     {unix.SYS_FANOTIFY_INIT, 0, 0},
	"sethostname":       {unix.SYS_SETHOSTNAME, 0, 0},
	"setuid":            {unix.SYS_SETUID, 0},
}

// call tries the named calls and prints for each the error, or "ok".
func call(names []string) string {
	// Some change the thread: it must not be used any more.
	runtime.LockOSThread()
	var out []string
	for _, name := range names {
		out = append(out, name+"="+callOne(name))
	}
	return strings.Join(out, " ")
}

func callOne(name string) string {
	switch name {
	case "remount":
		return result(unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND, ""))
	case "remount_through_fd":
		return result(unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}))
	case "mount":
		return result(unix.Mount("/", "/", "", unix.MS_BIND, ""))
	case "chroot":
		return result(unix.Chroot("/"))
	}
	c, ok := calls[name]
	if !ok || len(c) == 0 {
		return "error: unknown"
	}
	var a [7]uintptr
	copy(a[:], c)
	_, _, errno := syscall.RawSyscall6(a[0], a[1], a[2], a[3], a[4], a[5], a[6])
	return result(errnoError(errno))
}

func errnoError(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// findKey looks a key up where the kernel keeps those of the user.
func findKey(args []string) string {
	for _, ring := range []int{unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_SESSION_KEYRING, unix.KEY_SPEC_USER_SESSION_KEYRING} {
		if _, err := unix.KeyctlSearch(ring, "user", args[0], 0); err == nil {
			return "found"
		}
	}
	return "absent"
}

// pushInput puts a character into the input of a terminal of its own.
func pushInput([]string) string {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "open: " + outcome(err)
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return "unlock: " + outcome(err)
	}
	slave, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY)
	if errno != 0 {
		return "peer: " + outcome(errno)
	}
	// Without privilege a terminal takes input only from its own session.
	_, _ = unix.Setsid()
	if err := unix.IoctlSetInt(int(slave), unix.TIOCSCTTY, 0); err != nil {
		return "control: " + outcome(err)
	}
	c := byte('x')
	// The upper half of the request number is ignored by the kernel and must
	// be ignored by whoever filters.
	const upper = 1 << 32
	_, _, plain := unix.Syscall(unix.SYS_IOCTL, slave, unix.TIOCSTI, uintptr(unsafe.Pointer(&c)))
	_, _, dressed := unix.Syscall(unix.SYS_IOCTL, slave, unix.TIOCSTI|upper, uintptr(unsafe.Pointer(&c)))
	return result(errnoError(plain)) + " " + result(errnoError(dressed))
}

// elf42 is a program for amd64 that ends with status 42 by the 32-bit system
// call gate: mov eax,1; mov ebx,42; int 0x80.
func elf42() []byte {
	const base = 0x400000
	code := []byte{0xb8, 1, 0, 0, 0, 0xbb, 42, 0, 0, 0, 0xcd, 0x80}
	le := func(n uint64, size int) []byte {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(n >> (8 * i))
		}
		return b
	}
	f := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	end := uint64(64 + 56 + len(code))
	for _, v := range []struct {
		n    uint64
		size int
	}{
		{2, 2}, {62, 2}, {1, 4}, {base + 120, 8}, {64, 8}, {0, 8}, {0, 4}, {64, 2}, {56, 2}, {1, 2}, {0, 2}, {0, 2}, {0, 2},
		{1, 4}, {5, 4}, {0, 8}, {base, 8}, {base, 8}, {end, 8}, {end, 8}, {0x1000, 8},
	} {
		f = append(f, le(v.n, v.size)...)
	}
	return append(f, code...)
}

// i386 becomes a program that uses the 32-bit system calls.
func i386(args []string) string {
	file := args[0] + "/elf42"
	if err := os.WriteFile(file, elf42(), 0o755); err != nil {
		return outcome(err)
	}
	return outcome(syscall.Exec(file, []string{file}, nil))
}

// die ends the process by a signal.
func die(args []string) string {
	n, _ := strconv.Atoi(args[0])
	// What the runtime handles becomes the default first.
	resetHandler(uintptr(n))
	_ = unix.Kill(os.Getpid(), syscall.Signal(n))
	select {}
}

func resetHandler(sig uintptr) {
	var dfl [4]uint64
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&dfl)), 0, 8, 0, 0)
}

// both writes numbered lines to standard output and error in turn.
func both(args []string) string {
	n, _ := strconv.Atoi(args[0])
	for i := range n {
		fmt.Fprintf(os.Stdout, "out %d\n", i)
		fmt.Fprintf(os.Stderr, "err %d\n", i)
	}
	return "end"
}

// flood writes that many bytes.
func flood(args []string) string {
	n, _ := strconv.ParseInt(args[0], 10, 64)
	_, err := io.CopyN(os.Stdout, pattern{}, n)
	return outcome(err)
}

type pattern struct{}

func (pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}

// orphan leaves a process in a session of its own behind, which holds the
// standard output, and ends.
func orphan(args []string) string {
	if err := spawn("wait", args[0]); err != nil {
		return outcome(err)
	}
	return "ready"
}

// tree starts children and waits with them.
func tree(args []string) string {
	for range 5 {
		if err := spawn("wait", args[0]); err != nil {
			return outcome(err)
		}
	}
	fmt.Println("ready")
	return wait(args)
}

// wait never ends.
func wait([]string) string {
	for {
		_ = unix.Pause()
	}
}

func spawn(args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	_, err = syscall.ForkExec(self, append([]string{self}, args...), &syscall.ProcAttr{
		Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	return err
}
