package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/retort-build/retort/internal/fixture"
)

// scriptCommands are what scripts have besides testscript's own commands.
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){"archive": archiveCommand}
}

// archives are a script's Debian archives by the name of their key.
type archives map[string]*fixture.Archive

type archivesKey struct{}

// archiveCommand writes a signed Debian archive, a mirror for
// RETORT_DEBIAN_MIRROR=file://DIR, and the key that signs it.
//
//	archive [-key NAME] [-age HOURS] DIR PACKAGES
//
// PACKAGES holds the control paragraphs of the suite trixie. Indices of an
// earlier call are replaced and pool files stay.
func archiveCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! archive")
	}
	fs := flag.NewFlagSet("archive", flag.ContinueOnError)
	key := fs.String("key", "one", "")
	age := fs.Int("age", 1, "")
	ts.Check(fs.Parse(args))
	if fs.NArg() != 2 {
		ts.Fatalf("usage: archive [-key NAME] [-age HOURS] DIR PACKAGES")
	}
	dir := ts.MkAbs(fs.Arg(0))
	all, _ := ts.Value(archivesKey{}).(archives)
	now := time.Now().UTC().Truncate(time.Second)
	a := all[*key]
	if a == nil {
		var err error
		a, err = fixture.NewArchive(now.AddDate(-1, 0, 0))
		ts.Check(err)
		all[*key] = a
	}
	date := now.Add(-time.Duration(*age) * time.Hour)
	suite := fixture.ArchiveSuite{Name: "trixie", Date: date, ValidUntil: date.AddDate(0, 0, 7)}
	for _, text := range regexp.MustCompile(`\n\n+`).Split(strings.TrimSpace(ts.ReadFile(fs.Arg(1))), -1) {
		suite.Packages = append(suite.Packages, fixture.ArchivePackage{Control: text})
	}
	a.Add(suite)
	ts.Check(a.Write(dir))
	keyring, err := a.Keyring()
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(dir, "key.asc"), keyring, 0o644))
}
