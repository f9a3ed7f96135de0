package git

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Prune removes the repositories that were not used since a time, and those
// whose writer died, and returns how many they were and how large. It leaves
// alone what another process is at work with. A dry run removes nothing.
func (c *Cache) Prune(since time.Time, dryRun bool) (count int, size int64, err error) {
	locks, err := filepath.Glob(filepath.Join(c.Dir, "*.lock"))
	if err != nil {
		return 0, 0, fmt.Errorf("prune git repositories: %w", err)
	}
	for _, name := range locks {
		n, err := prune(name, since, dryRun)
		if err != nil {
			return count, size, fmt.Errorf("prune git repositories: %w", err)
		}
		if n >= 0 {
			count, size = count+1, size+n
		}
	}
	return count, size, nil
}

// prune returns the size of a repository that it removed, or -1.
func prune(name string, since time.Time, dryRun bool) (int64, error) {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return -1, err
	}
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil || !sameFile(file) {
		return -1, nil //nolint:nilerr // it is in use, or gone
	}
	info, err := file.Stat()
	if err != nil {
		return -1, err
	}
	dir := strings.TrimSuffix(name, ".lock")
	_, busy := os.Stat(filepath.Join(dir, "busy"))
	if busy != nil && !info.ModTime().Before(since) {
		return -1, nil
	}
	size := objectsSize(filepath.Join(dir, "shallow.git")) + objectsSize(filepath.Join(dir, "full.git"))
	if dryRun {
		return size, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return -1, err
	}
	return size, os.Remove(name) // who waits for it sees that its name is gone
}
