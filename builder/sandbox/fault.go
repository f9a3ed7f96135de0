package sandbox

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/retort-build/retort/builder"
)

// fault is a failed step of the set-up, as it travels from init to engine.
type fault struct {
	Step  text          `json:"step"`
	Errno syscall.Errno `json:"errno,omitempty"`
	Cause text          `json:"cause,omitempty"`
	// Host says that the machine lacks something; otherwise the process was
	// asked for what cannot be, such as a program that does not exist.
	Host   bool `json:"host,omitempty"`
	Remedy text `json:"remedy,omitempty"`
}

func (f *fault) Error() string { return string(f.Step) + ": " + f.cause().Error() }

func (f *fault) Unwrap() error { return f.cause() }

func (f *fault) cause() error {
	if f.Errno != 0 {
		return f.Errno
	}
	return errors.New(string(f.Cause))
}

// asked is the fault of a step whose input is the caller's.
func asked(err error, format string, args ...any) error {
	return newFault(err, false, "", format, args...)
}

// lacking is the fault of a step which any machine that can hold a sandbox
// does.
func lacking(err error, remedy, format string, args ...any) error {
	return newFault(err, true, remedy, format, args...)
}

func newFault(err error, host bool, remedy, format string, args ...any) error {
	if err == nil {
		return nil
	}
	var inner *fault
	if errors.As(err, &inner) {
		return err
	}
	f := &fault{Step: text(fmt.Sprintf(format, args...)), Host: host, Remedy: text(remedy)}
	if errno, ok := err.(syscall.Errno); ok {
		f.Errno = errno
	} else {
		f.Cause = text(err.Error())
	}
	return f
}

// faultOf is err as a fault; one that no step has named counts as the
// machine's.
func faultOf(err error) *fault {
	var f *fault
	if errors.As(err, &f) {
		return f
	}
	return newFault(err, true, "", "set up").(*fault)
}

// public is f as Engine.Run returns it.
func (f *fault) public() error {
	if !f.Host {
		return f
	}
	return &builder.UnavailableError{Missing: []builder.Missing{{
		What: string(f.Step), Why: f.cause().Error(), Remedy: f.remedy(),
	}}}
}

func (f *fault) remedy() string {
	switch {
	case f.Remedy != "":
		return string(f.Remedy)
	case f.Errno == syscall.EPERM || f.Errno == syscall.EACCES:
		return remedyDenied
	case f.Errno == syscall.ENOSYS || f.Errno == syscall.EINVAL:
		return remedyKernel
	}
	return remedyProbe
}

const (
	remedyDenied = "allow unprivileged user namespaces to this program: run `retort doctor`; in a container, run it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined, or use --engine buildkit"
	remedyKernel = "run a kernel of version 5.12 or later (6.8 for the fast overlay), or use --engine buildkit"
	remedyProbe  = "run `retort doctor`"
)
