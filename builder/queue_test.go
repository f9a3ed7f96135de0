package builder

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/layers"
)

func TestQueueOrder(t *testing.T) {
	q := &queue{free: 1}
	if err := q.acquire(t.Context(), rank{}); err != nil {
		t.Fatal(err)
	}
	ranks := []rank{{chain: 1, bytes: 9, place: 0}, {chain: 3, bytes: 1, place: 1}, {chain: 1, bytes: 20, place: 2}, {chain: 1, bytes: 9, place: 3}}
	var mu sync.Mutex
	var got []int
	var all sync.WaitGroup
	for i, r := range ranks {
		all.Go(func() {
			if err := q.acquire(t.Context(), r); err != nil {
				t.Error(err)
			}
			mu.Lock()
			got = append(got, r.place)
			mu.Unlock()
			q.release()
		})
		q.await(i + 1)
	}
	q.release()
	all.Wait()
	if diff := cmp.Diff([]int{1, 2, 0, 3}, got); diff != "" {
		t.Error(diff)
	}
	if q.free != 1 {
		t.Errorf("%d places are free, want 1", q.free)
	}
}

// await returns once n wait.
func (q *queue) await(n int) {
	for {
		q.mu.Lock()
		waiting := len(q.waiting)
		q.mu.Unlock()
		if waiting >= n {
			return
		}
	}
}

// TestQueueCancelled lets all waiters give up while places come free: no place
// is lost.
func TestQueueCancelled(t *testing.T) {
	for range 100 {
		q := &queue{free: 2}
		ctx, cancel := context.WithCancel(t.Context())
		for range 2 {
			if err := q.acquire(ctx, rank{}); err != nil {
				t.Fatal(err)
			}
		}
		var all sync.WaitGroup
		for i := range 5 {
			all.Go(func() {
				err := q.acquire(ctx, rank{place: i})
				switch {
				case err == nil:
					q.release()
				case !errors.Is(err, context.Canceled):
					t.Error(err)
				}
			})
		}
		q.await(5)
		all.Go(cancel)
		all.Go(q.release)
		all.Go(q.release)
		all.Wait()
		if q.free != 2 || len(q.waiting) != 0 {
			t.Fatalf("%d places are free and %d wait, want 2 and 0", q.free, len(q.waiting))
		}
	}
}

func TestChains(t *testing.T) {
	run := func(name string, work ...string) *task {
		return &task{recipe: &layers.Recipe{Name: name, Kind: layers.Run, Work: work}}
	}
	source := &task{recipe: &layers.Recipe{Name: "source", Kind: layers.Files}}
	got := chains([]*task{source, run("a"), run("b", "a"), run("c", "source", "b"), run("d", "there"), run("end", "c", "d")})
	want := map[string]int{"source": 2, "a": 4, "b": 3, "c": 2, "d": 2, "there": 2, "end": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
