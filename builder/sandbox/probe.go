package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/builder/sandbox/inside"
)

// Check is one thing which a sandbox needs of this machine, with what was
// found and, if that will not do, what mends it.
type Check struct {
	What   string
	OK     bool
	Detail string
	Remedy string
}

// Probe runs a small sandbox with everything in it, and says what this
// machine has and lacks. If the check named "sandbox" is OK, so is every run.
func Probe(ctx context.Context) []Check {
	checks := []Check{
		kernelCheck(), namespaceCheck(), appArmorCheck(), lowerdirCheck(), seccompCheck(), containerCheck(), diskCheck(os.TempDir()),
	}
	real, err := tryOut(ctx)
	if err == nil {
		return append(append(checks, Check{What: "sandbox", OK: true, Detail: "a program ran in it"}), real...)
	}
	var lacks *builder.UnavailableError
	switch {
	case errors.Is(err, os.ErrNotExist):
		return append(checks, Check{What: "sandbox", OK: true, Detail: "made, but not looked at from inside: this program is not static (built with cgo)"})
	case !errors.As(err, &lacks):
		return append(checks, Check{What: "sandbox", Detail: err.Error(), Remedy: "make " + os.TempDir() + " writable, or set TMPDIR"})
	}
	for _, m := range lacks.Missing {
		checks = append(checks, Check{What: "sandbox", Detail: m.What + ": " + m.Why, Remedy: m.Remedy})
	}
	return checks
}

// tryOut runs this binary in a sandbox whose only file it is, on overlays for
// both the root and the work tree, and returns what it found inside.
func tryOut(ctx context.Context) (checks []Check, err error) {
	dir, err := os.MkdirTemp("", "retort-probe-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	sub := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a", "b", "lower/gone", "upper", "tmp"} {
		if err := os.MkdirAll(sub(name), 0o755); err != nil {
			return nil, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = (&Engine{}).Run(ctx, builder.Process{
		Root:  []string{sub("a"), sub("b")},
		Work:  &builder.Work{Path: "/project", Lowers: []string{sub("lower")}, Upper: sub("upper"), Tmp: sub("tmp")},
		Binds: []builder.Bind{{Source: self, Target: "/" + probeName}},
		Argv:  []string{"/" + probeName}, Dir: "/project", Stdout: &out,
	})
	if err != nil {
		return nil, err
	}
	return checks, json.Unmarshal(out.Bytes(), &checks)
}

const probeName = "retort-sandbox-probe"

// runProbe is what the probed binary does inside: it looks at itself from
// there and tells on its standard output.
func runProbe() int {
	checks := []Check{
		insideCheck("user", "1000 without privileges", checkUser),
		insideCheck("network", "loopback only", checkNetwork),
		insideCheck("work tree", "files can be written and removed", checkWork),
	}
	if json.NewEncoder(os.Stdout).Encode(checks) != nil {
		return 1
	}
	return 0
}

func insideCheck(what, fine string, check func() error) Check {
	if err := check(); err != nil {
		return Check{What: what, Detail: err.Error(), Remedy: "report this with the output of `uname -a`: the kernel does not keep what it promised"}
	}
	return Check{What: what, OK: true, Detail: fine}
}

func checkUser() error {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	want := map[string]string{
		"Uid": "1000\t1000\t1000\t1000", "Gid": "1000\t1000\t1000\t1000", "NoNewPrivs": "1", "Seccomp": "2",
		"CapInh": noCaps, "CapPrm": noCaps, "CapEff": noCaps, "CapBnd": noCaps, "CapAmb": noCaps,
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		if w, ok := want[key]; ok && strings.TrimSpace(value) != w {
			return fmt.Errorf("%s is %s", key, strings.TrimSpace(value))
		}
		delete(want, key)
	}
	if len(want) > 0 {
		return fmt.Errorf("/proc/self/status lacks %d lines", len(want))
	}
	return nil
}

const noCaps = "0000000000000000"

func checkNetwork() error {
	devices, err := os.ReadFile("/proc/self/net/dev")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(devices)) {
		if name, _, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) != "lo" {
			return fmt.Errorf("interface %s", strings.TrimSpace(name))
		}
	}
	return nil
}

func checkWork() error {
	// Removing a directory of a lower layer and making it anew needs
	// whiteouts and an attribute on the upper file system.
	if err := os.Remove("gone"); err != nil {
		return err
	}
	if err := os.Mkdir("gone", 0o755); err != nil {
		return err
	}
	return os.WriteFile("gone/file", []byte("x"), 0o644)
}

