package sandbox

import (
	"syscall"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/builder/sandbox/inside"
)

// public is a fault of the init as Engine.Run returns it.
func public(f *inside.Fault) error {
	if !f.Host {
		return f
	}
	return &builder.UnavailableError{Missing: []builder.Missing{{
		What: string(f.Step), Why: f.Unwrap().Error(), Remedy: remedy(f),
	}}}
}

func remedy(f *inside.Fault) string {
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
