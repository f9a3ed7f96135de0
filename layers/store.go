package layers

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// ErrNotFound says that the store has no such thing.
var ErrNotFound = errors.New("not in store")

// DigestError says that bytes are not the ones that were asked for.
type DigestError struct {
	What      string
	Want, Got digest.Digest
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("%s: digest mismatch: want %s, got %s", e.What, e.Want, e.Got)
}

// storeFormat is the first line of a store's format file.
const storeFormat = 1

// Store is a directory of layers, blobs and small values with their index. Many
// processes may use one directory at the same time, through one Store each; a
// Store is safe for concurrent use. README.md describes what is on disk.
type Store struct {
	dir      string
	root     *os.File // the store directory, for syncfs
	gate     gate
	lease    *lease
	flush    flusher
	serial   atomic.Int64
	blobs    func() (content.Store, error)
	warnings []string
	closed   sync.Once
}

// The folders of a store.
const (
	keysDir   = "keys"
	valuesDir = "values"
	layersDir = "layers"
	viewsDir  = "views"
	blobsDir  = "blobs"
	rootsDir  = "roots"
	leasesDir = "leases"
	locksDir  = "locks"
	tmpDir    = "tmp"
	trashDir  = "trash"
)

// Open opens the store in dir, which it creates if there is none, and takes a
// lease: until Close, or until this process dies, nothing that it looks up or
// commits is collected. It refuses a directory that holds something else, a
// store of a newer format, and a file system that lacks what a store needs.
func Open(dir string) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open store %s: %w", dir, err)
		}
	}()
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if err := create(dir); err != nil {
		return nil, err
	}
	s := &Store{dir: dir}
	defer func() {
		if err != nil {
			_ = s.Close()
		}
	}()
	if s.root, err = os.Open(dir); err != nil {
		return nil, err
	}
	if s.gate.file, err = openLock(s.path("lock")); err != nil {
		return nil, err
	}
	if err := s.gate.enter(); err != nil {
		return nil, err
	}
	s.lease, err = newLease(s.path(leasesDir), s.path(tmpDir))
	s.gate.leave()
	if err != nil {
		return nil, err
	}
	if err := s.probe(); err != nil {
		return nil, err
	}
	s.blobs = sync.OnceValues(func() (content.Store, error) { return newBlobs(s.path(blobsDir)) })
	return s, s.sweep(false)
}

// Close ends the lease and removes what was staged and not committed.
func (s *Store) Close() error {
	var errs []error
	s.closed.Do(func() {
		if s.lease != nil {
			errs = append(errs, s.lease.end())
		}
		for _, f := range []*os.File{s.gate.file, s.root} {
			if f != nil {
				errs = append(errs, f.Close())
			}
		}
	})
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

// Dir is the store's directory, absolute.
func (s *Store) Dir() string { return s.dir }

// Warnings lists what is doubtful about the place that the store lies in.
func (s *Store) Warnings() []string { return s.warnings }

// TempDir makes an empty directory on the store's file system, mode 0700. It is
// removed by Close, or once this process is dead.
func (s *Store) TempDir() (string, error) {
	dir := s.tempName("dir")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make temporary directory: %w", err)
	}
	return dir, nil
}

// RemoveTemp removes a directory of TempDir, whatever modes a build gave to
// what lies in it.
func (s *Store) RemoveTemp(dir string) error {
	if filepath.Dir(dir) != s.lease.tmp {
		return fmt.Errorf("remove temporary directory %s: not one of this store", dir)
	}
	return removeTree(dir)
}

// path joins names below the store directory.
func (s *Store) path(names ...string) string {
	return s.dir + "/" + strings.Join(names, "/")
}

// tempName gives a name that nobody else uses, in this process's staging area.
func (s *Store) tempName(what string) string {
	return s.lease.tmp + "/" + what + "-" + strconv.FormatInt(s.serial.Add(1), 10)
}

// create makes the folders and the format file, or checks them.
func create(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := checkFormat(dir); err != nil {
		return err
	}
	for _, name := range []string{keysDir, valuesDir, layersDir, viewsDir, blobsDir, rootsDir, leasesDir, locksDir, tmpDir, trashDir} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// checkFormat reads the format file. It writes one into an empty directory,
// where another process may be doing the same.
func checkFormat(dir string) error {
	name := filepath.Join(dir, "format")
	raw, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return writeFormat(dir, name)
	}
	if err != nil {
		return err
	}
	text, ok := strings.CutPrefix(string(raw), "retort store ")
	version, err := strconv.Atoi(strings.TrimSuffix(text, "\n"))
	if !ok || err != nil {
		return fmt.Errorf("format file %q is not one of a store", raw)
	}
	if version != storeFormat {
		return fmt.Errorf("format %d; this program knows format %d", version, storeFormat)
	}
	return nil
}

func writeFormat(dir, name string) error {
	found, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range found {
		if !strings.HasPrefix(f.Name(), "format") {
			if _, err := os.Lstat(name); err == nil {
				return nil // another process was faster
			}
			return fmt.Errorf("holds %q and is not a store", f.Name())
		}
	}
	tmp, err := os.CreateTemp(dir, "format-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = fmt.Fprintf(tmp, "retort store %d\n", storeFormat)
	if err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

// probe tries what commits and views depend on.
func (s *Store) probe() error {
	a, b := s.lease.tmp+"/probe-a", s.lease.tmp+"/probe-b"
	if err := os.Link(s.lease.file.Name(), a); err != nil {
		return fmt.Errorf("file system without hard links: %w", err)
	}
	if err := os.Rename(a, b); err != nil {
		return fmt.Errorf("file system without rename: %w", err)
	}
	if err := os.Remove(b); err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(s.root.Fd()), &st); err != nil {
		return fmt.Errorf("statfs: %w", err)
	}
	switch int64(st.Type) {
	case unix.NFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		s.warnings = append(s.warnings, "the store lies on a network file system: other hosts must not use it at the same time, and overlay mounts of it may be refused")
	}
	return nil
}

// removeTree removes a tree in which a build may have left directories that
// their owner cannot read.
func removeTree(dir string) error {
	if err := os.RemoveAll(dir); err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if d == nil || !d.IsDir() {
			return nil // unreadable parents come up again below
		}
		if err != nil {
			return err
		}
		return os.Chmod(p, 0o700)
	})
	return errors.Join(os.RemoveAll(dir), ignorePermission(err))
}

func ignorePermission(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}
