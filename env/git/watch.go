package git

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"
)

// watchPause is how often a repository that git writes to is measured.
const watchPause = 250 * time.Millisecond

// A sizeError says that a server sends more than a repository may have.
type sizeError struct{ limit int64 }

func (e *sizeError) Error() string {
	return fmt.Sprintf("the repository has more than %d bytes", e.limit)
}

// watch runs a fetch, tells its progress, and ends it when the repository
// grows beyond the limit: git itself knows no bound.
func (r *repository) watch(ctx context.Context, dir string, progress func(int64), fetch func(context.Context) error) error {
	limit := r.cache.Limits.withDefaults().Download
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var watcher sync.WaitGroup
	done := make(chan struct{})
	measure := func(last int64) int64 {
		size := objectsSize(dir)
		if size > limit {
			cancel(&sizeError{limit})
		}
		if progress != nil && size > last {
			progress(size - last)
		}
		return max(size, last)
	}
	last := objectsSize(dir)
	watcher.Go(func() {
		tick := time.NewTicker(watchPause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				last = measure(last)
			case <-done:
				return
			}
		}
	})
	err := fetch(ctx)
	close(done)
	watcher.Wait()
	measure(last)
	if size, ok := context.Cause(ctx).(*sizeError); ok { //nolint:errorlint // it is ours alone
		return size
	}
	return err
}

// objectsSize is how many bytes a repository's objects have on disk.
func objectsSize(dir string) int64 {
	var size int64
	_ = filepath.WalkDir(filepath.Join(dir, "objects"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // git renames files while this looks
		}
		if info, err := d.Info(); err == nil {
			size += info.Size()
		}
		return nil
	})
	return size
}
