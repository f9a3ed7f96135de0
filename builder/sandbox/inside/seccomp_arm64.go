package inside

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_AARCH64

// foreignABI is empty: 32-bit ARM is an architecture of its own to a filter.
func foreignABI() []unix.SockFilter { return nil }

// deniedHere is empty: arm64 has the common calls only.
func deniedHere() []uint32 { return nil }

// argumentsHere is empty for the same reason.
func argumentsHere() []unix.SockFilter { return nil }
