package enginetest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/builder"
)

// isolationRows are about what the program can reach outside of it.
var isolationRows = []row{
	{"network", testNetwork},
	{"abstract sockets", testAbstract},
	{"socket families", testSockets},
	{"system calls", testCalls},
	{"kernel keyring", testKeyring},
	{"terminal input", testPush},
	{"set-id bits", testSetID},
	{"foreign system calls", testI386},
	{"proc", testProc},
	{"sys", testSys},
	{"dev", testDev},
	{"process numbers", testProcesses},
}

func testNetwork(t *testing.T, s *suite) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	want(t, "interfaces", s.inside(t, "interfaces"), "lo")
	want(t, "own loopback", s.inside(t, "loopback"), "ok")
	want(t, "dial the host's loopback", s.inside(t, "dial", "tcp", addr), "ECONNREFUSED")
	want(t, "dial an address", s.inside(t, "dial", "tcp", "192.0.2.1:80"), "ENETUNREACH")
	want(t, "control: dial", s.outside(t, "dial", "tcp", addr), "ok")
}

func testAbstract(t *testing.T, s *suite) {
	name := fmt.Sprintf("@retort-enginetest-%d", os.Getpid())
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want(t, "dial", s.inside(t, "dial", "unix", name), "ECONNREFUSED")
	want(t, "control: dial", s.outside(t, "dial", "unix", name), "ok")
}

func testSockets(t *testing.T, s *suite) {
	dgram, raw := fmt.Sprint(unix.SOCK_DGRAM), fmt.Sprint(unix.SOCK_RAW)
	for name, args := range map[string][]string{
		"packet":  {fmt.Sprint(unix.AF_PACKET), raw, "0"},
		"raw":     {fmt.Sprint(unix.AF_INET), raw, "1"},
		"vsock":   {fmt.Sprint(unix.AF_VSOCK), dgram, "0"},
		"alg":     {fmt.Sprint(unix.AF_ALG), fmt.Sprint(unix.SOCK_SEQPACKET), "0"},
		"uevents": {fmt.Sprint(unix.AF_NETLINK), raw, fmt.Sprint(unix.NETLINK_KOBJECT_UEVENT)},
		"audit":   {fmt.Sprint(unix.AF_NETLINK), raw, fmt.Sprint(unix.NETLINK_AUDIT)},
	} {
		if got := s.inside(t, append([]string{"socket"}, args...)...); got == "ok" {
			t.Errorf("%s: a socket was made", name)
		}
	}
	route := []string{"socket", fmt.Sprint(unix.AF_NETLINK), raw, fmt.Sprint(unix.NETLINK_ROUTE)}
	want(t, "route netlink", s.inside(t, route...), "ok")
	uevents := []string{"socket", fmt.Sprint(unix.AF_NETLINK), raw, fmt.Sprint(unix.NETLINK_KOBJECT_UEVENT)}
	want(t, "control: uevents", s.outside(t, uevents...), "ok")
}

// refused are the answers of a call that is not there for the caller.
var refused = []string{"EPERM", "ENOSYS", "EACCES"}

func testCalls(t *testing.T, s *suite) {
	names := []string{
		"unshare", "keyctl", "mount", "remount", "remount_through_fd", "fsopen", "pivot_root", "chroot", "setns", "bpf",
		"perf_event_open", "userfaultfd", "io_uring_setup", "ptrace", "process_vm_readv", "open_by_handle_at",
		"init_module", "kexec_load", "reboot", "swapon", "acct", "syslog", "quotactl", "personality", "pidfd_getfd",
		"clone3", "fanotify_init", "sethostname",
	}
	got := pairs(s.inside(t, append([]string{"call"}, names...)...))
	for _, name := range names {
		if !slices.Contains(refused, got[name]) {
			t.Errorf("%s: got %q", name, got[name])
		}
	}
	want(t, "setuid(0)", s.inside(t, "call", "setuid"), "setuid=EINVAL")
	// Some that an ordinary user of the host may make.
	for name, answer := range pairs(s.outside(t, "call", "process_vm_readv", "clone3", "personality", "ptrace")) {
		control(t, name, !slices.Contains(refused, answer))
	}
}

// pairs reads name=value, separated by spaces.
func pairs(s string) map[string]string {
	out := make(map[string]string)
	for _, f := range strings.Fields(s) {
		name, value, _ := strings.Cut(f, "=")
		out[name] = value
	}
	return out
}

func testKeyring(t *testing.T, s *suite) {
	name := fmt.Sprintf("retort-enginetest-%d", os.Getpid())
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	id, err := unix.AddKey("user", name, []byte("x"), unix.KEY_SPEC_USER_KEYRING)
	if err != nil {
		t.Skipf("add a key on this host: %v", err)
	}
	defer unix.KeyctlInt(unix.KEYCTL_INVALIDATE, id, 0, 0, 0)
	want(t, "key", s.inside(t, "key", name), "absent")
	want(t, "control: key", s.outside(t, "key", name), "found")
}

