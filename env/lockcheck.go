package env

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// The bounds of what a lock holds.
const (
	maxDeb      = 8 << 30 // bytes of one .deb
	maxPackages = 50000
)

// Validate returns every reason why the lock cannot be written or used, as an
// ErrorList: a missing or malformed value, a name that the lock does not have,
// or a list that is out of order.
func (l *Lock) Validate() error { return l.problems("toolchain.lock") }

func (l *Lock) problems(name string) error {
	c := lockChecker{name: name}
	c.fail("manifest", digestProblem(l.Manifest))
	suites := c.suites(l.Suites)
	c.plugins(l.Plugins)
	c.tools(l.Tools)
	c.sources(l.Sources)
	names := c.packages(l.Packages, suites)
	for i := range l.Packages {
		p := &l.Packages[i]
		c.failPackage(p, "depends", namesProblem(p.Depends, names[p.Platform]))
	}
	for _, p := range slices.Sorted(maps.Keys(l.Sets)) {
		at := "sets." + bare(p.Arch())
		if !slices.Contains(Platforms(), p) {
			c.fail(at, fmt.Errorf("unknown platform %s", quote(string(p))))
		}
		sets := l.Sets[p]
		for _, set := range slices.Sorted(maps.Keys(sets)) {
			if !setBytes.hold(set) || !between(len(set), 1, 256) {
				c.fail(joinKey(at, set), errors.New("not the name of a set"))
			}
			c.fail(joinKey(at, set), namesProblem(sets[set], names[p]))
		}
	}
	return c.errs.err()
}

// lockChecker gathers the problems of a lock. It is written by hand, without
// regular expressions, because each start of retort runs it.
type lockChecker struct {
	name string
	errs ErrorList
}

// fail notes a problem, if err is one.
func (c *lockChecker) fail(key string, err error) {
	if err != nil {
		c.errs.add(c.name, 0, key, err)
	}
}

// failPackage notes a problem of a package's value, if err is one.
func (c *lockChecker) failPackage(p *Package, field string, err error) {
	if err != nil {
		c.fail("packages."+bare(p.Platform.Arch())+"["+p.Name+"]."+field, err)
	}
}

// byteSet is a set of bytes.
type byteSet [256]bool

func bytesOf(members string) *byteSet {
	var s byteSet
	for i := range len(members) {
		s[members[i]] = true
	}
	return &s
}

// hold reports whether a string is made of members only.
func (s *byteSet) hold(text string) bool {
	for i := range len(text) {
		if !s[text[i]] {
			return false
		}
	}
	return true
}

const alnum = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

var (
	digitBytes = bytesOf("0123456789")
	nameBytes  = bytesOf("0123456789abcdefghijklmnopqrstuvwxyz+.-") // Debian Policy 5.6.1
	verBytes   = bytesOf(alnum + ".+~:-")
	pathBytes  = bytesOf(alnum + ".+~:-_%/")
	setBytes   = bytesOf(alnum + "._:/-")
	hexBytes   = bytesOf("0123456789abcdefABCDEF")
	sumBytes   = bytesOf("0123456789abcdef")
)

func between(n, low, high int) bool { return n >= low && n <= high }

func digestProblem(d digest.Digest) error {
	sum, ok := strings.CutPrefix(string(d), "sha256:")
	if !ok || len(sum) != 64 || !sumBytes.hold(sum) {
		return fmt.Errorf("%s: want a sha256 digest", quote(string(d)))
	}
	return nil
}

func debNameProblem(name string) error {
	if !nameBytes.hold(name) || !between(len(name), 2, 128) || strings.IndexByte("+.-", name[0]) >= 0 {
		return fmt.Errorf("%s: want the name of a Debian package", quote(name))
	}
	return nil
}

func debVersionProblem(version string) error {
	if !verBytes.hold(version) || !between(len(version), 1, 128) || !digitBytes[version[0]] {
		return fmt.Errorf("%s: want a version", quote(version))
	}
	return nil
}

// namesProblem checks that a list is sorted and that each element is locked.
func namesProblem(list []string, known map[string]bool) error {
	for i, name := range list {
		if !known[name] {
			return fmt.Errorf("package %s is not locked", quote(name))
		}
		if i > 0 && list[i-1] >= name {
			return fmt.Errorf("%s is out of order or listed twice", quote(name))
		}
	}
	return nil
}

