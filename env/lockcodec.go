package env

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The first lines of each lock.
const lockHeader = `# toolchain.lock: every input of the build by digest, as toolchain.toml resolved.
# Written by retort lock. Commit it and do not edit it.
`

// EncodeLock returns the canonical bytes of a lock: TOML with a package on each
// line, in an order that does not depend on the lock's. Only the bytes of a
// lock for which Validate is nil can be decoded again.
func EncodeLock(l *Lock) []byte {
	w := lockWriter{b: make([]byte, 0, 1024+420*len(l.Packages))}
	w.raw(lockHeader + "version = " + strconv.Itoa(LockVersion) + "\nmanifest = ")
	w.str(string(l.Manifest))
	w.raw("\n")
	w.suites(l.Suites)
	w.plugins(l.Plugins)
	w.tools(l.Tools)
	w.sources(l.Sources)
	for _, p := range slices.Sorted(maps.Keys(l.Sets)) {
		w.raw("\n[sets." + bare(p.Arch()) + "]\n")
		sets := l.Sets[p]
		for _, name := range slices.Sorted(maps.Keys(sets)) {
			w.raw(joinKey("", name) + " = ")
			w.list(sets[name])
			w.raw("\n")
		}
	}
	w.packages(l.Packages)
	return w.b
}

// bare makes a key of an architecture: a platform without one has none.
func bare(arch string) string {
	if arch == "" {
		return `""`
	}
	return joinKey("", arch)
}

// lockWriter appends the parts of a lock.
type lockWriter struct{ b []byte }

func (w *lockWriter) raw(s string) { w.b = append(w.b, s...) }

// str writes a TOML basic string. What a valid lock holds needs no escapes.
func (w *lockWriter) str(s string) {
	if plainEnd(s) == len(s) {
		w.b = append(append(append(w.b, '"'), s...), '"')
		return
	}
	w.b = strconv.AppendQuoteToASCII(w.b, s)
}

// field writes one value of an inline table.
func (w *lockWriter) field(before, value string) {
	w.raw(before)
	w.str(value)
}

// number writes one number of an inline table.
func (w *lockWriter) number(before string, n int64) {
	w.raw(before)
	w.b = strconv.AppendInt(w.b, n, 10)
}

// list writes names sorted.
func (w *lockWriter) list(names []string) {
	if !slices.IsSorted(names) {
		names = slices.Sorted(slices.Values(names))
	}
	w.raw("[")
	for i, name := range names {
		if i > 0 {
			w.raw(", ")
		}
		w.str(name)
	}
	w.raw("]")
}

func (w *lockWriter) suites(suites []Suite) {
	if len(suites) == 0 {
		return
	}
	w.raw("\nsuites = [\n")
	for _, s := range slices.SortedStableFunc(slices.Values(suites), compareSuites) {
		w.field("  { archive = ", s.Archive)
		w.field(", name = ", s.Name)
		w.field(", date = ", s.Date)
		w.field(", inrelease = ", string(s.InRelease))
		w.raw(", signers = ")
		w.list(s.Signers)
		w.raw(" },\n")
	}
	w.raw("]\n")
}

func (w *lockWriter) plugins(plugins []HexPin) {
	if len(plugins) == 0 {
		return
	}
	w.raw("\nplugins = [\n")
	for _, p := range slices.SortedStableFunc(slices.Values(plugins), comparePlugins) {
		w.field("  { name = ", p.Name)
		w.field(", version = ", p.Version)
		w.field(", repo = ", p.Repo)
		w.field(", inner = ", string(p.Inner))
		w.field(", outer = ", string(p.Outer))
		w.raw(" },\n")
	}
	w.raw("]\n")
}

func (w *lockWriter) tools(tools []Tool) {
	if len(tools) == 0 {
		return
	}
	w.raw("\ntools = [\n")
	for _, t := range slices.SortedStableFunc(slices.Values(tools), compareTools) {
		w.field("  { name = ", t.Name)
		w.field(", version = ", t.Version)
		w.field(", arch = ", t.Platform.Arch())
		w.field(", url = ", t.URL)
		w.number(", size = ", t.Size)
		w.field(", digest = ", string(t.Digest))
		w.raw(" },\n")
	}
	w.raw("]\n")
}

func (w *lockWriter) sources(sources []Source) {
	if len(sources) == 0 {
		return
	}
	w.raw("\nsources = [\n")
	for _, s := range slices.SortedStableFunc(slices.Values(sources), CompareSources) {
		w.field("  { tool = ", s.Tool)
		w.field(", want = ", s.Want)
		w.field(", version = ", s.Version)
		w.field(", url = ", s.URL)
		w.number(", size = ", s.Size)
		w.field(", digest = ", string(s.Digest))
		if s.Suite != "" || s.Date != "" {
			w.field(", suite = ", s.Suite)
			w.field(", date = ", s.Date)
		}
		if len(s.Signers) > 0 {
			w.raw(", signers = ")
			w.list(s.Signers)
		}
		w.raw(" },\n")
	}
	w.raw("]\n")
}

func (w *lockWriter) packages(all []Package) {
	if len(all) == 0 {
		return
	}
	order := make([]*Package, len(all))
	for i := range all {
		order[i] = &all[i]
	}
	slices.SortStableFunc(order, comparePackages)
	w.raw("\n[packages]\n")
	for i, p := range order {
		if i == 0 || p.Platform != order[i-1].Platform {
			w.raw(bare(p.Platform.Arch()) + " = [\n")
		}
		w.field("  { name = ", p.Name)
		w.field(", version = ", p.Version)
		w.field(", arch = ", p.Architecture)
		w.field(", source = ", p.Source)
		w.field(", archive = ", p.Archive)
		w.field(", suite = ", p.Suite)
		w.field(", path = ", p.Path)
		w.number(", size = ", p.Size)
		w.field(", digest = ", string(p.Digest))
		w.raw(", depends = ")
		w.list(p.Depends)
		w.raw(" },\n")
		if i == len(order)-1 || p.Platform != order[i+1].Platform {
			w.raw("]\n")
		}
	}
}

func compareSuites(a, b Suite) int {
	return cmp.Or(strings.Compare(a.Archive, b.Archive), strings.Compare(a.Name, b.Name))
}

func comparePlugins(a, b HexPin) int { return strings.Compare(a.Name, b.Name) }

func comparePackages(a, b *Package) int {
	if a.Platform != b.Platform {
		return strings.Compare(string(a.Platform), string(b.Platform))
	}
	return strings.Compare(a.Name, b.Name)
}