func testPush(t *testing.T, s *suite) {
	want(t, "TIOCSTI, plain and with bits set above", s.inside(t, "push"), "EPERM EPERM")
	control(t, "a terminal that takes it, or an answer other than ours", s.outside(t, "push") != "EPERM EPERM")
}

func testSetID(t *testing.T, s *suite) {
	for _, bits := range []string{"4755", "2755", "6755"} {
		want(t, "chmod "+bits, s.inside(t, "chmod", bits, "/tmp"), "EPERM")
		want(t, "create "+bits, s.inside(t, "create", bits, "/tmp/x"), "EPERM")
	}
	want(t, "chmod 0755", s.inside(t, "chmod", "0755", "/tmp"), "ok")
	want(t, "chmod 1777", s.inside(t, "chmod", "1777", "/tmp"), "ok")
	dir := t.TempDir()
	want(t, "control: chmod", s.outside(t, "chmod", "4755", dir), "ok")
	want(t, "control: create", s.outside(t, "create", "4755", dir+"/x"), "ok")
}

func testI386(t *testing.T, s *suite) {
	if runtime.GOARCH != "amd64" {
		t.Skip("amd64 only")
	}
	err := s.engine.Run(t.Context(), s.process("i386", "/tmp"))
	var exit *builder.ExitError
	if !errors.As(err, &exit) || exit.Code == 42 {
		t.Errorf("a 32-bit system call went through: %v", err)
	}
	out, code := s.outsideCode(t, "i386", t.TempDir())
	if code != 42 {
		t.Skipf("control: this kernel has no 32-bit system calls (%d %q)", code, out)
	}
}

func testProc(t *testing.T, s *suite) {
	args := []string{"size"}
	for _, file := range []string{"kcore", "keys", "key-users", "timer_list", "sched_debug", "kallsyms", "kmsg", "latency_stats", "slabinfo", "interrupts"} {
		args = append(args, "/proc/"+file)
	}
	for file, got := range pairs(s.inside(t, args...)) {
		if got != "0" && !strings.HasPrefix(got, "0E") {
			t.Errorf("%s: %s bytes", file, got)
		}
	}
	for _, dir := range []string{"acpi", "scsi", "bus", "fs", "irq"} {
		if got := s.inside(t, "list", "/proc/"+dir); got != "" && got != "ENOENT" {
			t.Errorf("/proc/%s: %s", dir, got)
		}
	}
	for _, file := range []string{"/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches"} {
		if got := s.inside(t, "open", file); got == "ok" {
			t.Errorf("%s can be opened for writing", file)
		}
	}
	boot := s.inside(t, "read", "/proc/sys/kernel/random/boot_id")
	host := s.outside(t, "read", "/proc/sys/kernel/random/boot_id")
	if boot == host {
		t.Error("the boot id is the host's")
	}
	control(t, "the host's boot id", len(host) > 30)
	control(t, "the host's timers", s.outside(t, "size", "/proc/interrupts") != "/proc/interrupts=0")
	if got := s.inside(t, "list", "/proc/1/root"); got != "EACCES" && got != "EPERM" {
		t.Errorf("/proc/1/root: %s", got)
	}
}

func testSys(t *testing.T, s *suite) {
	if got := s.inside(t, "list", "/sys"); got != "ENOENT" && got != "" {
		t.Errorf("/sys: %s", got)
	}
	control(t, "the host's /sys", s.outside(t, "list", "/sys") != "ENOENT")
}

func testDev(t *testing.T, s *suite) {
	want(t, "/dev", s.inside(t, "list", "/dev"), "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero")
	want(t, "/dev/pts", s.inside(t, "list", "/dev/pts"), "ptmx")
	want(t, "/dev/shm", s.inside(t, "list", "/dev/shm"), "")
	want(t, "write /dev/null", s.inside(t, "write", "/dev/null", "x"), "ok")
	want(t, "write /dev/full", s.inside(t, "write", "/dev/full", "x"), "ENOSPC")
	want(t, "write /dev/shm", s.inside(t, "write", "/dev/shm/x", "x"), "ok")
	if got := s.inside(t, "write", "/dev/x", "x"); got == "ok" {
		t.Error("/dev can be written to")
	}
	control(t, "more devices outside", len(strings.Fields(s.outside(t, "list", "/dev"))) > 13)
}

// testProcesses looks for processes of the host by /proc.
func testProcesses(t *testing.T, s *suite) {
	pid := fmt.Sprint(os.Getpid())
	var numbers []string
	for _, name := range strings.Fields(s.inside(t, "list", "/proc")) {
		if strings.Trim(name, "0123456789") == "" {
			numbers = append(numbers, name)
		}
	}
	if len(numbers) > 2 || !slices.Contains(numbers, "1") {
		t.Errorf("processes %s, want 1 and the probe", numbers)
	}
	control(t, "the test's own process", slices.Contains(strings.Fields(s.outside(t, "list", "/proc")), pid))
	first := s.inside(t, "status", "Pid")
	for range 3 {
		want(t, "process number", s.inside(t, "status", "Pid"), first)
	}
	if _, err := os.Stat(filepath.Join("/proc", pid)); err != nil {
		t.Fatal(err)
	}
}
