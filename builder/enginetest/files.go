package enginetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/builder"
)

// fileRows are about the file system that the program sees.
var fileRows = []row{
	{"host files", testHostFiles},
	{"read-only root", testReadOnly},
	{"scratch root", testScratch},
	{"stacked root", testStack},
	{"work tree", testWork},
	{"removal in the work tree", testRemoval},
	{"work tree of its own", testEmptyWork},
	{"tmpfs", testTmpfs},
	{"binds", testBinds},
	{"mount points", testMountPoints},
	{"bad mounts", testBadMounts},
	{"300 directories in root", testManyLowers},
	{"deep paths", testDeepPaths},
}

func testHostFiles(t *testing.T, s *suite) {
	file := filepath.Join(s.dir, "canary")
	write(t, file, "canary")
	want(t, "read by absolute path", s.inside(t, "read", file), "ENOENT")
	for _, via := range []string{"/proc/self/root", "/proc/self/cwd", "/.."} {
		want(t, "read through "+via, s.inside(t, "read", via+file), "ENOENT")
	}
	want(t, "control: read", s.outside(t, "read", file), "canary")
	// A link of the root that leads out ends inside.
	link := filepath.Join(s.root, "link")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(link)
	want(t, "read through a link", s.inside(t, "read", "/link"), "ENOENT")
	want(t, "root", s.inside(t, "list", "/"), "dev link probe proc tmp")
}

func testReadOnly(t *testing.T, s *suite) {
	before := tree(t, s.root)
	for _, file := range []string{"/x", "/proc/self/root/x", "/probe"} {
		if got := s.inside(t, "write", file, "x"); got != "EROFS" && got != "ETXTBSY" {
			t.Errorf("write %s: %s", file, got)
		}
	}
	want(t, "remove /probe", s.inside(t, "remove", "/probe"), "EROFS")
	want(t, "chmod /probe", s.inside(t, "chmod", "0777", "/probe"), "EROFS")
	want(t, "mkdir /d", s.inside(t, "mkdir", "/d"), "EROFS")
	want(t, "link into /tmp", s.inside(t, "link", "/probe", "/tmp/probe"), "EXDEV")
	want(t, "root afterwards", tree(t, s.root), before)
	control(t, "a writable directory", s.outside(t, "write", filepath.Join(s.dir, "x"), "x") == "ok")
}

func testScratch(t *testing.T, s *suite) {
	write(t, filepath.Join(s.root, "old"), "old")
	defer os.Remove(filepath.Join(s.root, "old"))
	before := tree(t, s.root)
	for _, args := range [][]string{{"write", "/x", "x"}, {"write", "/old", "new"}, {"remove", "/old"}, {"mkdir", "/d"}} {
		p := s.process(args...)
		p.Scratch = true
		want(t, strings.Join(args, " "), s.run(t, p), "ok")
	}
	want(t, "root afterwards", tree(t, s.root), before)
}

func testStack(t *testing.T, s *suite) {
	top, low := filepath.Join(s.dir, "top"), filepath.Join(s.dir, "low")
	write(t, filepath.Join(top, "d/same"), "top")
	write(t, filepath.Join(top, "d/t"), "t")
	write(t, filepath.Join(low, "d/same"), "low")
	write(t, filepath.Join(low, "d/l"), "l")
	p := s.process("read", "/d/same")
	p.Root = []string{top, low, s.root, top}
	want(t, "the topmost wins", s.run(t, p), "top")
	p.Argv = []string{"/probe", "list", "/d"}
	want(t, "directories merge", s.run(t, p), "l same t")
	p.Root = []string{low, top, s.root}
	p.Argv = []string{"/probe", "read", "/d/same"}
	want(t, "the other order", s.run(t, p), "low")
}

