package main

import (
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
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
	return map[string]func(*testscript.TestScript, bool, []string){"archive": archiveCommand, "snapshots": snapshotsCommand}
}

// archives are a script's Debian archives by the name of their key.
type archives map[string]*fixture.Archive

type archivesKey struct{}

// archiveCommand writes a signed Debian archive, a mirror for
// RETORT_DEBIAN_MIRROR=file://DIR, and the key that signs it.
//
//	archive [-key NAME] [-age HOURS] [-sources FILE] DIR PACKAGES
//
// PACKAGES holds the control paragraphs of the suite trixie. FILE has a line for
// each source package with an upstream tarball: suite, name, version, and what
// follows .orig.tar in the name of the file, such as gz. Indices of an earlier
// call are replaced and pool files stay.
func archiveCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("unsupported: ! archive")
	}
	fs := flag.NewFlagSet("archive", flag.ContinueOnError)
	key := fs.String("key", "one", "")
	age := fs.Int("age", 1, "")
	sources := fs.String("sources", "", "")
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
	suites := map[string]*fixture.ArchiveSuite{"trixie": &suite}
	if *sources != "" {
		addSources(ts, suites, ts.ReadFile(*sources))
	}
	for name, s := range suites {
		s.Name, s.Date, s.ValidUntil = name, suite.Date, suite.ValidUntil
		a.Add(*s)
	}
	ts.Check(a.Write(dir))
	keyring, err := a.Keyring()
	ts.Check(err)
	ts.Check(os.WriteFile(filepath.Join(dir, "key.asc"), keyring, 0o644))
}

// snapshotsCommand starts a snapshot service that has one file, by whatever
// date, and makes CONFIG name it.
//
//	snapshots CONFIG NAME CONTENT
func snapshotsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: snapshots CONFIG NAME CONTENT")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/"+args[1]) {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, args[2]+"\n")
	}))
	ts.Defer(server.Close)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("[debian]\nsnapshot = \""+server.URL+"\"\n"), 0o644))
}

func addSources(ts *testscript.TestScript, suites map[string]*fixture.ArchiveSuite, text string) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 4 {
			ts.Fatalf("source %q: want suite, name, version and ending", line)
		}
		_, upstream, ok := strings.Cut(f[2], ":")
		if !ok {
			upstream = f[2]
		}
		upstream, _, _ = strings.Cut(upstream, "-")
		if suites[f[0]] == nil {
			suites[f[0]] = &fixture.ArchiveSuite{}
		}
		suites[f[0]].Sources = append(suites[f[0]].Sources, fixture.ArchiveSource{Package: f[1], Version: f[2], Files: map[string][]byte{
			f[1] + "_" + upstream + ".orig.tar." + f[3]: []byte("source of " + f[1] + " " + upstream + "\n"),
		}})
	}
}
