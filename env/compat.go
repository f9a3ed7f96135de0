package env

import (
	"fmt"
	"strconv"
	"strings"
)

// supported says on which majors of OTP the releases of one Elixir minor run.
type supported struct {
	minor    int // of Elixir 1
	min, max int // majors of OTP
	later    int // a major that a patch release added; 0 for none
	since    int // that patch release
}

// compatibility is the table on Elixir's page "Compatibility and deprecations",
// as it stood in August 2026.
var compatibility = []supported{
	{minor: 20, min: 27, max: 29},
	{minor: 19, min: 26, max: 28},
	{minor: 18, min: 25, max: 27},
	{minor: 17, min: 25, max: 27},
	{minor: 16, min: 24, max: 26},
	{minor: 15, min: 24, max: 26},
	{minor: 14, min: 23, max: 25, later: 26, since: 5},
	{minor: 13, min: 22, max: 24, later: 25, since: 4},
	{minor: 12, min: 22, max: 24},
	{minor: 11, min: 21, max: 23, later: 24, since: 4},
	{minor: 10, min: 21, max: 22, later: 23, since: 3},
	{minor: 9, min: 20, max: 22},
	{minor: 8, min: 20, max: 22},
	{minor: 7, min: 19, max: 22},
	{minor: 6, min: 19, max: 20, later: 21, since: 6},
	{minor: 5, min: 18, max: 20},
	{minor: 4, min: 18, max: 19, later: 20, since: 5},
	{minor: 3, min: 18, max: 19},
	{minor: 2, min: 18, max: 18, later: 19, since: 6},
	{minor: 1, min: 17, max: 18},
	{minor: 0, min: 17, max: 17, later: 18, since: 5},
}

// CompatibilityError says that an Elixir does not run on an OTP.
type CompatibilityError struct {
	OTP, Elixir string
	Min, Max    int    // the majors of OTP that it runs on; a Max of 0 is not known
	Later       string // "26 from 1.14.5 on": what patch releases added that are newer than Elixir; or ""
	TakeElixir  string // a version or the beginning of one that runs on OTP; "" if none is known
	TakeOTP     int    // the major nearest to OTP that Elixir runs on
}

func (e *CompatibilityError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Elixir %s runs on OTP %s", e.Elixir, span(e.Min, e.Max))
	if e.Later != "" {
		fmt.Fprintf(&b, " (%s)", e.Later)
	}
	fmt.Fprintf(&b, ", not on %s: take ", e.OTP)
	if e.TakeElixir != "" {
		fmt.Fprintf(&b, "elixir %s, or ", e.TakeElixir)
	}
	fmt.Fprintf(&b, "otp %d", e.TakeOTP)
	return b.String()
}

func span(from, to int) string {
	switch to {
	case 0:
		return fmt.Sprintf("%d or later", from)
	case from:
		return strconv.Itoa(from)
	}
	return fmt.Sprintf("%d to %d", from, to)
}

// Compatible returns a *CompatibilityError if Elixir's own table excludes that
// this Elixir runs on this OTP. Either may be the beginning of a version.
//
// What is newer than the table is not refused, as nobody knows: an OTP above
// all majors of the table under the newest Elixir of it, whose patch releases
// may add that OTP, and an Elixir after the newest, unless OTP is older than
// what the newest needs already. [CompatibilityKnown] tells these cases apart.
func Compatible(otp, elixir string) error {
	major, e, ok := pair(otp, elixir)
	if !ok {
		return nil
	}
	row := e.row()
	last := row.max
	if row.later > 0 && e.patch >= row.since {
		last = row.later
	}
	if major >= row.min && (major <= last || row.minor == newest().minor && major > newest().max || e.minor > row.minor) {
		return nil
	}
	refused := &CompatibilityError{OTP: otp, Elixir: elixir, Min: row.min, Max: last, TakeOTP: min(max(major, row.min), last)}
	if e.minor > row.minor {
		refused.Max = 0
	}
	if last != row.later && row.later > 0 {
		refused.Later = fmt.Sprintf("%d from 1.%d.%d on", row.later, row.minor, row.since)
	}
	refused.TakeElixir = elixirFor(major, row)
	return refused
}

// CompatibilityKnown says whether the table says anything of the two; if not,
// then [Compatible] lets them pass, and a warning is due.
func CompatibilityKnown(otp, elixir string) bool {
	major, e, ok := pair(otp, elixir)
	return ok && e.minor <= newest().minor && (e.minor < newest().minor || major <= newest().max)
}

func newest() supported { return compatibility[0] }

// elixirVersion is an Elixir 1; a beginning of a version counts as the newest
// that begins so.
type elixirVersion struct{ minor, patch int }

// row is the line of the table for a version; for one after the newest, the
// newest, whose lower bound holds on.
func (e elixirVersion) row() supported {
	for _, row := range compatibility {
		if row.minor <= e.minor {
			return row
		}
	}
	return compatibility[len(compatibility)-1]
}

// pair reads the two versions; false where they are of no form that the table
// could speak of.
func pair(otp, elixir string) (major int, e elixirVersion, ok bool) {
	const unsaid = 1 << 30
	first, _, _ := strings.Cut(otp, ".")
	first, _, _ = strings.Cut(first, "-")
	major, err := strconv.Atoi(first)
	if err != nil {
		return 0, e, false
	}
	release, _, _ := strings.Cut(elixir, "-")
	parts := strings.Split(release, ".")
	if parts[0] != "1" || len(parts) < 2 {
		return 0, e, false
	}
	if e.minor, err = strconv.Atoi(parts[1]); err != nil {
		return 0, e, false
	}
	e.patch = unsaid
	if len(parts) > 2 {
		if e.patch, err = strconv.Atoi(parts[2]); err != nil {
			return 0, e, false
		}
	}
	return major, e, true
}

// elixirFor is what to write to have an Elixir for a major of OTP: the patch
// release of the same minor that added it, or else the newest minor.
func elixirFor(major int, same supported) string {
	if major == same.later {
		return fmt.Sprintf("1.%d.%d", same.minor, same.since)
	}
	for _, row := range compatibility {
		if row.min <= major && major <= row.max {
			return fmt.Sprintf("1.%d", row.minor)
		}
		if major == row.later {
			return fmt.Sprintf("1.%d.%d", row.minor, row.since)
		}
	}
	return ""
}