func testWork(t *testing.T, s *suite) {
	low := filepath.Join(s.dir, "worklow")
	write(t, filepath.Join(low, "sub/file"), "low")
	before, beforeRoot := tree(t, low), tree(t, s.root)
	w := s.work(t, low)
	p := s.process("write", "/project/sub/file", "new")
	p.Work = w
	want(t, "write", s.run(t, p), "ok")
	p.Argv = []string{"/probe", "read", "/project/sub/file"}
	p.Work = &builder.Work{Path: "/project", Lowers: []string{w.Upper, low}, Upper: s.work(t).Upper, Tmp: s.work(t).Tmp}
	p.Work.Tmp = filepath.Join(filepath.Dir(p.Work.Upper), "tmp")
	want(t, "read in a later run", s.run(t, p), "new")
	if data, err := os.ReadFile(filepath.Join(w.Upper, "sub/file")); err != nil || string(data) != "new" {
		t.Errorf("upper: %q %v", data, err)
	}
	want(t, "lower afterwards", tree(t, low), before)
	want(t, "root afterwards", tree(t, s.root), beforeRoot)
	if err := os.RemoveAll(w.Tmp); err != nil {
		t.Errorf("the overlay's own directory cannot be removed: %v", err)
	}
	info, err := os.Stat(filepath.Join(w.Upper, "sub/file"))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != uint32(os.Getuid()) {
		t.Errorf("file owned by %d, want the caller %d", owner, os.Getuid())
	}
}

