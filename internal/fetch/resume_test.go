package fetch_test

import (
	"bytes"
	"net/http"
	"slices"
	"testing"

	"github.com/retort-build/retort/internal/fetch"
)

// half is a sink that has the beginning of a body.
type half struct{ fetch.Buffer }

func (h *half) Offset() int64 { return int64(h.Len()) }

func TestResumer(t *testing.T) {
	var ranges []string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		good(w, r)
	})
	get := func(req fetch.Request, held []byte) []byte {
		t.Helper()
		ranges = nil
		var sink half
		sink.Write(held)
		var seen int64
		req.Progress = func(n int64) { seen += n }
		r, err := client().Get(t.Context(), req, &sink)
		if err != nil || seen != int64(sink.Len()) || r.Size != seen {
			t.Fatalf("%+v, progress %d of %d, %v", r, seen, sink.Len(), err)
		}
		return sink.Bytes()
	}
	n := len(content)
	if got := get(wanted(url), content[:n/2]); !bytes.Equal(got, content) || !slices.Equal(ranges, []string{"bytes=153600-"}) {
		t.Errorf("%d bytes, asked %q", len(got), ranges)
	}
	// The sink's own beginning is the sink's to judge.
	if got := get(wanted(url), make([]byte, 10)); bytes.Equal(got, content) || !bytes.Equal(got[10:], content[10:]) {
		t.Error("another beginning was replaced")
	}
	if got := get(wanted(url), append(bytes.Clone(content), 1)); !bytes.Equal(got, content) || !slices.Equal(ranges, []string{""}) {
		t.Errorf("more than all: %d bytes, asked %q", len(got), ranges)
	}
	req := wanted(url)
	req.Size = 0
	if got := get(req, content); !bytes.Equal(got, content) || !slices.Equal(ranges, []string{"bytes=307200-", ""}) {
		t.Errorf("all, of unknown size: %d bytes, asked %q", len(got), ranges)
	}
	// A source that sends the whole.
	whole := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(content) })
	if got := get(wanted(whole), content[:n/2]); !bytes.Equal(got, content) {
		t.Errorf("%d bytes", len(got))
	}
}
