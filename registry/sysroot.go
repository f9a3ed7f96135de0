package registry

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/retort-build/retort/internal/elf"
	"github.com/retort-build/retort/internal/tarball"
)

// A sysroot is the union of trees by path, in which symbolic links are
// followed as the target machine will. It records which entries a look-up used.
type sysroot struct {
	at   map[string]located
	used map[string]bool
	elfs map[string]elfFile // what was read already, by path
}

type located struct {
	entry tarball.Entry
	tree  int
	from  Tree
}

type elfFile struct {
	file elf.File
	ok   bool
}

// maxLinks is how many symbolic links Linux follows in one path.
const maxLinks = 40

// maxELF bounds what is read of a file in memory when it cannot be read at.
const maxELF = 512 << 20

func newSysroot() *sysroot {
	return &sysroot{at: make(map[string]located), used: make(map[string]bool), elfs: make(map[string]elfFile)}
}

// add joins a tree. The first non-directory at a path stays.
func (s *sysroot) add(tree int, t Tree) {
	for _, e := range t.Entries() {
		if have, ok := s.at[e.Path]; ok && have.entry.Kind != tarball.Dir {
			continue
		}
		s.at[e.Path] = located{e, tree, t}
	}
}

// resolve follows the symbolic links in an absolute path. It returns the path
// without them and the links that it went through.
func (s *sysroot) resolve(p string) (real string, links []string, ok bool) {
	todo := strings.Split(strings.Trim(path.Clean(p), "/"), "/")
	var done []string
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		if part == ".." {
			done = done[:max(0, len(done)-1)]
			continue
		}
		if part == "" || part == "." {
			continue
		}
		at := strings.Join(append(done, part), "/")
		have, exists := s.at[at]
		if !exists {
			return "", nil, false
		}
		if have.entry.Kind != tarball.Symlink {
			done = append(done, part)
			continue
		}
		if links = append(links, at); len(links) > maxLinks {
			return "", nil, false
		}
		if path.IsAbs(have.entry.Link) {
			done = nil
		}
		todo = append(strings.Split(have.entry.Link, "/"), todo...)
	}
	return strings.Join(done, "/"), links, true
}

// use looks a file up and records it and the links on the way as used.
func (s *sysroot) use(p string) (real string, ok bool) {
	real, links, ok := s.resolve(p)
	if !ok || !s.isFile(real) {
		return "", false
	}
	s.used[real] = true
	for _, l := range links {
		s.used[l] = true
	}
	return real, true
}

func (s *sysroot) isFile(p string) bool {
	k := s.at[p].entry.Kind
	return k == tarball.File || k == tarball.Hardlink
}

// read reads the files at paths, several at a time, for object to find.
func (s *sysroot) read(paths []string) error {
	found := make([]elfFile, len(paths))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	const chunk = 64
	for first := 0; first < len(paths); first += chunk {
		group.Go(func() (err error) {
			for i := first; i < min(first+chunk, len(paths)); i++ {
				have := s.at[paths[i]]
				if found[i].file, found[i].ok, err = readELF(have.from, have.entry.Path); err != nil {
					return fmt.Errorf("%s: %w", paths[i], err)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for i, p := range paths {
		s.elfs[p] = found[i]
	}
	return nil
}

// object reads the ELF file at a path without symbolic links.
func (s *sysroot) object(p string) (elf.Object, bool, error) {
	have, ok := s.at[p]
	if !ok || !s.isFile(p) {
		return elf.Object{}, false, nil
	}
	if have.entry.Kind == tarball.Hardlink {
		have.entry.Path = have.entry.Link
	}
	known, ok := s.elfs[p]
	if !ok {
		file, isELF, err := readELF(have.from, have.entry.Path)
		if err != nil {
			return elf.Object{}, false, fmt.Errorf("%s: %w", p, err)
		}
		known = elfFile{file, isELF}
		s.elfs[p] = known
	}
	return elf.Object{Path: "/" + p, File: known.file}, known.ok, nil
}

// lookup is elf.Loader's: it finds a library and records that it is used.
func (s *sysroot) lookup(machine elf.Machine) func(string) (elf.Object, bool, error) {
	return func(p string) (elf.Object, bool, error) {
		real, _, ok := s.resolve(p)
		if !ok {
			return elf.Object{}, false, nil
		}
		o, ok, err := s.object(real)
		if ok && o.File.Machine == machine {
			s.use(p)
		}
		return o, ok, err
	}
}

func readELF(t Tree, p string) (elf.File, bool, error) {
	r, err := t.Open(p)
	if err != nil {
		return elf.File{}, false, err
	}
	defer r.Close()
	if at, ok := r.(io.ReaderAt); ok {
		return elf.Read(at)
	}
	magic := make([]byte, 4)
	if n, _ := io.ReadFull(r, magic); n < 4 || string(magic) != "\x7fELF" {
		return elf.File{}, false, nil
	}
	rest, err := io.ReadAll(io.LimitReader(r, maxELF))
	if err != nil {
		return elf.File{}, false, err
	}
	return elf.Read(bytes.NewReader(append(magic, rest...)))
}
