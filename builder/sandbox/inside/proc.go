package inside

import (
	"os"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// mountProc attaches a new /proc of which only what belongs to the sandbox
// itself is left: its processes, its network and its IPC objects. Files that
// programs read to size or describe the machine are constants, /proc/sys is a
// small constant tree, and whatever else this kernel offers is empty.
func (v *view) mountProc(*Spec) error {
	proc, err := newMount("proc", attrInert|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return lacking(err, "in a container, do not let it mask /proc: docker run --security-opt systempaths=unconfined, or in Kubernetes procMount: Unmasked with hostUsers: false", "mount proc")
	}
	entries, err := os.ReadDir(fdPath(proc))
	if err != nil {
		return lacking(err, "", "read /proc")
	}
	// Kernels without CONFIG_CHECKPOINT_RESTORE do not have it.
	v.pids, err = unix.Openat(proc, "sys/kernel/ns_last_pid", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil && err != unix.ENOENT {
		return lacking(err, "", "open process numbers")
	}
	if err := v.writeConstants(); err != nil {
		return lacking(err, "", "write constants for /proc")
	}
	if err := attach(proc, v.root, "/proc"); err != nil {
		return lacking(err, "", "mount /proc")
	}
	for _, e := range entries {
		from, ok := cover(e)
		if !ok {
			continue
		}
		if err := v.bindStage(stageProc+"/"+from, "/proc/"+e.Name()); err != nil {
			return lacking(err, "", "mask /proc/%s", e.Name())
		}
	}
	return nil
}

// cover says which file of the stage lies over an entry of /proc.
func cover(e os.DirEntry) (from string, ok bool) {
	name := e.Name()
	switch {
	case strings.Trim(name, "0123456789") == "", name == "sysvipc":
		return "", false
	case e.Type()&os.ModeSymlink != 0: // self, thread-self, net, mounts
		return "", false
	case name == "sys" && e.IsDir():
		return "sys", true
	case e.IsDir():
		return "empty.d", true
	case procFile(name) != "":
		return name, true
	}
	return "empty", true
}

// bindStage lays a file or directory of the stage read-only over target.
func (v *view) bindStage(from, target string) error {
	fd, err := cloneMount(v.stage, from, attrReadOnly|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return err
	}
	return attach(fd, v.root, target)
}

// writeConstants puts the constant files onto the stage.
func (v *view) writeConstants() error {
	for _, dir := range []string{"empty.d", "sys"} {
		if err := unix.Mkdirat(v.stage, stageProc+"/"+dir, 0o555); err != nil {
			return err
		}
	}
	if err := v.writeStage(stageProc+"/empty", ""); err != nil {
		return err
	}
	for _, f := range procFiles(runtime.GOARCH) {
		if err := v.writeStage(stageProc+"/"+f.name, f.text); err != nil {
			return err
		}
	}
	kernel, err := sysctls()
	if err != nil {
		return err
	}
	for _, f := range kernel {
		at := stageProc + "/sys/" + f.name
		if err := v.mkdirs(path.Dir(at)); err != nil {
			return err
		}
		if err := v.writeStage(at, f.text); err != nil {
			return err
		}
	}
	return nil
}

func (v *view) mkdirs(dir string) error {
	err := unix.Mkdirat(v.stage, dir, 0o755)
	if err == unix.ENOENT {
		if err = v.mkdirs(path.Dir(dir)); err == nil {
			err = unix.Mkdirat(v.stage, dir, 0o755)
		}
	}
	if err == unix.EEXIST {
		return nil
	}
	return err
}

func (v *view) writeStage(name, content string) error {
	fd, err := unix.Openat(v.stage, name, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o444)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for len(content) > 0 {
		n, err := unix.Write(fd, []byte(content))
		if err != nil {
			return err
		}
		content = content[n:]
	}
	return nil
}

type constant struct{ name, text string }

func procFile(name string) string {
	all := procFiles(runtime.GOARCH)
	i := slices.IndexFunc(all, func(c constant) bool { return c.name == name })
	if i < 0 {
		return ""
	}
	return all[i].text
}

// procFiles describes a machine with one processor of the first generation of
// its architecture, so that nothing which asks here compiles for more, and
// with 8 GiB of memory. Programs that want the real number of processors ask
// the scheduler.
func procFiles(arch string) []constant {
	return []constant{
		{"cpuinfo", cpuinfo[arch]},
		{"cmdline", "\n"},
		{"diskstats", "\n"},
		{"filesystems", "nodev\tproc\nnodev\ttmpfs\nnodev\tdevpts\nnodev\toverlay\n"},
		{"loadavg", "0.00 0.00 0.00 1/2 2\n"},
		{"meminfo", "MemTotal:        8388608 kB\nMemFree:         8388608 kB\nMemAvailable:    8388608 kB\nBuffers:               0 kB\nCached:                0 kB\nSwapCached:            0 kB\nActive:                0 kB\nInactive:              0 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\nDirty:                 0 kB\nShmem:                 0 kB\nSlab:                  0 kB\nSReclaimable:          0 kB\nHugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n"},
		{"partitions", "major minor  #blocks  name\n\n"},
		{"stat", "cpu  0 0 0 0 0 0 0 0 0 0\ncpu0 0 0 0 0 0 0 0 0 0 0\nintr 0\nctxt 0\nbtime 0\nprocesses 2\nprocs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n"},
		{"swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"},
		{"uptime", "1.00 1.00\n"},
		{"version", "Linux version 6.12.0 (retort@retort) #1\n"},
		{"vmstat", "nr_free_pages 2097152\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n"},
	}
}

var cpuinfo = map[string]string{
	"amd64": "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 15\nmodel name\t: retort x86-64\nstepping\t: 1\ncpu MHz\t\t: 1000.000\ncache size\t: 4096 KB\nphysical id\t: 0\nsiblings\t: 1\ncore id\t\t: 0\ncpu cores\t: 1\nfpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: 10\nwp\t\t: yes\nflags\t\t: fpu de pse tsc msr pae mce cx8 apic sep pge cmov pat clflush mmx fxsr sse sse2 syscall nx lm\nbogomips\t: 2000.00\nclflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: 40 bits physical, 48 bits virtual\n\n",
	"arm64": "processor\t: 0\nBogoMIPS\t: 100.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd03\nCPU revision\t: 0\n\n",
}

// sysctls is /proc/sys as far as programs read it to run. What uname(2) tells
// anyway is told the same here.
func sysctls() ([]constant, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, err
	}
	return []constant{
		{"fs/file-max", "1048576\n"},
		{"fs/nr_open", "1048576\n"},
		{"fs/pipe-max-size", "1048576\n"},
		{"fs/inotify/max_user_instances", "128\n"},
		{"fs/inotify/max_user_watches", "65536\n"},
		{"kernel/cap_last_cap", "40\n"},
		{"kernel/domainname", domainname + "\n"},
		{"kernel/hostname", hostname + "\n"},
		{"kernel/msgmax", "8192\n"},
		{"kernel/msgmnb", "16384\n"},
		{"kernel/ngroups_max", "65536\n"},
		{"kernel/osrelease", unix.ByteSliceToString(u.Release[:]) + "\n"},
		{"kernel/ostype", "Linux\n"},
		{"kernel/overflowgid", "65534\n"},
		{"kernel/overflowuid", "65534\n"},
		{"kernel/pid_max", "4194304\n"},
		{"kernel/random/boot_id", "00000000-0000-4000-8000-000000000000\n"},
		{"kernel/random/entropy_avail", "256\n"},
		{"kernel/random/poolsize", "256\n"},
		{"kernel/randomize_va_space", "0\n"},
		{"kernel/rtsig-max", "1024\n"},
		{"kernel/seccomp/actions_avail", "kill_process kill_thread errno allow\n"},
		{"kernel/sem", "32000\t1024000000\t500\t32000\n"},
		{"kernel/shmall", "18446744073692774399\n"},
		{"kernel/shmmax", "18446744073692774399\n"},
		{"kernel/shmmni", "4096\n"},
		{"kernel/threads-max", "65536\n"},
		{"kernel/version", unix.ByteSliceToString(u.Version[:]) + "\n"},
		{"net/core/somaxconn", "4096\n"},
		{"net/ipv4/ip_local_port_range", "32768\t60999\n"},
		{"vm/max_map_count", "65530\n"},
		{"vm/mmap_min_addr", "65536\n"},
		{"vm/overcommit_memory", "0\n"},
		{"vm/swappiness", "60\n"},
	}, nil
}
