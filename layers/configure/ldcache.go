package configure

import (
	"bytes"
	"context"
	"debug/elf"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/retort-build/retort/internal/tarball"
)

// cmdLdconfig does nothing at once: the loader's cache is written when every
// script is done, one time for all.
func cmdLdconfig(context.Context, *call) int { return 0 }

// machine is what the loader's cache says of an architecture's libraries.
type machine struct {
	elf    elf.Machine
	flags  int32  // in the cache: format 3 (ELF of libc6) and the machine
	loader string // which is not in the cache
}

var machines = map[string]machine{
	"amd64": {elf.EM_X86_64, 0x0303, "ld-linux-x86-64.so.2"},
	"arm64": {elf.EM_AARCH64, 0x0a03, "ld-linux-aarch64.so.1"},
}

// library is a line of the cache: a name that programs ask for, and the file.
type library struct {
	key, path string
	hwcaps    string // of a glibc-hwcaps directory
}

// writeLdCache does what ldconfig does: it links each library under the name
// that it gives itself, and writes the cache of all libraries in the loader's
// directories. A tree without a C library gets no cache.
func (s *session) writeLdCache(ctx context.Context) error {
	p, ok := s.byName["libc-bin"]
	if !ok {
		return nil
	}
	var libs []library
	for _, dir := range s.libraryDirs() {
		if err := ctx.Err(); err != nil {
			return err
		}
		found, err := s.searchDir(dir, "")
		if err != nil {
			return err
		}
		libs = append(libs, found...)
		caps, err := s.v.list(path.Join(dir, "glibc-hwcaps"))
		if err != nil {
			continue // hardly any directory has them
		}
		for _, name := range caps {
			found, err := s.searchDir(path.Join(dir, "glibc-hwcaps", name), name)
			if err != nil {
				return err
			}
			libs = append(libs, found...)
		}
	}
	// Names descend, for the loader searches so; equal ones stay as found, but
	// those for better processors come first.
	slices.SortStableFunc(libs, func(a, b library) int {
		if c := compareLibraries(b.key, a.key); c != 0 {
			return c
		}
		switch {
		case a.hwcaps != "" && b.hwcaps == "":
			return -1
		case a.hwcaps == "" && b.hwcaps != "":
			return 1
		}
		return strings.Compare(a.hwcaps, b.hwcaps)
	})
	upstream, _ := splitRevision(p.Version)
	generator := "ldconfig (Debian GLIBC " + p.Version + ") stable release version " + upstream
	return s.v.install("/etc/ld.so.cache", encodeCache(libs, machines[s.in.Platform.Arch()].flags, generator), 0o644)
}

