package inside

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// call is what the kernel shows to a filter.
type call struct {
	nr, arch uint32
	args     [6]uint64
}

// judge runs a filter as the kernel does. It knows the instructions that are
// used here and no others.
func judge(f []unix.SockFilter, c call) (uint32, error) {
	words := map[uint32]uint32{dataNumber: c.nr, dataArch: c.arch}
	for i, a := range c.args {
		words[dataArgs+8*uint32(i)] = uint32(a)
	}
	var acc uint32
	for pc := 0; pc < len(f); pc++ {
		in := f[pc]
		yes := false
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			v, ok := words[in.K]
			if !ok {
				return 0, fmt.Errorf("%d: load of offset %d", pc, in.K)
			}
			acc = v
			continue
		case unix.BPF_RET | unix.BPF_K:
			return in.K, nil
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			yes = acc == in.K
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			yes = acc >= in.K
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			yes = acc > in.K
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			yes = acc&in.K != 0
		default:
			return 0, fmt.Errorf("%d: instruction %#x", pc, in.Code)
		}
		if yes {
			pc += int(in.Jt)
		} else {
			pc += int(in.Jf)
		}
	}
	return 0, fmt.Errorf("ran off the end")
}

func TestFilter(t *testing.T) {
	f := filter()
	if len(f) > 4096 {
		t.Fatalf("%d instructions, the kernel takes 4096", len(f))
	}
	const allowed, killed = unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_KILL_PROCESS
	errno := func(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }
	high := uint64(1) << 32
	for _, c := range []struct {
		name string
		nr   uint32
		args [6]uint64
		want uint32
	}{
		{"read", unix.SYS_READ, [6]uint64{}, allowed},
		{"execve", unix.SYS_EXECVE, [6]uint64{}, allowed},
		{"keyctl", unix.SYS_KEYCTL, [6]uint64{}, errno(unix.EPERM)},
		{"mount", unix.SYS_MOUNT, [6]uint64{}, errno(unix.EPERM)},
		{"clone3", unix.SYS_CLONE3, [6]uint64{}, errno(unix.ENOSYS)},
		{"future call", lastSyscall + 1, [6]uint64{}, errno(unix.ENOSYS)},
		{"getgroups", unix.SYS_GETGROUPS, [6]uint64{}, errno(0)},
		{"fork", unix.SYS_CLONE, [6]uint64{uint64(unix.SIGCHLD)}, allowed},
		{"thread", unix.SYS_CLONE, [6]uint64{unix.CLONE_VM | unix.CLONE_THREAD | unix.CLONE_SIGHAND}, allowed},
		{"clone user namespace", unix.SYS_CLONE, [6]uint64{unix.CLONE_NEWUSER}, errno(unix.EPERM)},
		{"clone with upper bits", unix.SYS_CLONE, [6]uint64{high | unix.CLONE_NEWNET}, errno(unix.EPERM)},
		{"fchmod 0755", unix.SYS_FCHMOD, [6]uint64{3, 0o755}, allowed},
		{"fchmod 1777", unix.SYS_FCHMOD, [6]uint64{3, 0o1777}, allowed},
		{"fchmod 4755", unix.SYS_FCHMOD, [6]uint64{3, 0o4755}, errno(unix.EPERM)},
		{"fchmodat 2755", unix.SYS_FCHMODAT, [6]uint64{0, 0, 0o2755}, errno(unix.EPERM)},
		{"fchmodat2 6755", unix.SYS_FCHMODAT2, [6]uint64{0, 0, high | 0o6755}, errno(unix.EPERM)},
		{"openat for reading", unix.SYS_OPENAT, [6]uint64{0, 0, 0, 0o4755}, allowed},
		{"openat creating", unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_CREAT, 0o644}, allowed},
		{"openat creating 4755", unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_CREAT, 0o4755}, errno(unix.EPERM)},
		{"openat temporary 4755", unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_TMPFILE, 0o4755}, errno(unix.EPERM)},
		{"openat directory", unix.SYS_OPENAT, [6]uint64{0, 0, unix.O_DIRECTORY, 0o4755}, allowed},
		{"TIOCSTI", unix.SYS_IOCTL, [6]uint64{0, unix.TIOCSTI}, errno(unix.EPERM)},
		{"TIOCSTI with upper bits", unix.SYS_IOCTL, [6]uint64{0, high | unix.TIOCSTI}, errno(unix.EPERM)},
		{"TIOCLINUX", unix.SYS_IOCTL, [6]uint64{0, unix.TIOCLINUX}, errno(unix.EPERM)},
		{"TCGETS", unix.SYS_IOCTL, [6]uint64{0, unix.TCGETS}, allowed},
		{"personality query", unix.SYS_PERSONALITY, [6]uint64{0xffffffff}, allowed},
		{"personality UNAME26", unix.SYS_PERSONALITY, [6]uint64{0x20000}, errno(unix.EPERM)},
		{"unix socket", unix.SYS_SOCKET, [6]uint64{unix.AF_UNIX}, allowed},
		{"inet socket", unix.SYS_SOCKET, [6]uint64{unix.AF_INET}, allowed},
		{"inet6 socket", unix.SYS_SOCKET, [6]uint64{unix.AF_INET6}, allowed},
		{"route socket", unix.SYS_SOCKET, [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, allowed},
		{"audit socket", unix.SYS_SOCKET, [6]uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT}, errno(unix.EPROTONOSUPPORT)},
		{"vsock", unix.SYS_SOCKET, [6]uint64{unix.AF_VSOCK}, errno(unix.EAFNOSUPPORT)},
		{"alg", unix.SYS_SOCKET, [6]uint64{unix.AF_ALG}, errno(unix.EAFNOSUPPORT)},
	} {
		got, err := judge(f, call{c.nr, auditArch, c.args})
		if err != nil || got != c.want {
			t.Errorf("%s: got %#x %v, want %#x", c.name, got, err, c.want)
		}
	}
	for _, nr := range append(deniedHere(), denied...) {
		if got, err := judge(f, call{nr: nr, arch: auditArch}); err != nil || got != errno(unix.EPERM) {
			t.Errorf("call %d: got %#x %v", nr, got, err)
		}
	}
	if got, err := judge(f, call{nr: unix.SYS_READ, arch: unix.AUDIT_ARCH_I386}); err != nil || got != killed {
		t.Errorf("another architecture: got %#x %v", got, err)
	}
}

// FuzzFilter wants a verdict for every call there could be: the kernel would
// refuse a program that can run off its end, but not one that jumps askew.
func FuzzFilter(f *testing.F) {
	f.Add(uint32(unix.SYS_SOCKET), uint64(unix.AF_ALG), uint64(0), uint64(0))
	prog := filter()
	bad := make(map[uint32]bool)
	for _, nr := range append(deniedHere(), denied...) {
		bad[nr] = true
	}
	f.Fuzz(func(t *testing.T, nr uint32, a, b, c uint64) {
		got, err := judge(prog, call{nr: nr, arch: auditArch, args: [6]uint64{a, b, c}})
		if err != nil {
			t.Fatal(err)
		}
		if got == unix.SECCOMP_RET_ALLOW && (bad[nr] || nr > lastSyscall) {
			t.Errorf("call %d is allowed", nr)
		}
	})
}
