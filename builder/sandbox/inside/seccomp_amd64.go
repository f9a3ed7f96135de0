package inside

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64

// x32Bit marks calls of the x32 ABI, which come in under the same
// architecture and would pass a list of the others' numbers.
const x32Bit = 0x40000000

func foreignABI() []unix.SockFilter {
	return []unix.SockFilter{jump(unix.BPF_JGE, x32Bit, 0, 1), kill}
}

// deniedHere are calls that this architecture has besides.
func deniedHere() []uint32 {
	return []uint32{
		unix.SYS__SYSCTL, unix.SYS_CREATE_MODULE, unix.SYS_GET_KERNEL_SYMS,
		unix.SYS_IOPERM, unix.SYS_IOPL, unix.SYS_MODIFY_LDT,
		unix.SYS_QUERY_MODULE, unix.SYS_USELIB,
	}
}

// argumentsHere covers the old calls which arm64 never had.
func argumentsHere() []unix.SockFilter {
	f := on(unix.SYS_CHMOD, refuseBits(1, setIDs)...)
	f = append(f, on(unix.SYS_CREAT, refuseBits(1, setIDs)...)...)
	f = append(f, on(unix.SYS_MKNOD, refuseBits(1, setIDs)...)...)
	return append(f, on(unix.SYS_OPEN, refuseCreate(1, 2)...)...)
}