// suites returns the suites that there are.
func (c *lockChecker) suites(all []Suite) map[[2]string]bool {
	known := make(map[[2]string]bool, len(all))
	for i, s := range all {
		at := "suites[" + strconv.Itoa(i) + "]."
		known[[2]string{s.Archive, s.Name}] = true
		if i > 0 && compareSuites(all[i-1], s) >= 0 {
			c.fail(at+"name", fmt.Errorf("%s is out of order or listed twice", quote(s.Name)))
		}
		c.fail(at+"archive", problem(checkSuite, s.Archive))
		c.fail(at+"name", problem(checkSuite, s.Name))
		c.fail(at+"date", dateProblem(s.Date))
		c.fail(at+"inrelease", digestProblem(s.InRelease))
		if len(s.Signers) == 0 {
			c.fail(at+"signers", errors.New("empty: want the fingerprint of a key"))
		}
		for j, f := range s.Signers {
			if !hexBytes.hold(f) || !between(len(f), 16, 64) || j > 0 && s.Signers[j-1] >= f {
				c.fail(at+"signers", fmt.Errorf("%s: want sorted fingerprints in hex", quote(f)))
			}
		}
	}
	return known
}

func (c *lockChecker) plugins(all []HexPin) {
	for i, p := range all {
		at := "plugins[" + strconv.Itoa(i) + "]."
		if i > 0 && comparePlugins(all[i-1], p) >= 0 {
			c.fail(at+"name", fmt.Errorf("%s is out of order or listed twice", quote(p.Name)))
		}
		c.fail(at+"name", checkHexPackage(p.Name))
		c.fail(at+"version", problem(checkSemver, p.Version))
		c.fail(at+"repo", checkHexRepo(p.Repo))
		c.fail(at+"inner", digestProblem(p.Inner))
		c.fail(at+"outer", digestProblem(p.Outer))
	}
}

func (c *lockChecker) tools(all []Tool) {
	for i, t := range all {
		at := "tools[" + strconv.Itoa(i) + "]."
		if i > 0 && compareTools(all[i-1], t) >= 0 {
			c.fail(at+"name", fmt.Errorf("%s is out of order or listed twice", quote(t.Name)))
		}
		c.fail(at+"name", checkTool(t.Name))
		c.fail(at+"version", problem(checkVersion, t.Version))
		if !slices.Contains(Platforms(), t.Platform) {
			c.fail(at+"arch", fmt.Errorf("unknown platform %s", quote(string(t.Platform))))
		}
		c.fail(at+"url", checkAddress(t.URL))
		if t.Size <= 0 || t.Size > MaxTool {
			c.fail(at+"size", fmt.Errorf("%d: want 1 to %d bytes", t.Size, int64(MaxTool)))
		}
		c.fail(at+"digest", digestProblem(t.Digest))
	}
}

// packages returns the names that are locked for each platform.
func (c *lockChecker) packages(all []Package, suites map[[2]string]bool) map[Platform]map[string]bool {
	known := make(map[Platform]map[string]bool)
	if len(all) > maxPackages {
		c.fail("packages", fmt.Errorf("%d packages: want at most %d", len(all), maxPackages))
		return known
	}
	for i := range all {
		p := &all[i]
		if known[p.Platform] == nil {
			known[p.Platform] = make(map[string]bool, len(all)/2)
			if !slices.Contains(Platforms(), p.Platform) {
				c.failPackage(p, "platform", fmt.Errorf("unknown platform %s", quote(string(p.Platform))))
			}
		}
		known[p.Platform][p.Name] = true
		if i > 0 && comparePackages(&all[i-1], p) >= 0 {
			c.failPackage(p, "name", errors.New("out of order or listed twice"))
		}
		if !suites[[2]string{p.Archive, p.Suite}] {
			c.failPackage(p, "suite", fmt.Errorf("suite %s of archive %s is not locked", quote(p.Suite), quote(p.Archive)))
		}
		c.pkg(p)
	}
	return known
}

func (c *lockChecker) pkg(p *Package) {
	c.failPackage(p, "name", debNameProblem(p.Name))
	c.failPackage(p, "source", debNameProblem(p.Source))
	c.failPackage(p, "version", debVersionProblem(p.Version))
	if p.Architecture != p.Platform.Arch() && p.Architecture != "all" {
		c.failPackage(p, "arch", fmt.Errorf("%s: want %s or all", quote(p.Architecture), p.Platform.Arch()))
	}
	if !pathBytes.hold(p.Path) || !between(len(p.Path), 1, 1024) || !isBelow(p.Path) || !strings.HasSuffix(p.Path, ".deb") {
		c.failPackage(p, "path", fmt.Errorf("%s: want a clean relative path of a .deb", quote(p.Path)))
	}
	if p.Size <= 0 || p.Size > maxDeb {
		c.failPackage(p, "size", fmt.Errorf("%d: want 1 to %d bytes", p.Size, int64(maxDeb)))
	}
	c.failPackage(p, "digest", digestProblem(p.Digest))
}
