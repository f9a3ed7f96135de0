package layers

import (
	"context"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// A flusher makes what was written durable, with one syncfs for all who ask
// while another one runs. A sync for each file of a large layer takes seconds,
// one for the file system a fraction of one.
type flusher struct {
	mu   sync.Mutex
	run  sync.Mutex
	next *flushBatch
}

type flushBatch struct {
	done chan struct{}
	err  error
}

// sync returns once everything that the caller wrote before is on disk.
func (f *flusher) sync(ctx context.Context, dir *os.File) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	batch := f.next
	first := batch == nil
	if first {
		batch = &flushBatch{done: make(chan struct{})}
		f.next = batch
	}
	f.mu.Unlock()
	if !first {
		select {
		case <-batch.done:
			return batch.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	f.run.Lock()
	f.mu.Lock()
	f.next = nil // whoever comes now may have written too late for this one
	f.mu.Unlock()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		batch.err = fmt.Errorf("sync file system: %w", err)
	}
	f.run.Unlock()
	close(batch.done)
	return batch.err
}
