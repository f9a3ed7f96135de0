package inside

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in the kernel's struct seccomp_data. Both architectures are
// little-endian, so the low half of an argument comes first.
const (
	dataNumber = 0
	dataArch   = 4
	dataArgs   = 16
)

// lastSyscall is the newest call that was judged for this filter (470 is
// listns of Linux 6.19); a later one answers as on a kernel without it.
const lastSyscall = 470

const (
	setIDs  = unix.S_ISUID | unix.S_ISGID
	newNS   = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP
	creates = unix.O_CREAT | (unix.O_TMPFILE &^ unix.O_DIRECTORY)

	personaQuery = 0xffffffff
)

// denied are the calls, common to all architectures, that answer EPERM: ways
// to see or touch other processes, to get privilege, to reach rarely used
// parts of the kernel, and the keyrings, which namespaces do not separate.
var denied = []uint32{
	unix.SYS_ACCT, unix.SYS_ADD_KEY, unix.SYS_BPF, unix.SYS_CHROOT,
	unix.SYS_DELETE_MODULE, unix.SYS_FANOTIFY_INIT, unix.SYS_FANOTIFY_MARK,
	unix.SYS_FINIT_MODULE, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSOPEN,
	unix.SYS_FSPICK, unix.SYS_INIT_MODULE, unix.SYS_IO_URING_ENTER,
	unix.SYS_IO_URING_REGISTER, unix.SYS_IO_URING_SETUP, unix.SYS_KCMP,
	unix.SYS_KEXEC_FILE_LOAD, unix.SYS_KEXEC_LOAD, unix.SYS_KEYCTL,
	unix.SYS_LISTMOUNT, unix.SYS_LISTNS, unix.SYS_LOOKUP_DCOOKIE,
	unix.SYS_MOUNT, unix.SYS_MOUNT_SETATTR, unix.SYS_MOVE_MOUNT,
	unix.SYS_NFSSERVCTL, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_OPEN_TREE,
	unix.SYS_OPEN_TREE_ATTR, unix.SYS_PERF_EVENT_OPEN, unix.SYS_PIDFD_GETFD,
	unix.SYS_PIVOT_ROOT, unix.SYS_PROCESS_MADVISE, unix.SYS_PROCESS_VM_READV,
	unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PTRACE, unix.SYS_QUOTACTL,
	unix.SYS_QUOTACTL_FD, unix.SYS_REBOOT, unix.SYS_REQUEST_KEY, unix.SYS_SETNS,
	unix.SYS_STATMOUNT, unix.SYS_SWAPOFF, unix.SYS_SWAPON, unix.SYS_SYSLOG,
	unix.SYS_UMOUNT2, unix.SYS_UNSHARE, unix.SYS_USERFAULTFD, unix.SYS_VHANGUP,
}

// filter is the whole program for this architecture.
func filter() []unix.SockFilter {
	f := []unix.SockFilter{load(dataArch), jump(unix.BPF_JEQ, auditArch, 1, 0), kill, load(dataNumber)}
	f = append(f, foreignABI()...)
	f = append(f, jump(unix.BPF_JGT, lastSyscall, 0, 1), fail(unix.ENOSYS))
	for _, nr := range append(deniedHere(), denied...) {
		f = append(f, on(nr, fail(unix.EPERM))...)
	}
	// Their arguments lie in memory, where a filter cannot look; every caller
	// knows how to do without.
	f = append(f, on(unix.SYS_CLONE3, fail(unix.ENOSYS))...)
	f = append(f, on(unix.SYS_OPENAT2, fail(unix.ENOSYS))...)
	// An ordinary user cannot leave the groups that the caller is in; inside
	// they are all nogroup, and how many there are is nobody's business.
	f = append(f, on(unix.SYS_GETGROUPS, fail(0))...)
	f = append(f, on(unix.SYS_CLONE, refuseBits(0, newNS)...)...)
	f = append(f, on(unix.SYS_FCHMOD, refuseBits(1, setIDs)...)...)
	f = append(f, on(unix.SYS_FCHMODAT, refuseBits(2, setIDs)...)...)
	f = append(f, on(unix.SYS_FCHMODAT2, refuseBits(2, setIDs)...)...)
	f = append(f, on(unix.SYS_MKNODAT, refuseBits(2, setIDs)...)...)
	f = append(f, on(unix.SYS_OPENAT, refuseCreate(2, 3)...)...)
	f = append(f, argumentsHere()...)
	f = append(f, on(unix.SYS_IOCTL, refuseValues(1, unix.TIOCSTI, unix.TIOCLINUX)...)...)
	f = append(f, on(unix.SYS_PERSONALITY, allowValues(0, unix.EPERM, 0, addrNoRandomize, personaQuery)...)...)
	f = append(f, on(unix.SYS_SOCKET, sockets()...)...)
	return append(f, allow)
}

