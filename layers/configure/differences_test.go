package configure

import (
	"bufio"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/retort-build/retort/internal/tarball"
)

func walkOracle(t *testing.T, root string) map[string]string {
	all := make(map[string]string)
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		st := fi.Sys().(*syscall.Stat_t)
		e := tarball.Entry{Path: rel, Mode: st.Mode & 0o7777, UID: int(st.Uid), GID: int(st.Gid)}
		switch {
		case fi.IsDir():
			e.Kind = tarball.Dir
		case fi.Mode()&fs.ModeSymlink != 0:
			e.Kind = tarball.Symlink
			e.Link, err = os.Readlink(p)
		case fi.Mode().IsRegular():
			e.Kind = tarball.File
			var b []byte
			b, err = os.ReadFile(p)
			e.Digest = digestOf(b)
		default:
			all[rel] = "device"
			return nil
		}
		// dpkg puts the architecture into these names where a package may be
		// installed for several.
		if strings.HasPrefix(rel, "var/lib/dpkg/info/") {
			rel = strings.Replace(rel, ":amd64.", ".", 1)
		}
		all[rel] = describe(e, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// difference is a line of differences.txt: sets that it holds for, what it
// allows (+ ours alone, - theirs alone, ~ both but different), a pattern in
// which * spans slashes, and the reason.
type difference struct {
	set, what string
	path      *regexp.Regexp
	line      string
}

func readDifferences(t *testing.T) []difference {
	f, err := os.Open("testdata/differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []difference
	for s := bufio.NewScanner(f); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(f) < 4 {
			t.Fatalf("differences.txt: want set, kind, pattern and reason: %q", s.Text())
		}
		re, err := globRegexp(f[2])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, difference{f[0], f[1], re, s.Text()})
	}
	return all
}

func checkDifferences(t *testing.T, set string, ours, theirs map[string]string) {
	known := readDifferences(t)
	used := make(map[string]int)
	report := func(what, p, detail string) {
		for _, d := range known {
			if ok, _ := filepath.Match(d.set, set); ok && strings.Contains(d.what, what) && d.path.MatchString(p) {
				used[d.line]++
				return
			}
		}
		t.Errorf("%s %s: %s", what, p, detail)
	}
	var same int
	for _, p := range slices.Sorted(maps.Keys(ours)) {
		a := ours[p]
		b, ok := theirs[p]
		switch {
		case !ok:
			report("+", p, a)
		case a != b:
			report("~", p, "ours "+a+", theirs "+b)
		default:
			same++
		}
	}
	for _, p := range slices.Sorted(maps.Keys(theirs)) {
		b := theirs[p]
		if _, ok := ours[p]; !ok {
			report("-", p, b)
		}
	}
	total := 0
	for _, n := range used {
		total += n
	}
	t.Logf("%d paths equal, %d differences explained", same, total)
}
