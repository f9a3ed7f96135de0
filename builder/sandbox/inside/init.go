package inside

import (
	"errors"
	"fmt"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// InitName is argv[0] of the process 1 of a sandbox.
	InitName = "retort-sandbox-init"
	// controlFD is its end of the socket to the engine.
	controlFD = 3

	hostname   = "retort"
	domainname = "(none)"
)

// init takes the process over if it is a sandbox's process 1. It does so here
// and not in main because a run starts the whole program anew: this package
// has next to no dependencies and so comes up before those of the others,
// whose own initialisation would cost each run milliseconds.
func init() {
	if isInit() {
		runtime.LockOSThread()
		os.Exit(runInit())
	}
}

// isInit recognises the init by its name, its process number and the socket
// that it inherits. Nobody is by accident process 1 with all three.
func isInit() bool {
	if len(os.Args) != 1 || os.Args[0] != InitName || os.Getpid() != 1 {
		return false
	}
	domain, err := unix.GetsockoptInt(controlFD, unix.SOL_SOCKET, unix.SO_DOMAIN)
	return err == nil && domain == unix.AF_UNIX
}

func runInit() int {
	c := control(controlFD)
	unix.CloseOnExec(controlFD)
	code, err := c.serve()
	if err != nil {
		if c.send(Reply{Fault: faultOf(err)}) != nil {
			return 2
		}
		return 1
	}
	if c.send(Reply{Exit: &code}) != nil {
		return 2
	}
	return 0
}

// serve does everything from the first instruction of the init to the end of
// the program.
func (c control) serve() (Exit, error) {
	if err := quiet(); err != nil {
		return Exit{}, err
	}
	var s Spec
	if err := Decode(c, &s); err != nil {
		return Exit{}, asked(err, "read specification")
	}
	// The engine may have died before the death signal was set.
	if err := c.alive(); err != nil {
		return Exit{}, err
	}
	if err := namespaces(); err != nil {
		return Exit{}, err
	}
	pids, err := buildView(&s)
	if err != nil {
		return Exit{}, err
	}
	files, err := c.streams(&s)
	if err != nil {
		return Exit{}, err
	}
	if err := setFirstPID(pids); err != nil {
		return Exit{}, err
	}
	if err := lockDown(s.ASLR); err != nil {
		return Exit{}, err
	}
	pid, err := start(&s, files)
	if err != nil {
		return Exit{}, err
	}
	return reap(pid)
}

// quiet makes the process independent of what it inherited.
func quiet() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return lacking(err, "", "set death signal")
	}
	if err := unix.CloseRange(controlFD+1, ^uint(0)>>32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		return lacking(err, "", "close inherited files")
	}
	unix.Umask(0o022)
	if err := resetSignals(); err != nil {
		return lacking(err, "", "reset signals")
	}
	return setLimits()
}

// namespaces furnishes those which are not about files.
func namespaces() error {
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return lacking(err, "", "set host name")
	}
	if err := unix.Setdomainname([]byte(domainname)); err != nil {
		return lacking(err, "", "set domain name")
	}
	return lacking(loopbackUp(), "", "bring loopback up")
}

func loopbackUp() error {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(sock)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(sock, unix.SIOCSIFFLAGS, lo)
}

// firstPID is the number of the program, which would otherwise tell how many
// threads the runtime of the init has started.
const firstPID = 100

func setFirstPID(fd int) error {
	if fd < 0 {
		return nil
	}
	_, err := unix.Write(fd, []byte(strconv.Itoa(firstPID-1)))
	return lacking(errors.Join(err, unix.Close(fd)), "", "set first process number")
}

// streams gives the program's standard files: the pipes that the init was
// started with, or a terminal of the sandbox's own.
func (c control) streams(s *Spec) ([]uintptr, error) {
	if s.Terminal {
		slave, err := c.openTerminal(s)
		return []uintptr{slave, slave, slave}, lacking(err, "", "open terminal")
	}
	files := []uintptr{0, 1, 2}
	if s.NoStdin {
		null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, lacking(err, "", "open /dev/null")
		}
		files[0] = uintptr(null)
	}
	return files, nil
}

// start runs the program, which inherits every restriction of this thread.
func start(s *Spec, files []uintptr) (int, error) {
	argv, env := plain(s.Argv), plain(s.Env)
	if err := unix.Chdir(string(s.Dir)); err != nil {
		return 0, asked(err, "enter directory %s", s.Dir)
	}
	program, err := lookPath(argv[0], env)
	if err != nil {
		return 0, asked(err, "run %s", argv[0])
	}
	pid, err := syscall.ForkExec(program, argv, &syscall.ProcAttr{
		Env: env, Files: files,
		Sys: &syscall.SysProcAttr{Setsid: true, Setctty: s.Terminal},
	})
	return pid, asked(err, "run %s", argv[0])
}

// lookPath finds a program as execvp does, in the environment it will have.
func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	var search string
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			search = v
		}
	}
	for dir := range strings.SplitSeq(search, ":") {
		if dir == "" {
			continue
		}
		file := path.Join(dir, name)
		var st unix.Stat_t
		if unix.Stat(file, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && unix.Access(file, unix.X_OK) == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("not found in PATH %q", search)
}

// reap collects every process that ends until the program itself does. The
// kernel kills the others when the init returns.
func reap(program int) (Exit, error) {
	for {
		var ws unix.WaitStatus
		pid, err := unix.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return Exit{}, lacking(err, "", "wait for program")
		case pid != program:
			continue
		case ws.Signaled():
			return Exit{Code: 128 + int(ws.Signal()), Signal: int(ws.Signal())}, nil
		case ws.Exited():
			return Exit{Code: ws.ExitStatus()}, nil
		}
	}
}