func testRemoval(t *testing.T, s *suite) {
	low := filepath.Join(s.dir, "removelow")
	write(t, filepath.Join(low, "gone"), "x")
	write(t, filepath.Join(low, "dir/inner"), "x")
	before := tree(t, low)
	w := s.work(t, low)
	p := s.process("remove", "/project/gone")
	p.Work = w
	want(t, "remove", s.run(t, p), "ok")
	var st unix.Stat_t
	if err := unix.Lstat(filepath.Join(w.Upper, "gone"), &st); err != nil {
		t.Fatal(err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0 {
		t.Errorf("removal left mode %o, device %d; want a whiteout", st.Mode, st.Rdev)
	}
	w = s.work(t, low)
	p.Work, p.Argv = w, []string{"/probe", "remove", "/project/dir"}
	want(t, "remove a directory", s.run(t, p), "ok")
	want(t, "lower afterwards", tree(t, low), before)
}

func testEmptyWork(t *testing.T, s *suite) {
	w := s.work(t)
	p := s.process("write", "/project/file", "x")
	p.Work = w
	want(t, "write", s.run(t, p), "ok")
	want(t, "upper", strings.Join(names(t, w.Upper), " "), "file")
	want(t, "temporary directory", strings.Join(names(t, w.Tmp), " "), "")
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func testTmpfs(t *testing.T, s *suite) {
	write(t, filepath.Join(s.root, "cache/below"), "x")
	defer os.RemoveAll(filepath.Join(s.root, "cache"))
	p := s.process("list", "/cache")
	want(t, "control: without", s.run(t, p), "below")
	p.Tmpfs = []string{"/tmp", "/cache", "/deep/er/one"}
	want(t, "list", s.run(t, p), "")
	for path, mode := range map[string]string{"/tmp": "41777", "/cache": "40755", "/deep/er/one": "40755"} {
		p.Argv = []string{"/probe", "mode", path}
		want(t, "mode of "+path, s.run(t, p), fmt.Sprintf("%s %d %d", mode, ID, ID))
		p.Argv = []string{"/probe", "write", path + "/x", "x"}
		want(t, "write to "+path, s.run(t, p), "ok")
	}
}

func testBinds(t *testing.T, s *suite) {
	dir := filepath.Join(s.dir, "bound")
	write(t, filepath.Join(dir, "inner/file"), "bound")
	mkdir(t, filepath.Join(s.root, "mnt"))
	defer os.RemoveAll(filepath.Join(s.root, "mnt"))
	write(t, filepath.Join(s.root, "mntfile"), "below")
	defer os.Remove(filepath.Join(s.root, "mntfile"))
	before := tree(t, dir)
	p := s.process("read", "/mnt/inner/file")
	p.Binds = []builder.Bind{{Source: dir, Target: "/mnt"}, {Source: filepath.Join(dir, "inner/file"), Target: "/mntfile"}}
	want(t, "directory", s.run(t, p), "bound")
	p.Argv = []string{"/probe", "read", "/mntfile"}
	want(t, "file", s.run(t, p), "bound")
	for _, file := range []string{"/mnt/x", "/mnt/inner/file", "/mntfile"} {
		p.Argv = []string{"/probe", "write", file, "x"}
		want(t, "write "+file, s.run(t, p), "EROFS")
	}
	want(t, "source afterwards", tree(t, dir), before)
}

// testMountPoints wants places that root lacks to appear, and root itself and
// the directories around them to stay.
func testMountPoints(t *testing.T, s *suite) {
	mkdir(t, filepath.Join(s.root, "opt"))
	defer os.RemoveAll(filepath.Join(s.root, "opt"))
	write(t, filepath.Join(s.root, "opt/kept"), "kept")
	before := tree(t, s.root)
	p := s.process("list", "/opt")
	p.Work = s.work(t)
	p.Work.Path = "/opt/a/b/project"
	want(t, "list", s.run(t, p), "a kept")
	p.Work = s.work(t)
	p.Work.Path = "/opt/a/b/project"
	p.Argv = []string{"/probe", "write", "/opt/a/b/project/x", "x"}
	want(t, "write", s.run(t, p), "ok")
	want(t, "root afterwards", tree(t, s.root), before)
}

func testBadMounts(t *testing.T, s *suite) {
	if err := os.Symlink("/tmp", filepath.Join(s.root, "away")); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(filepath.Join(s.root, "away"))
	for name, change := range map[string]func(*builder.Process){
		"no root":            func(p *builder.Process) { p.Root = nil },
		"root absent":        func(p *builder.Process) { p.Root = []string{filepath.Join(s.dir, "absent")} },
		"relative root":      func(p *builder.Process) { p.Root = []string{"root"} },
		"work over root":     func(p *builder.Process) { p.Work = s.work(t); p.Work.Path = "/" },
		"work leaves root":   func(p *builder.Process) { p.Work = s.work(t); p.Work.Path = "/../x" },
		"work on a file":     func(p *builder.Process) { p.Work = s.work(t); p.Work.Path = "/probe" },
		"tmpfs over proc":    func(p *builder.Process) { p.Tmpfs = []string{"/proc"} },
		"tmpfs below a link": func(p *builder.Process) { p.Tmpfs = []string{"/away/x/y"} },
		"same place twice":   func(p *builder.Process) { p.Tmpfs = []string{"/tmp", "/tmp"} },
		"bind of nothing": func(p *builder.Process) {
			p.Binds = []builder.Bind{{Source: filepath.Join(s.dir, "absent"), Target: "/probe"}}
		},
		"bind of a device": func(p *builder.Process) { p.Binds = []builder.Bind{{Source: "/dev/null", Target: "/probe"}} },
		"environment":      func(p *builder.Process) { p.Env = []string{"NOVALUE"} },
		"NUL":              func(p *builder.Process) { p.Argv = append(p.Argv, "a\x00b") },
	} {
		p := s.process("exit", "0")
		change(&p)
		err := s.engine.Run(t.Context(), p)
		var lacks *builder.UnavailableError
		if err == nil || errors.As(err, &lacks) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func testManyLowers(t *testing.T, s *suite) {
	p := s.process("list", "/many")
	for i := range 300 {
		dir := filepath.Join(s.dir, "many", fmt.Sprint(i))
		write(t, filepath.Join(dir, "many", fmt.Sprintf("f%03d", i)), "x")
		p.Root = append(p.Root, dir)
	}
	if got := len(strings.Fields(s.run(t, p))); got != 300 {
		t.Errorf("%d files of 300 directories", got)
	}
}

func testDeepPaths(t *testing.T, s *suite) {
	deep := filepath.Join(s.dir, strings.Repeat("deep directory/ä:,=\\/", 40))
	p := s.process("write", "/project/x", "x")
	p.Work = &builder.Work{Path: "/project", Upper: filepath.Join(deep, "upper"), Tmp: filepath.Join(deep, "tmp")}
	for i := range 3 {
		root, low := filepath.Join(deep, fmt.Sprint("r:", i)), filepath.Join(deep, fmt.Sprint("l,", i))
		write(t, filepath.Join(root, "file"), "x")
		write(t, filepath.Join(low, "file"), "x")
		p.Root = append(p.Root, root)
		p.Work.Lowers = append(p.Work.Lowers, low)
	}
	mkdir(t, p.Work.Upper)
	mkdir(t, p.Work.Tmp)
	want(t, "write", s.run(t, p), "ok")
	want(t, "upper", strings.Join(names(t, p.Work.Upper), " "), "x")
}
