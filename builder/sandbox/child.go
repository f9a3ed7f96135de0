package sandbox

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/builder/sandbox/inside"
)

// child is the init as the engine sees it.
type child struct {
	process *os.Process
	done    chan struct{}
	state   *os.ProcessState
	err     error
	once    sync.Once
}

// startInit starts this binary again as process 1 of new namespaces.
func startInit(std []*os.File, control *os.File) (*child, error) {
	attr := &os.ProcAttr{
		Dir:   "/",
		Files: append(std, control),
		// One processor and no garbage collection: the init works for some
		// milliseconds and then only waits. Race tests would else end each run
		// with a second of sleep.
		Env: []string{"GOMAXPROCS=1", "GOGC=off", "GORACE=atexit_sleep_ms=0"},
		Sys: &syscall.SysProcAttr{
			Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
				unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: inside.ID, HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: inside.ID, HostID: os.Getegid(), Size: 1}},
			AmbientCaps: inside.Capabilities,
			Setsid:      true,
			Pdeathsig:   syscall.SIGKILL,
		},
	}
	c := &child{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The death signal comes when the thread that started the init ends,
		// so that thread stays with it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var err error
		c.process, err = os.StartProcess("/proc/self/exe", []string{inside.InitName}, attr)
		started <- err
		if err != nil {
			return
		}
		defer close(c.done)
		c.state, c.err = c.process.Wait()
	}()
	if err := <-started; err != nil {
		return nil, startFault(err)
	}
	return c, nil
}

// kill ends the run at once: with process 1 the kernel kills all others.
func (c *child) kill() { c.once.Do(func() { c.process.Kill() }) }

// wait returns when every process of the run is dead: the kernel reports
// process 1 of a namespace last.
func (c *child) wait() (*os.ProcessState, error) {
	<-c.done
	return c.state, c.err
}

// startFault says what a refused clone means.
func startFault(err error) error {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err
	}
	m := builder.Missing{What: "namespaces"}
	switch errno {
	case unix.EPERM, unix.EACCES:
		m.Why = fmt.Sprintf("the kernel refuses a user namespace: %v", errno)
		m.Remedy = remedyDenied
	case unix.ENOSPC, unix.EUSERS:
		m.Why = fmt.Sprintf("no more namespaces allowed: %v", errno)
		m.Remedy = "sudo sysctl -w user.max_user_namespaces=15000 (and the other user.max_*_namespaces)"
	case unix.EINVAL:
		m.Why = fmt.Sprintf("the kernel lacks a kind of namespace: %v", errno)
		m.Remedy = remedyKernel
	default:
		return err // a matter of load, not of the machine
	}
	return &builder.UnavailableError{Missing: []builder.Missing{m}}
}
