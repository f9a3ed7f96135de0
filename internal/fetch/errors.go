package fetch

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Attempt is a source that was asked, and why it gave nothing.
type Attempt struct {
	URL string // without a password
	Err error
}

// Error says that no source gave the wanted bytes.
type Error struct {
	Attempts []Attempt
}

func (e *Error) Error() string { return describe("no source has it right", e.Attempts) }

// Unwrap gives the reasons of all sources to errors.Is and errors.As.
func (e *Error) Unwrap() []error { return reasons(e.Attempts) }

// NotFoundError says that every source answered that it has no such file.
type NotFoundError struct {
	Attempts []Attempt
}

func (e *NotFoundError) Error() string { return describe("not found", e.Attempts) }

// Unwrap gives the reasons of all sources to errors.Is and errors.As.
func (e *NotFoundError) Unwrap() []error { return reasons(e.Attempts) }

// StatusError is an HTTP answer that brings no body.
type StatusError struct {
	Code int
	// wait is what Retry-After asked for.
	wait time.Duration
}

func (e *StatusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("status %d %s", e.Code, http.StatusText(e.Code)))
}

// gone says whether the source answered for certain that it has no such file.
func (e *StatusError) gone() bool {
	return e.Code == http.StatusNotFound || e.Code == http.StatusGone
}

// passing says whether the same request may do better later.
func (e *StatusError) passing() bool {
	switch e.Code {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusTooEarly, 509:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return e.Code >= 500
}

// BytesError says that a source served other bytes than were wanted.
type BytesError struct {
	What      string // "digest" or "size"
	Want, Got string
}

func (e *BytesError) Error() string {
	return fmt.Sprintf("wrong %s: want %s, got %s", e.What, e.Want, e.Got)
}

var (
	errIdle     = errors.New("connection brings nothing any more")
	errNoSource = errors.New("no source is known")
)

// sinkError is a failure of the caller's sink, for which no source is to blame.
type sinkError struct{ err error }

func (e *sinkError) Error() string { return "write body: " + e.err.Error() }
func (e *sinkError) Unwrap() error { return e.err }

// failure sums up attempts that all failed.
func failure(attempts []Attempt) error {
	if len(attempts) == 0 {
		return errNoSource
	}
	for _, a := range attempts {
		var status *StatusError
		if !errors.As(a.Err, &status) || !status.gone() {
			return &Error{Attempts: attempts}
		}
	}
	return &NotFoundError{Attempts: attempts}
}

func describe(what string, attempts []Attempt) string {
	var b strings.Builder
	b.WriteString(what)
	for i, a := range attempts {
		sep := "; "
		if i == 0 {
			sep = ": "
		}
		fmt.Fprintf(&b, "%s%s: %v", sep, a.URL, a.Err)
	}
	return b.String()
}

func reasons(attempts []Attempt) []error {
	errs := make([]error, len(attempts))
	for i, a := range attempts {
		errs[i] = a.Err
	}
	return errs
}
