package inside

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestFilterAMD64(t *testing.T) {
	f := filter()
	eperm := uint32(unix.SECCOMP_RET_ERRNO) | uint32(unix.EPERM)
	for name, c := range map[string]struct {
		call call
		want uint32
	}{
		"x32 read":           {call{nr: x32Bit}, unix.SECCOMP_RET_KILL_PROCESS},
		"chmod 4755":         {call{nr: unix.SYS_CHMOD, args: [6]uint64{0, 0o4755}}, eperm},
		"chmod 0644":         {call{nr: unix.SYS_CHMOD, args: [6]uint64{0, 0o644}}, unix.SECCOMP_RET_ALLOW},
		"creat 4755":         {call{nr: unix.SYS_CREAT, args: [6]uint64{0, 0o4755}}, eperm},
		"open creating 2755": {call{nr: unix.SYS_OPEN, args: [6]uint64{0, unix.O_CREAT | unix.O_WRONLY, 0o2755}}, eperm},
		"open for reading":   {call{nr: unix.SYS_OPEN, args: [6]uint64{0, 0, 0o2755}}, unix.SECCOMP_RET_ALLOW},
	} {
		c.call.arch = auditArch
		if got, err := judge(f, c.call); err != nil || got != c.want {
			t.Errorf("%s: got %#x %v, want %#x", name, got, err, c.want)
		}
	}
}
