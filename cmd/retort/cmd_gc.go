package main

import (
	"context"
	"flag"
	"strconv"
	"strings"
	"time"

	"github.com/retort-build/retort/layers"
)

// Defaults of gc: a month covers the branches one comes back to, and 20 GB
// hold the toolchains and results of some dozen projects.
const (
	defaultAge  = 30 * 24 * time.Hour
	defaultSize = 20e9
)

func cmdGC(fs *flag.FlagSet) action {
	policy := layers.Policy{MaxAge: defaultAge, MaxSize: defaultSize}
	fs.Func("max-age", "remove what was not used for `TIME`, as 36h or 30d (default 30d)", func(s string) (err error) {
		policy.MaxAge, err = parseAge(s)
		return err
	})
	fs.Func("max-size", "then remove what was used longest ago until the store has `SIZE`, as 500M or 20G (default 20G)", func(s string) (err error) {
		policy.MaxSize, err = parseSize(s)
		return err
	})
	fs.BoolVar(&policy.DryRun, "dry-run", false, "only say what would go")
	asJSON := fs.Bool("json", false, "print the report as JSON")
	return func(ctx context.Context, t *terminal, args []string) error {
		if len(args) > 0 {
			return usagef("gc takes no arguments")
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
		policy.Now = time.Now()
		report, err := store.GC(ctx, policy)
		if err != nil {
			return err
		}
		count, size, err := s.gitCache().Prune(policy.Now.Add(-policy.MaxAge), policy.DryRun)
		if err != nil {
			return err
		}
		report.Freed += size
		if *asJSON {
			return t.printJSON(report)
		}
		t.result(gcText(report, policy.DryRun))
		if count > 0 {
			t.say("%d repositories of git dependencies as well: %s", count, bytesText(size))
		}
		return nil
	}
}

func parseAge(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		return 0, usagef("a negative time")
	}
	return d, err
}

func parseSize(s string) (int64, error) {
	units := map[byte]float64{'k': 1e3, 'K': 1e3, 'M': 1e6, 'G': 1e9, 'T': 1e12}
	s = strings.TrimSuffix(s, "B")
	unit := 1.0
	if s != "" && units[s[len(s)-1]] != 0 {
		unit, s = units[s[len(s)-1]], s[:len(s)-1]
	}
	n, err := strconv.ParseFloat(s, 64)
	if err == nil && (n < 0 || n*unit > 1<<62) {
		return 0, usagef("size out of range")
	}
	return int64(n * unit), err
}
