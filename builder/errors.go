package builder

import (
	"fmt"
	"strings"
)

// ExitError says that the user's program failed: their build, not ours.
type ExitError struct {
	Step   string // name of the step that ran it
	Code   int    // exit status, or 128 + signal number
	Signal string // name of the signal that killed it, if one did
	Log    string // end of its output
}

func (e *ExitError) Error() string {
	what := fmt.Sprintf("exit status %d", e.Code)
	if e.Signal != "" {
		what = "killed by " + e.Signal
	}
	if e.Step == "" {
		return what
	}
	return e.Step + ": " + what
}

// UnavailableError says what this machine lacks for the isolation that a
// sandbox promises. Nothing runs weakened.
type UnavailableError struct {
	Missing []Missing
}

// Missing is one thing that the machine lacks.
type Missing struct {
	What   string // "user namespaces"
	Why    string // the kernel's answer
	Remedy string // what to type or set
}

func (e *UnavailableError) Error() string {
	var all []string
	for _, m := range e.Missing {
		all = append(all, m.What+": "+m.Why)
	}
	return "sandbox unavailable: " + strings.Join(all, "; ")
}
