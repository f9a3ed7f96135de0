package builder

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/retort-build/retort/layers"
)

// fetchAhead is how many downloads may run beside the jobs: fetching waits for
// the network, jobs for the processor.
const fetchAhead = 8

// Turns say which steps run, of all that could: a number of them at once, and never
// two that make the same layer.
type Turns struct {
	jobs    *queue
	fetches *semaphore.Weighted

	mu      sync.Mutex
	working map[layers.Key]*work
}

// work is what somebody does to make the layer of a key.
type work struct {
	ended chan struct{} // closed when err is set
	err   error
}

// NewTurns returns turns for a number of steps at once; below 1 means 1.
func NewTurns(jobs int) *Turns {
	jobs = max(jobs, 1)
	return &Turns{
		jobs:    &queue{free: jobs},
		fetches: semaphore.NewWeighted(int64(jobs + fetchAhead)),
		working: make(map[layers.Key]*work),
	}
}

// claim waits until nobody else works on a key, and keeps others from it until done
// is called with what came of the work. If others made the layer, it is in the store
// now; if they failed, claim fails as they did.
func (t *Turns) claim(ctx context.Context, key layers.Key) (done func(error), err error) {
	for {
		t.mu.Lock()
		other, taken := t.working[key]
		if !taken {
			own := &work{ended: make(chan struct{})}
			t.working[key] = own
			t.mu.Unlock()
			return func(err error) {
				t.mu.Lock()
				defer t.mu.Unlock()
				delete(t.working, key)
				own.err = err
				close(own.ended)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-other.ended:
			if other.err != nil && !errors.Is(other.err, context.Canceled) {
				return nil, other.err
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// fetch calls f when it is its turn.
func (t *Turns) fetch(ctx context.Context, f func() error) error {
	if err := t.fetches.Acquire(ctx, 1); err != nil {
		return err
	}
	defer t.fetches.Release(1)
	return f()
}
