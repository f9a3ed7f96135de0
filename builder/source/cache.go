package source

import (
	"bytes"
	"encoding/gob"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
)

// racy is how close to the time of hashing a file's last change may lie for
// its stat to be trusted later. File system clocks tick every 1-10 ms; a
// second covers those that keep whole seconds.
const racy = time.Second

// Cache remembers the content hash of files by what lstat says of them, as
// git's index does. A lost, damaged or foreign cache costs time only: the file
// is hashed again. A nil *Cache remembers nothing.
type Cache struct {
	path  string
	now   time.Time // of the file system, when the cache was opened
	old   map[string]stamp
	fresh map[string]stamp
	dirty bool
}

// A stamp is what lstat said of a file when it was hashed.
type stamp struct {
	Size         int64
	Mtime, Ctime int64 // ns since 1970
	Ino, Dev     uint64
	Digest       digest.Digest
}

// OpenCache reads the cache at path, a file that only Save writes. It cannot
// fail: what does not read well is an empty cache.
func OpenCache(path string) *Cache {
	c := &Cache{path: path, old: map[string]stamp{}, fresh: map[string]stamp{}}
	if data, err := os.ReadFile(path); err == nil {
		if gob.NewDecoder(bytes.NewReader(data)).Decode(&c.old) != nil {
			c.old = map[string]stamp{}
		}
	}
	// The file system's clock, which file times are compared with, may be
	// another machine's: ask it by writing.
	if f, err := os.CreateTemp(filepath.Dir(path), ".clock-*"); err == nil {
		if info, err := f.Stat(); err == nil {
			c.now = info.ModTime()
		}
		f.Close()
		os.Remove(f.Name())
	}
	return c
}

func (c *Cache) lookup(path string, info fs.FileInfo) (digest.Digest, bool) {
	if c == nil {
		return "", false
	}
	s, ok := c.old[path]
	if !ok {
		return "", false
	}
	now, ok := stampOf(info)
	now.Digest = s.Digest
	if !ok || now != s || s.Digest.Validate() != nil {
		return "", false
	}
	c.fresh[path] = s
	return s.Digest, true
}

func (c *Cache) remember(path string, info fs.FileInfo, d digest.Digest) {
	if c == nil {
		return
	}
	c.dirty = true
	s, ok := stampOf(info)
	last := time.Unix(0, max(s.Mtime, s.Ctime))
	if !ok || !last.Add(racy).Before(c.now) {
		return
	}
	s.Digest = d
	c.fresh[path] = s
}

func stampOf(info fs.FileInfo) (stamp, bool) {
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return stamp{}, false
	}
	return stamp{
		Size: info.Size(), Mtime: sys.Mtim.Nano(), Ctime: sys.Ctim.Nano(), Ino: sys.Ino, Dev: uint64(sys.Dev),
	}, true
}

// Save writes the stamps of the files seen since OpenCache, if any changed.
func (c *Cache) Save() error {
	if c == nil || !c.dirty && len(c.fresh) == len(c.old) {
		return nil
	}
	var out bytes.Buffer
	if err := gob.NewEncoder(&out).Encode(c.fresh); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(c.path), ".stamps-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	if _, err := temp.Write(out.Bytes()); err != nil {
		temp.Close()
		return err
	}
	if err := temp.Close(); err != nil {
		return err
	}
	return os.Rename(temp.Name(), c.path)
}
