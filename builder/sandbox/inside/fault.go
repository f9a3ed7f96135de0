package inside

import (
	"errors"
	"fmt"
	"syscall"
)

// fault is a failed step of the set-up, as it travels from init to engine.
type Fault struct {
	Step  Text          `json:"step"`
	Errno syscall.Errno `json:"errno,omitempty"`
	Cause Text          `json:"cause,omitempty"`
	// Host says that the machine lacks something; otherwise the process was
	// asked for what cannot be, such as a program that does not exist.
	Host   bool `json:"host,omitempty"`
	Remedy Text `json:"remedy,omitempty"`
}

func (f *Fault) Error() string { return string(f.Step) + ": " + f.Unwrap().Error() }

// Unwrap is the error number, if the cause had one.
func (f *Fault) Unwrap() error {
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
	var inner *Fault
	if errors.As(err, &inner) {
		return err
	}
	f := &Fault{Step: Text(fmt.Sprintf(format, args...)), Host: host, Remedy: Text(remedy)}
	if errno, ok := err.(syscall.Errno); ok {
		f.Errno = errno
	} else {
		f.Cause = Text(err.Error())
	}
	return f
}

// faultOf is err as a fault; one that no step has named counts as the
// machine's.
func faultOf(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return newFault(err, true, "", "set up").(*Fault)
}
