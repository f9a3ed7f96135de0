package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/retort-build/retort/layers"
)

func cmdStore(fs *flag.FlagSet) action {
	heal := fs.Bool("heal", false, "verify: remove what is damaged, so that the next build makes it again")
	asJSON := fs.Bool("json", false, "verify: print the report as JSON")
	return func(ctx context.Context, t *terminal, args []string) error {
		if len(args) == 0 {
			return usagef("store wants one of path, verify")
		}
		// Flags may stand behind the word too.
		if err := fs.Parse(args[1:]); err != nil {
			return usagef("store: %v", err)
		}
		if fs.NArg() > 0 {
			return usagef("store %s takes no arguments", args[0])
		}
		s, err := loadSettings()
		if err != nil {
			return err
		}
		store, err := s.openStore()
		if err != nil {
			return err
		}
		defer store.Close()
		switch args[0] {
		case "path":
			t.result(store.Dir())
			return nil
		case "verify":
			return verifyStore(ctx, t, store, *heal, *asJSON)
		}
		return usagef("store %s: want path or verify", args[0])
	}
}

func verifyStore(ctx context.Context, t *terminal, store *layers.Store, heal, asJSON bool) error {
	report, err := store.Verify(ctx, layers.VerifyOptions{Heal: heal})
	if err != nil {
		return err
	}
	if asJSON {
		if err := t.printJSON(report); err != nil {
			return err
		}
	} else {
		printDamage(t, report)
	}
	if len(report.Problems) > 0 && !heal {
		t.hint("retort store verify --heal")
		return errDamaged
	}
	return nil
}

// errDamaged makes verify fail when the store is not whole.
var errDamaged = errors.New("the store is damaged")

func printDamage(t *terminal, r layers.VerifyReport) {
	for _, p := range r.Problems {
		t.result("damaged", p.Kind, p.Name, printable(p.What))
	}
	t.say("verified %d layers, %d records, %d values, %d blobs, %d views, %s", r.Layers, r.Records, r.Values, r.Blobs, r.Views, bytesText(r.Bytes))
	if r.Healed {
		t.say("removed what was damaged: the next build makes it again")
	}
}

func gcText(r layers.Report, dryRun bool) string {
	verb := "removed"
	if dryRun {
		verb = "would remove"
	}
	return fmt.Sprintf("%s %d layers, %d views, %d blobs, %d values: %s; kept %s",
		verb, r.Layers, r.Views, r.Blobs+r.Partials, r.Values, bytesText(r.Freed), bytesText(r.Kept))
}
