package configure

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/retort-build/retort/internal/tarball"
)

func absolute(dir, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return dir + "/" + name
}

// open opens a file of the virtual tree for a redirection.
func (sh *shell) open(ctx context.Context, name string, flag int, perm os.FileMode) (io.ReadWriteCloser, error) {
	name = absolute(interp.HandlerCtx(ctx).Dir, name)
	if name == os.DevNull {
		return os.OpenFile(os.DevNull, flag, 0)
	}
	if flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		data, err := sh.v.readFile(name)
		if err != nil {
			return nil, err
		}
		return memFile(data)
	}
	mode := uint32(perm.Perm()) &^ sh.umask.Load()
	if flag&os.O_TRUNC != 0 || !sh.v.exists(name) {
		if err := sh.v.writeFile(name, nil, mode, false); err != nil {
			return nil, err
		}
	}
	return &appendFile{sh.v, name}, nil
}

// memFile is a file without a name that holds data: the interpreter wants a
// real file for standard input.
func memFile(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("retort", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "memory")
	_, err = io.Copy(f, bytes.NewReader(data))
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("make memory file: %w", err)
	}
	return f, nil
}

// appendFile adds what is written to a file of the tree.
type appendFile struct {
	v    *vfs
	name string
}

func (f *appendFile) Read([]byte) (int, error) { return 0, io.EOF }
func (f *appendFile) Close() error             { return nil }
func (f *appendFile) Write(p []byte) (int, error) {
	if err := f.v.writeFile(f.name, bytes.Clone(p), 0o644, true); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (sh *shell) stat(_ context.Context, name string, follow bool) (fs.FileInfo, error) {
	if name == os.DevNull {
		return fileInfo{"null", node{kind: 'c', mode: 0o666}}, nil
	}
	n, err := sh.v.find(name, follow)
	if err != nil {
		return nil, err
	}
	return fileInfo{path.Base(name), n}, nil
}

// access answers as for root, for whom only executing needs a permission bit.
func (sh *shell) access(_ context.Context, name string, mode interp.AccessMode) error {
	n, err := sh.v.find(name, true)
	if err != nil {
		return err
	}
	if mode&interp.AccessExec != 0 && n.kind == tarball.File && n.mode&0o111 == 0 {
		return syscall.EACCES
	}
	return nil
}

func (sh *shell) readDir(_ context.Context, name string) ([]fs.DirEntry, error) {
	names, err := sh.v.list(name)
	if err != nil {
		return nil, err
	}
	var entries []fs.DirEntry
	for _, base := range names {
		n, err := sh.v.find(name+"/"+base, false)
		if err != nil {
			return nil, err
		}
		entries = append(entries, fs.FileInfoToDirEntry(fileInfo{base, n}))
	}
	return entries, nil
}

// fileInfo shows a node as the interpreter wants to see it.
type fileInfo struct {
	name string
	n    node
}

func (f fileInfo) Name() string       { return f.name }
func (f fileInfo) Size() int64        { return f.n.size() }
func (f fileInfo) ModTime() time.Time { return time.Unix(0, 0) }
func (f fileInfo) IsDir() bool        { return f.n.kind == tarball.Dir }
func (f fileInfo) Sys() any           { return &syscall.Stat_t{Uid: uint32(f.n.uid), Gid: uint32(f.n.gid)} }
func (f fileInfo) Mode() fs.FileMode {
	m := fs.FileMode(f.n.mode & 0o777)
	switch f.n.kind {
	case tarball.Dir:
		m |= fs.ModeDir
	case tarball.Symlink:
		m |= fs.ModeSymlink
	case 'c':
		m |= fs.ModeDevice | fs.ModeCharDevice
	}
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if f.n.mode&bit != 0 {
			m |= flag
		}
	}
	return m
}

func (n node) size() int64 {
	if n.base != nil {
		return n.base.size
	}
	if n.kind == tarball.Symlink {
		return int64(len(n.link))
	}
	return int64(len(n.data))
}

func printed(file *syntax.File) string {
	var b strings.Builder
	if err := syntax.NewPrinter().Print(&b, file); err != nil {
		return "exit 2" // cannot be: a strings.Builder takes everything
	}
	return b.String()
}