func kernelCheck() Check {
	c := Check{What: "kernel"}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		c.Detail = err.Error()
		return c
	}
	c.Detail = unix.ByteSliceToString(u.Release[:])
	major, minor, ok := parseRelease(c.Detail)
	if c.OK = ok && (major > 5 || major == 5 && minor >= 12); !c.OK {
		c.Remedy = remedyKernel
	}
	return c
}

// parseRelease reads the first two numbers of a kernel release.
func parseRelease(s string) (major, minor int, ok bool) {
	a, rest, found := strings.Cut(s, ".")
	if !found {
		return 0, 0, false
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	major, err := strconv.Atoi(a)
	if err != nil || major < 0 {
		return 0, 0, false
	}
	minor, err = strconv.Atoi(rest[:end])
	return major, minor, err == nil
}

// namespaceCheck reads the limits that make a clone fail with ENOSPC.
func namespaceCheck() Check {
	c := Check{What: "namespace limits", OK: true}
	var said []string
	for _, kind := range []string{"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"} {
		name := "user.max_" + kind + "_namespaces"
		n, ok := sysctl(name)
		if !ok {
			continue
		}
		said = append(said, kind+" "+strconv.Itoa(n))
		if n == 0 {
			c.OK, c.Remedy = false, "sudo sysctl -w "+name+"=15000"
		}
	}
	if n, ok := sysctl("kernel.unprivileged_userns_clone"); ok && n == 0 && os.Geteuid() != 0 {
		c.OK, c.Remedy = false, "sudo sysctl -w kernel.unprivileged_userns_clone=1"
		said = append(said, "kernel.unprivileged_userns_clone is 0")
	}
	c.Detail = strings.Join(said, ", ")
	return c
}

// appArmorCheck knows Ubuntu's restriction, under which a user namespace can
// be made but gives no privilege in it.
func appArmorCheck() Check {
	const key = "kernel.apparmor_restrict_unprivileged_userns"
	n, ok := sysctl(key)
	if !ok || n == 0 || os.Geteuid() == 0 {
		return Check{What: "AppArmor", OK: true, Detail: "does not restrict user namespaces"}
	}
	label, _ := os.ReadFile("/proc/self/attr/current")
	if l := strings.TrimSpace(strings.Trim(string(label), "\x00\n")); l != "" && !strings.HasPrefix(l, "unconfined") {
		return Check{What: "AppArmor", OK: true, Detail: "restricts user namespaces; this program has the profile " + l}
	}
	self, err := os.Executable()
	if err != nil {
		self = "/usr/local/bin/retort"
	}
	profile := fmt.Sprintf("abi <abi/4.0>, include <tunables/global> profile retort %s flags=(unconfined) { userns, }", self)
	return Check{What: "AppArmor", Detail: key + " is 1 and this program has no profile",
		Remedy: fmt.Sprintf("echo %q | sudo tee /etc/apparmor.d/retort && sudo apparmor_parser -r /etc/apparmor.d/retort", profile)}
}

func lowerdirCheck() Check {
	if inside.LowerdirPlus() {
		return Check{What: "overlay", OK: true, Detail: "takes up to 500 directories"}
	}
	return Check{What: "overlay", OK: true, Detail: "without lowerdir+ (Linux 6.8): mounted by an option string of one page"}
}

func seccompCheck() Check {
	action := uint32(unix.SECCOMP_RET_KILL_PROCESS)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	if errno != 0 {
		return Check{What: "seccomp", Detail: errno.Error(), Remedy: "run a kernel with CONFIG_SECCOMP_FILTER"}
	}
	return Check{What: "seccomp", OK: true, Detail: "filters available"}
}

// containerCheck only informs: whether a container lets a sandbox be made is
// for the real run to tell.
func containerCheck() Check {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv", "/run/secrets/kubernetes.io"} {
		if _, err := os.Stat(mark); err == nil {
			return Check{What: "container", OK: true, Detail: "inside one (" + mark + ")"}
		}
	}
	return Check{What: "container", OK: true, Detail: "none"}
}

// leastDisk is what a toolchain built from source takes at most.
const leastDisk = 4 << 30

func diskCheck(dir string) Check {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Check{What: "disk", Detail: err.Error(), Remedy: "set TMPDIR to a directory that exists"}
	}
	free := st.Bavail * uint64(st.Bsize)
	c := Check{What: "disk", OK: free >= leastDisk, Detail: fmt.Sprintf("%.1f GiB free in %s", float64(free)/(1<<30), dir)}
	if !c.OK {
		c.Remedy = "free some space (retort gc), or set TMPDIR to a larger disk"
	}
	return c
}

// sysctl reads a numeric setting of the kernel.
func sysctl(name string) (int, bool) {
	text, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return 0, false
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	return n, err == nil
}
