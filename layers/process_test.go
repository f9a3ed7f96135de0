package layers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/internal/tarball"
)

// childEnv makes this test binary a process that works on a store.
const childEnv = "RETORT_TEST_STORE_CHILD"

// child starts the test binary on the store in dir.
func child(t testing.TB, what, dir string, seed int) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s", childEnv, what, seed, dir))
	return cmd
}

// TestChild is not a test but what child starts.
func TestChild(t *testing.T) {
	args := strings.SplitN(os.Getenv(childEnv), " ", 3)
	if len(args) != 3 {
		t.Skip("runs as a child of other tests")
	}
	seed, err := strconv.Atoi(args[1])
	must(t, err)
	s, err := Open(args[2])
	must(t, err)
	switch args[0] {
	case "build":
		err = buildSome(t.Context(), s, uint64(seed), 30)
	case "forever":
		err = buildSome(t.Context(), s, uint64(seed), 1<<30)
	case "limit":
		err = buildLimited(t.Context(), s)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
}

// buildSome does what builds do, over 40 keys: looks up, builds what is
// missing, merges, fetches, and reads back what it was given.
func buildSome(ctx context.Context, s *Store, seed uint64, steps int) error {
	rnd := rand.New(rand.NewPCG(seed, 1))
	var ls []ViewLayer
	for range steps {
		n := rnd.IntN(40)
		l, err := realise(ctx, s, n)
		if err != nil {
			return fmt.Errorf("realise %d: %w", n, err)
		}
		got, err := os.ReadFile(fmt.Sprintf("%s/pkg/%d/file0", s.Path(l), n))
		if err != nil || string(got) != fileContent(n, 0) {
			return fmt.Errorf("layer %d: %q, %w", n, got, err)
		}
		if ls = append(ls, ViewLayer{Layer: l}); len(ls) == 3 {
			view, err := s.View(ctx, ls)
			if err != nil {
				return err
			}
			got, err := os.ReadFile(fmt.Sprintf("%s/pkg/%d/file0", view, n))
			if err != nil || string(got) != fileContent(n, 0) {
				return fmt.Errorf("view: %q, %w", got, err)
			}
			ls = nil
		}
		if err := fetchAndRead(ctx, s, fileContent(n, -1)); err != nil {
			return err
		}
	}
	return nil
}

func fileContent(n, i int) string { return strings.Repeat(fmt.Sprintf("%d/%d\n", n, i), 200) }

func realise(ctx context.Context, s *Store, n int) (Layer, error) {
	key := testKey(fmt.Sprint(n))
	l, err := s.Lookup(ctx, key)
	if !errors.Is(err, ErrNotFound) {
		return l, err
	}
	release, err := s.Lock(ctx, key)
	if err != nil {
		return Layer{}, err
	}
	defer release()
	if l, err := s.Lookup(ctx, key); !errors.Is(err, ErrNotFound) {
		return l, err
	}
	w, err := s.NewWriter(ctx)
	if err != nil {
		return Layer{}, err
	}
	for i := range 10 {
		e := tarball.Entry{Path: fmt.Sprintf("pkg/%d/file%d", n, i), Kind: tarball.File, Mode: 0o644}
		if err := w.Add(e, strings.NewReader(fileContent(n, i))); err != nil {
			return Layer{}, errors.Join(err, w.Abort())
		}
	}
	return w.Commit(ctx, key)
}

func fetchAndRead(ctx context.Context, s *Store, content string) error {
	key := testKey(content)
	d := digestOf(content)
	err := s.PutBlob(ctx, d, int64(len(content)), func(w io.Writer) error {
		at := w.(Resumer).Offset()
		for ; at < int64(len(content)); at += 100 {
			if _, err := io.WriteString(w, content[at:min(at+100, int64(len(content)))]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	r, err := s.OpenBlob(ctx, d)
	if err != nil {
		return err
	}
	defer r.Close()
	var got bytes.Buffer
	if _, err := io.Copy(&got, io.NewSectionReader(r, 0, r.Size())); err != nil || got.String() != content {
		return fmt.Errorf("blob %s: other bytes, %w", d, err)
	}
	if err := s.PutValue(ctx, key, []byte(content)); err != nil {
		return err
	}
	if v, err := s.Value(ctx, key); err != nil || string(v) != content {
		return fmt.Errorf("value: %q, %w", v, err)
	}
	return nil
}

// verifyClean fails if the store holds anything but whole things, or anything
// staged by processes that are gone.
func verifyClean(t testing.TB, dir string) VerifyReport {
	t.Helper()
	s, err := Open(dir)
	must(t, err)
	defer s.Close()
	r, err := s.Verify(t.Context(), VerifyOptions{})
	must(t, err)
	for _, p := range r.Problems {
		t.Errorf("%s %s: %s", p.Kind, p.Name, p.What)
	}
	for _, sub := range []string{tmpDir, trashDir, leasesDir, locksDir} {
		left, err := os.ReadDir(s.path(sub))
		must(t, err)
		for _, f := range left {
			if f.Name() != filepath.Base(s.lease.tmp) {
				t.Errorf("left behind: %s/%s", sub, f.Name())
			}
		}
	}
	return r
}

func TestManyGoroutines(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s, err := Open(dir)
	must(t, err)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := buildSome(t.Context(), s, uint64(i), 15); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	must(t, s.Close())
	verifyClean(t, dir)
}

func TestManyProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			if out, err := child(t, "build", dir, i).CombinedOutput(); err != nil {
				t.Errorf("child %d: %v\n%s", i, err, out)
			}
		})
	}
	wg.Wait()
	if r := verifyClean(t, dir); r.Layers != 40 && r.Layers != r.Records {
		t.Errorf("%d layers, %d records", r.Layers, r.Records)
	}
}

// A collector that wants everything runs all the time beside builds.
func TestGCBesideProcesses(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := openStore(t, dir)
	ctx, stop := context.WithCancel(t.Context())
	var builders, collector sync.WaitGroup
	removed := 0
	collector.Go(func() {
		for ctx.Err() == nil {
			// A store of its own each time, because a lease keeps what came
			// after it.
			own, err := Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			r, err := own.GC(ctx, Policy{MaxSize: 1, MaxAge: time.Nanosecond, Now: time.Now().Add(time.Hour)})
			removed += r.Layers
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			if err := own.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	must(t, s.Close())
	for i := range 3 {
		builders.Go(func() {
			for round := range 5 {
				if out, err := child(t, "build", dir, 10*i+round).CombinedOutput(); err != nil {
					t.Errorf("builder %d: %v\n%s", i, err, out)
				}
			}
		})
	}
	builders.Wait()
	stop()
	collector.Wait()
	verifyClean(t, dir)
	t.Logf("%d layers collected meanwhile", removed)
}

func TestKill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	rnd := rand.New(rand.NewPCG(7, 7))
	for i := range 50 {
		cmd := child(t, "forever", dir, i)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		must(t, cmd.Start())
		time.Sleep(time.Duration(5+rnd.IntN(80)) * time.Millisecond)
		must(t, cmd.Process.Kill())
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("child %d ended by itself: %v\n%s", i, err, out.String())
		}
		if i%10 == 9 {
			verifyClean(t, dir)
		}
	}
}

// buildLimited commits a small layer, then fails at a file size limit, which
// stands for a full disk, and goes on.
func buildLimited(ctx context.Context, s *Store) error {
	signal.Ignore(unix.SIGXFSZ)
	limit := unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if _, err := realise(ctx, s, 1); err != nil {
		return err
	}
	big := strings.Repeat("x", 65<<10)
	w, err := s.NewWriter(ctx)
	if err != nil {
		return err
	}
	if err := w.Add(tarball.Entry{Path: "big", Kind: tarball.File, Mode: 0o644}, strings.NewReader(big)); !errors.Is(err, unix.EFBIG) {
		return fmt.Errorf("large file: %w", err)
	}
	if _, err := w.Commit(ctx, testKey("big")); !errors.Is(err, unix.EFBIG) {
		return fmt.Errorf("commit of large file: %w", err)
	}
	if _, err := s.Lookup(ctx, testKey("big")); !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("look-up of large file: %w", err)
	}
	err = s.PutBlob(ctx, digestOf(big), int64(len(big)), func(w io.Writer) error {
		_, err := io.WriteString(w, big)
		return err
	})
	if !errors.Is(err, unix.EFBIG) {
		return fmt.Errorf("large blob: %w", err)
	}
	// Many entries make a large tree file.
	w, err = s.NewWriter(ctx)
	if err != nil {
		return err
	}
	for i := range 4000 {
		if err := w.Add(tarball.Entry{Path: fmt.Sprintf("dir%d", i), Kind: tarball.Dir, Mode: 0o755}, nil); err != nil {
			return err
		}
	}
	if _, err := w.Commit(ctx, testKey("wide")); !errors.Is(err, unix.EFBIG) {
		return fmt.Errorf("commit of wide layer: %w", err)
	}
	if err := s.PutValue(ctx, testKey("v"), []byte(big)); !errors.Is(err, unix.EFBIG) {
		return fmt.Errorf("large value: %w", err)
	}
	_, err = realise(ctx, s, 2)
	return err
}

func TestFileSizeLimit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if out, err := child(t, "limit", dir, 0).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if r := verifyClean(t, dir); r.Layers != 2 || r.Records != 2 {
		t.Errorf("%+v", r)
	}
}
