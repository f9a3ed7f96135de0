package builder

import (
	"cmp"
	"container/heap"
	"context"
	"sync"

	"github.com/retort-build/retort/layers"
)

// A rank says how soon a step should run among those that could.
type rank struct {
	chain int   // programs that run one after the other from this step on
	bytes int64 // of what it reads, by which one guesses how long it takes
	place int   // in the plan
}

func (r rank) before(o rank) bool {
	return cmp.Or(cmp.Compare(o.chain, r.chain), cmp.Compare(o.bytes, r.bytes), cmp.Compare(r.place, o.place)) < 0
}

// chains returns, for each task, the length of the longest chain of programs
// that begins with it. Whatever is on the longest one decides when all ends.
func chains(tasks []*task) map[string]int {
	out := make(map[string]int, len(tasks))
	for i := len(tasks) - 1; i >= 0; i-- { // a plan has inputs first
		r := tasks[i].recipe
		if r.Kind == layers.Run {
			out[r.Name]++
		}
		for _, in := range r.InputNames() {
			out[in] = max(out[in], out[r.Name])
		}
	}
	return out
}

// A queue lets a number of steps run at the same time; of those that wait, the
// one with the best rank is next.
type queue struct {
	mu      sync.Mutex
	free    int
	waiting waiters
}

type waiter struct {
	rank  rank
	ready chan struct{}
	at    int // in the heap, or -1
}

// acquire waits for a place.
func (q *queue) acquire(ctx context.Context, r rank) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	if q.free > 0 {
		q.free--
		q.mu.Unlock()
		return nil
	}
	w := &waiter{rank: r, ready: make(chan struct{})}
	heap.Push(&q.waiting, w)
	q.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		q.mu.Lock()
		if w.at >= 0 {
			heap.Remove(&q.waiting, w.at)
			q.mu.Unlock()
		} else { // the place came at the same time
			q.mu.Unlock()
			q.release()
		}
		return ctx.Err()
	}
}

// release gives a place to the next.
func (q *queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.free++
		return
	}
	w, _ := heap.Pop(&q.waiting).(*waiter)
	close(w.ready)
}

// waiters is a heap.
type waiters []*waiter

func (h waiters) Len() int           { return len(h) }
func (h waiters) Less(i, j int) bool { return h[i].rank.before(h[j].rank) }

func (h waiters) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *waiters) Push(x any) {
	w, _ := x.(*waiter)
	w.at = len(*h)
	*h = append(*h, w)
}

func (h *waiters) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last], *h = nil, (*h)[:last]
	w.at = -1
	return w
}
