package layers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Policy says what GC removes. What a running process used, and what a root
// names, stays in any case.
type Policy struct {
	MaxSize int64         // bytes of layers, blobs and values to keep, the least recently used go first; 0 is no limit
	MaxAge  time.Duration // since the last use; 0 is no limit
	Now     time.Time     // from which MaxAge counts
	DryRun  bool          // report only
}

// Report is what GC removed, or would have.
type Report struct {
	Views, Layers, Blobs, Values, Partials int
	Freed                                  int64 // bytes, by the size of tars, blobs and values
	Kept                                   int64
}

// GC removes what the policy does not keep. It may run beside any number of
// builds and other collectors.
func (s *Store) GC(ctx context.Context, p Policy) (Report, error) {
	r, err := s.gc(ctx, p)
	if err != nil {
		return r, fmt.Errorf("collect garbage: %w", err)
	}
	return r, nil
}

func (s *Store) gc(ctx context.Context, p Policy) (Report, error) {
	var r Report
	var oldest unix.Timespec
	err := s.alone(true, func() (err error) {
		if oldest, err = s.liveLeases(); err != nil {
			return err
		}
		return s.sweepLocks()
	})
	if err != nil {
		return r, err
	}
	held, err := s.rooted(p.DryRun)
	if err != nil {
		return r, err
	}
	all, err := s.scan(ctx)
	if err != nil {
		return r, err
	}
	doomed := choose(all, p, oldest, held)
	r.Kept = sizeOf(all) // less what goes, below
	gone := doomed
	if !p.DryRun {
		if gone, err = s.remove(ctx, doomed); err != nil {
			return r, err
		}
	}
	r.count(gone)
	r.Kept -= r.Freed
	if p.MaxAge > 0 {
		if r.Partials, err = s.dropPartials(ctx, p, oldest); err != nil {
			return r, err
		}
	}
	if p.DryRun {
		return r, nil
	}
	return r, s.emptyTrash()
}

// charged reports whether an object counts against MaxSize. Records are small
// and go with their layer; views are other names of layers' files.
func (o object) charged() bool {
	return o.kind == layersDir || o.kind == blobsDir || o.kind == valuesDir
}

func sizeOf(all []object) (sum int64) {
	for _, o := range all {
		if o.charged() {
			sum += o.size
		}
	}
	return sum
}

func (r *Report) count(gone []object) {
	r.Freed += sizeOf(gone)
	for _, o := range gone {
		switch o.kind {
		case viewsDir:
			r.Views++
		case layersDir:
			r.Layers++
		case blobsDir:
			r.Blobs++
		case valuesDir:
			r.Values++
		}
	}
}

// choose decides what goes, in the order in which to remove it: views, then the
// records of layers before the layers, then the rest. It is pure.
func choose(all []object, p Policy, oldest unix.Timespec, held holds) []object {
	limit := unix.NsecToTimespec(p.Now.Add(-p.MaxAge).UnixNano())
	expired := func(o object) bool { return p.MaxAge > 0 && before(o.used, limit) }
	// A layer that a root's key names, or a living view shows, is held too.
	keep := make(map[string]bool)
	present := make(map[string]bool)
	for _, o := range all {
		switch {
		case o.kind == layersDir:
			present[o.name] = true
		case o.kind == keysDir && held.keys[o.name]:
			keep[o.layer] = true
		case o.kind == viewsDir && !before(o.used, oldest):
			for _, l := range o.layers {
				keep[l] = true
			}
		}
	}
	free := func(o object) bool {
		if !before(o.used, oldest) {
			return false
		}
		switch o.kind {
		case layersDir:
			return !keep[o.name] && !held.layers[o.name]
		case blobsDir:
			return !held.blobs[o.name]
		case keysDir, valuesDir:
			return !held.keys[o.name]
		}
		return true
	}
	goes := make(map[string]bool) // kind/name
	rest := sizeOf(all)
	byUse := slices.SortedFunc(slices.Values(all), older)
	for _, o := range byUse {
		if o.charged() && free(o) && (expired(o) || p.MaxSize > 0 && rest > p.MaxSize) {
			goes[o.kind+o.name] = true
			rest -= o.size
		}
	}
	var views, records, others []object
	for _, o := range byUse {
		switch o.kind {
		case viewsDir:
			if free(o) && (expired(o) || slices.ContainsFunc(o.layers, func(l string) bool { return goes[layersDir+l] })) {
				views = append(views, o)
			}
		case keysDir:
			if free(o) && (goes[layersDir+o.layer] || !present[o.layer]) {
				records = append(records, o)
			}
		default:
			if goes[o.kind+o.name] {
				others = append(others, o)
			}
		}
	}
	return slices.Concat(views, records, others)
}

// removeBatch bounds how many renames keep everybody else waiting.
const removeBatch = 64

// remove moves objects to the trash that nobody began to use since they were
// chosen, and returns those.
func (s *Store) remove(ctx context.Context, doomed []object) (gone []object, err error) {
	for batch := range slices.Chunk(doomed, removeBatch) {
		if err := ctx.Err(); err != nil {
			return gone, err
		}
		err := s.alone(true, func() error {
			oldest, err := s.liveLeases()
			if err != nil {
				return err
			}
			for _, o := range batch {
				used, err := o.stamp()
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				if err != nil {
					return err
				}
				if used != o.used || !before(used, oldest) {
					continue
				}
				if err := s.discard(o.path); err != nil {
					return err
				}
				gone = append(gone, o)
			}
			return nil
		})
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// dropPartials removes what interrupted fetches left, once it is too old to be
// continued. Whoever writes one holds its lock.
func (s *Store) dropPartials(ctx context.Context, p Policy, oldest unix.Timespec) (n int, err error) {
	dirs, err := s.ingests()
	if err != nil {
		return 0, err
	}
	limit := unix.NsecToTimespec(p.Now.Add(-p.MaxAge).UnixNano())
	for _, dir := range dirs {
		o := object{file: dir}
		for _, f := range []string{"/data", "/ref", ""} { // a kill may have come before the first
			o.file = dir + f
			if o.used, err = o.stamp(); err == nil {
				break
			}
		}
		if err != nil || !before(o.used, limit) || !before(o.used, oldest) {
			continue
		}
		n++
		if p.DryRun {
			continue
		}
		if err := s.dropPartial(ctx, dir); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (s *Store) dropPartial(ctx context.Context, dir string) error {
	raw, err := os.ReadFile(dir + "/ref")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if hex, ok := strings.CutPrefix(string(raw), "partial-"); ok && ValidKey(hex) {
		// Old and locked: its writer is stuck, but alive. Wait no longer
		// than a moment for it.
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		release, err := s.lockName(short, "blob-"+filepath.Base(hex))
		if errors.Is(err, context.DeadlineExceeded) {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		defer release()
	}
	return s.discard(dir)
}
