package layers

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
)

func TestBlobs(t *testing.T) {
	s := newStore(t)
	const text = "the bytes of a package"
	d, size := digest.FromString(text), int64(len(text))
	write := func(text string) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		}
	}
	if has, err := s.HasBlob(t.Context(), d); has || err != nil {
		t.Fatalf("HasBlob = %t, %v", has, err)
	}
	if _, err := s.OpenBlob(t.Context(), d); !errors.Is(err, ErrNotFound) {
		t.Errorf("OpenBlob: %v", err)
	}
	var wrong *DigestError
	if err := s.PutBlob(t.Context(), d, size, write(strings.ToUpper(text))); !errors.As(err, &wrong) || wrong.Want != d {
		t.Errorf("other bytes: %v", err)
	}
	if err := s.PutBlob(t.Context(), d, size, write(text+"!")); err == nil || !strings.Contains(err.Error(), "longer than 22 bytes") {
		t.Errorf("too long: %v", err)
	}
	if err := s.PutBlob(t.Context(), d, size, write(text[:5])); !errors.As(err, &wrong) {
		t.Errorf("too short: %v", err)
	}
	if err := s.PutBlob(t.Context(), d, size+1, write(text)); err == nil || !strings.Contains(err.Error(), "22 bytes, want 23") {
		t.Errorf("wrong size: %v", err)
	}
	for range 2 {
		if err := s.PutBlob(t.Context(), d, size, write(text)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.OpenBlob(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err != nil || string(got) != text {
		t.Errorf("blob %q, %v", got, err)
	}
	if err := s.PutBlob(t.Context(), digest.FromString(""), 0, write("")); err != nil {
		t.Errorf("empty blob: %v", err)
	}
	if err := s.PutBlob(t.Context(), "sha512:"+digest.Digest(strings.Repeat("0", 128)), -1, write("")); err == nil {
		t.Error("sha512: no error")
	}
	if left, _ := s.ingests(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestBlobResume(t *testing.T) {
	s := newStore(t)
	const text = "0123456789"
	d := digest.FromString(text)
	broken := errors.New("connection reset")
	interrupted := func(text string) func(io.Writer) error {
		return func(w io.Writer) error {
			_, _ = io.WriteString(w, text)
			return broken
		}
	}
	var offsets []int64
	resuming := func(w io.Writer) error {
		at := w.(Resumer).Offset()
		offsets = append(offsets, at)
		_, err := io.WriteString(w, text[at:])
		return err
	}
	check := func(what string, want ...int64) {
		t.Helper()
		if fmt.Sprint(offsets) != fmt.Sprint(want) {
			t.Errorf("%s: offsets %v, want %v", what, offsets, want)
		}
		offsets = nil
	}
	drop := func() {
		t.Helper()
		blobs, err := s.Blobs()
		if err == nil {
			err = blobs.Delete(t.Context(), d)
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	if err := s.PutBlob(t.Context(), d, 10, interrupted("0123")); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := s.PutBlob(t.Context(), d, 10, resuming); err != nil {
		t.Fatal(err)
	}
	check("after four good bytes", 4)
	drop()

	if err := s.PutBlob(t.Context(), d, 10, interrupted("012X")); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := s.PutBlob(t.Context(), d, 10, resuming); err != nil {
		t.Fatal(err)
	}
	check("after bad bytes", 4, 0)
	drop()

	// All bytes are there: nothing is left to ask for, unless they are bad.
	if err := s.PutBlob(t.Context(), d, 10, interrupted(text)); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := s.PutBlob(t.Context(), d, 10, resuming); err != nil {
		t.Fatal(err)
	}
	check("complete")
	drop()
	if err := s.PutBlob(t.Context(), d, -1, interrupted(text+"more")); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := s.PutBlob(t.Context(), d, 10, resuming); err != nil {
		t.Fatal(err)
	}
	check("more than all", 0)
	drop()

	// A filler that knows nothing of offsets begins anew.
	if err := s.PutBlob(t.Context(), d, 10, interrupted("0123")); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := s.PutBlob(t.Context(), d, 10, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
		t.Fatal(err)
	}
}

func TestBlobOnce(t *testing.T) {
	s := newStore(t)
	const text = "fetched once"
	d := digest.FromString(text)
	var calls int // by whoever holds the blob's lock
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			err := s.PutBlob(t.Context(), d, -1, func(w io.Writer) error {
				calls++
				_, err := io.WriteString(w, text)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if calls != 1 {
		t.Errorf("filled %d times", calls)
	}
}
