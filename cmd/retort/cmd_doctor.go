package main

import (
	"context"
	"errors"
	"flag"
	"path/filepath"
	"slices"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/builder/sandbox"
	"github.com/retort-build/retort/env"
)

// doctorCheck is one line of what doctor found.
type doctorCheck struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

func cmdDoctor(fs *flag.FlagSet) action {
	asJSON := fs.Bool("json", false, "print the checks as JSON")
	return func(ctx context.Context, t *terminal, args []string) error {
		if len(args) > 0 {
			return usagef("doctor takes no arguments")
		}
		checks, err := doctor(ctx, t.dir)
		if err != nil {
			return err
		}
		return reportChecks(t, checks, *asJSON)
	}
}

// doctor tries what the sandbox needs, where the store is, and what the project
// in dir needs of this machine.
func doctor(ctx context.Context, dir string) ([]doctorCheck, error) {
	s, err := loadSettings()
	if err != nil {
		return nil, err
	}
	var out []doctorCheck
	store, err := s.openStore()
	if err != nil {
		out = append(out, doctorCheck{What: "store", Detail: err.Error(), Remedy: "set RETORT_HOME to a folder you can write to"})
	} else {
		out = append(out, doctorCheck{What: "store", OK: true, Detail: s.home})
		store.Close()
	}
	for _, c := range sandbox.Probe(ctx) {
		out = append(out, doctorCheck{What: c.What, OK: c.OK, Detail: c.Detail, Remedy: c.Remedy})
	}
	if check, needed := gitCheck(ctx, dir); needed {
		out = append(out, check)
	}
	return append(out, emulatorChecks(dir)...), nil
}

// emulatorChecks says whether this machine has the emulators that the project in
// dir asks for.
func emulatorChecks(dir string) []doctorCheck {
	m, err := env.LoadManifest(filepath.Join(dir, "toolchain.toml"))
	if err != nil {
		return nil
	}
	var out []doctorCheck
	for _, p := range m.Platforms() {
		c, err := m.For(p, "")
		asks := func(n env.NIF) bool { return n.Method == env.MethodEmulate }
		if err != nil || p == native() || c.Method != env.MethodEmulate && !slices.ContainsFunc(c.NIFs, asks) {
			continue
		}
		check := doctorCheck{What: "emulator for " + string(p), OK: true, Detail: "registered with the kernel"}
		var lacking *builder.UnavailableError
		if err := sandbox.CheckPlatform(p); errors.As(err, &lacking) {
			check.OK, check.Detail, check.Remedy = false, lacking.Missing[0].Why, lacking.Missing[0].Remedy
		} else if err != nil {
			check.OK, check.Detail = false, err.Error()
		}
		out = append(out, check)
	}
	return out
}

func reportChecks(t *terminal, checks []doctorCheck, asJSON bool) error {
	var lacking builder.UnavailableError
	for _, c := range checks {
		if !c.OK {
			lacking.Missing = append(lacking.Missing, builder.Missing{What: c.What, Why: c.Detail, Remedy: c.Remedy})
		}
	}
	if asJSON {
		if err := t.printJSON(checks); err != nil {
			return err
		}
	} else {
		for _, c := range checks {
			word := "ok"
			if !c.OK {
				word = "MISSING"
			}
			t.result(word, c.What+":", printable(c.Detail))
		}
	}
	if len(lacking.Missing) > 0 {
		return &lacking
	}
	return nil
}
