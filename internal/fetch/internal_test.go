package fetch

import (
	"context"
	"net/http"
	"testing"
	"time"
)

func TestSnapshotLimit(t *testing.T) {
	for host, want := range map[string]int{
		"snapshot.debian.org": 2, "SNAPSHOT.debian.org:443": 2, "mirror.example": 8, "snapshot.debian.org.example": 8,
	} {
		var h hosts
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		for ; n < 20; n++ {
			if n == want {
				cancel()
			}
			if _, err := h.enter(ctx, host, 8); err != nil {
				break
			}
		}
		if n != want {
			t.Errorf("%s: %d at once, want %d", host, n, want)
		}
		cancel()
	}
}

func TestRetryAfter(t *testing.T) {
	date := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for s, want := range map[string]time.Duration{
		"":                     0,
		"7":                    7 * time.Second,
		"-1":                   0,
		"99999999999999999999": 0,
		date.Add(time.Minute).Format(http.TimeFormat): time.Minute,
		date.Add(-time.Hour).Format(http.TimeFormat):  0,
	} {
		h := http.Header{"Retry-After": {s}, "Date": {date.Format(http.TimeFormat)}}
		if got := retryAfter(h); got != want {
			t.Errorf("%q: %v, want %v", s, got, want)
		}
	}
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-9/10", "bytes 5-9/*", "bytes */10", "bytes -1-2/3", "", "items 0-1/2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		start, total, err := contentRange(s)
		if err == nil && (start < 0 || total != -1 && total < start) {
			t.Errorf("%q: start %d, total %d", s, start, total)
		}
	})
}