// libraryDirs are the configured directories and then the built-in ones, each
// under the first name it has.
func (s *session) libraryDirs() []string {
	triplet := s.in.Platform.Triplet()
	named := append(s.configuredDirs("/etc/ld.so.conf", 0), "/lib/"+triplet, "/usr/lib/"+triplet, "/lib", "/usr/lib")
	var dirs []string
	seen := make(map[string]bool)
	for _, dir := range named {
		if real := s.v.real(dir); s.v.isDir(dir) && !seen[real] {
			seen[real] = true
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func (s *session) configuredDirs(file string, depth int) []string {
	b, err := s.v.readFile(file)
	if err != nil || depth > 8 {
		return nil
	}
	var dirs []string
	for _, line := range lines(b) {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		if rest, ok := strings.CutPrefix(line, "include"); ok && strings.TrimLeft(rest, " \t") != rest {
			for _, pattern := range strings.Fields(rest) {
				for _, f := range s.glob(absolute(path.Dir(file), pattern)) {
					dirs = append(dirs, s.configuredDirs(f, depth+1)...)
				}
			}
			continue
		}
		line, _, _ = strings.Cut(line, "=") // a flavour, which no one uses since libc5
		if path.IsAbs(line) {
			dirs = append(dirs, path.Clean(line))
		}
	}
	return dirs
}

// glob lists the files of a directory whose names match a pattern.
func (s *session) glob(pattern string) []string {
	dir, base := path.Split(pattern)
	names, err := s.v.list(dir)
	if err != nil {
		return nil
	}
	var out []string
	for _, name := range names {
		if ok, err := path.Match(base, name); ok && err == nil {
			out = append(out, path.Join(dir, name))
		}
	}
	return out
}

// candidate is a file of a library directory that stands for a name.
type candidate struct {
	name string
	link bool
}

// searchDir finds a directory's libraries, one file a name, and links the
// names to the files.
func (s *session) searchDir(dir, hwcaps string) ([]library, error) {
	names, err := s.v.list(dir)
	if err != nil {
		return nil, err
	}
	m := machines[s.in.Platform.Arch()]
	found := make(map[string]candidate)
	for _, name := range names {
		if !isLibraryName(name) {
			continue
		}
		soname, link, ok, err := s.soname(path.Join(dir, name), m)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		// A link named as the library names itself, or as the linker looks for
		// it, is an entry of its own; any other link is one more copy.
		if link && name != soname && (!strings.HasSuffix(name, ".so") || !strings.HasPrefix(soname, name)) {
			link = false
		}
		if link {
			soname = name
		}
		old, seen := found[soname]
		if !seen || (!link && old.link) || (link == old.link && compareLibraries(old.name, name) < 0) {
			found[soname] = candidate{name, link}
		}
	}
	var libs []library
	for _, soname := range sortedKeys(found) {
		c := found[soname]
		file := soname
		if hwcaps != "" {
			file = c.name
		} else if !c.link {
			if err := s.linkLibrary(dir, soname, c.name); err != nil {
				return nil, err
			}
		}
		libs = append(libs, library{key: soname, path: dir + "/" + file, hwcaps: hwcaps})
	}
	return libs, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func isLibraryName(name string) bool {
	if !strings.HasPrefix(name, "lib") && !strings.HasPrefix(name, "ld-") || !strings.Contains(name, ".so") {
		return false
	}
	return !strings.HasSuffix(name, "-gdb.py") && !strings.HasSuffix(name, ".dpkg-new") && !strings.HasSuffix(name, ".dpkg-tmp")
}

// linkLibrary makes the link from a library's name to its file, unless the name
// leads there or is a file itself.
func (s *session) linkLibrary(dir, soname, name string) error {
	if soname == name || strings.Contains(soname, "/") {
		return nil
	}
	link := path.Join(dir, soname)
	n, err := s.v.find(link, false)
	if err == nil && (n.kind != tarball.Symlink || s.v.real(link) == s.v.real(path.Join(dir, name))) {
		return nil
	}
	return s.v.symlink(name, link, true)
}

// soname reads the name that a shared library gives itself; without one it is
// the file's. ok is false for what is no library of the machine.
func (s *session) soname(file string, m machine) (name string, link, ok bool, err error) {
	n, err := s.v.find(file, false)
	if err != nil {
		return "", false, false, err
	}
	link = n.kind == tarball.Symlink
	if n, err = s.v.find(file, true); err != nil || n.kind != tarball.File {
		return "", link, false, nil // a link that leads nowhere
	}
	var r io.ReaderAt = bytes.NewReader(n.data)
	if n.base != nil {
		f, err := n.base.open()
		if err != nil {
			return "", link, false, err
		}
		defer f.Close()
		r = f
	}
	name, ok = elfSoname(r, m)
	if ok && name == "" {
		name = path.Base(file)
	}
	return name, link, ok, nil
}

// elfSoname reads the file that a foreign package calls a library: linker
// scripts and other machines' libraries are none of ours.
func elfSoname(r io.ReaderAt, m machine) (string, bool) {
	f, err := elf.NewFile(r)
	if err != nil {
		return "", false
	}
	if f.Class != elf.ELFCLASS64 || f.Machine != m.elf || f.Type != elf.ET_DYN {
		return "", false
	}
	names, err := f.DynString(elf.DT_SONAME)
	if err != nil {
		return "", false
	}
	if len(names) == 0 {
		return "", f.SectionByType(elf.SHT_DYNAMIC) != nil
	}
	if strings.ContainsAny(names[0], "/\n") {
		return "", false
	}
	return names[0], true
}