var (
	allow = unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW}
	kill  = unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_KILL_PROCESS}
)

func fail(errno unix.Errno) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(errno)}
}

func load(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

// loadArg loads the low half of an argument. For flags, modes and request
// numbers the kernel looks at no more, and a filter that did could be fooled
// by the upper half.
func loadArg(i uint32) unix.SockFilter { return load(dataArgs + 8*i) }

func jump(op uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jt: yes, Jf: no, K: k}
}

// on runs body, which must end in a return, for one call. The accumulator
// holds the number of the call before and after.
func on(nr uint32, body ...unix.SockFilter) []unix.SockFilter {
	return append([]unix.SockFilter{jump(unix.BPF_JEQ, nr, 0, uint8(len(body)))}, body...)
}

func refuseBits(arg, bits uint32) []unix.SockFilter {
	return []unix.SockFilter{loadArg(arg), jump(unix.BPF_JSET, bits, 0, 1), fail(unix.EPERM), allow}
}

// refuseCreate refuses set-id bits where flags say that mode is looked at.
func refuseCreate(flags, mode uint32) []unix.SockFilter {
	return append([]unix.SockFilter{loadArg(flags), jump(unix.BPF_JSET, creates, 1, 0), allow}, refuseBits(mode, setIDs)...)
}

func refuseValues(arg uint32, values ...uint32) []unix.SockFilter {
	f := []unix.SockFilter{loadArg(arg)}
	for _, v := range values {
		f = append(f, jump(unix.BPF_JEQ, v, 0, 1), fail(unix.EPERM))
	}
	return append(f, allow)
}

func allowValues(arg uint32, otherwise unix.Errno, values ...uint32) []unix.SockFilter {
	f := []unix.SockFilter{loadArg(arg)}
	for _, v := range values {
		f = append(f, jump(unix.BPF_JEQ, v, 0, 1), allow)
	}
	return append(f, fail(otherwise))
}

// sockets allows the families that namespaces contain, and of netlink what
// lists interfaces and addresses.
func sockets() []unix.SockFilter {
	route := []unix.SockFilter{loadArg(2), jump(unix.BPF_JEQ, unix.NETLINK_ROUTE, 0, 1), allow, fail(unix.EPROTONOSUPPORT)}
	f := []unix.SockFilter{loadArg(0), jump(unix.BPF_JEQ, unix.AF_NETLINK, 0, uint8(len(route)))}
	f = append(f, route...)
	return append(f, allowValues(0, unix.EAFNOSUPPORT, unix.AF_UNIX, unix.AF_INET, unix.AF_INET6)...)
}

// installFilter puts the filter on every thread of the process.
func installFilter() error {
	f := filter()
	prog := &unix.SockFprog{Len: uint16(len(f)), Filter: &f[0]}
	tid, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(prog)))
	switch {
	case errno != 0:
		return errno
	case tid != 0:
		return fmt.Errorf("thread %d has another filter: %w", tid, errors.ErrUnsupported)
	}
	return nil
}
