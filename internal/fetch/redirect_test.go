package fetch_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/retort-build/retort/internal/fetch"
)

// A key goes to the server it was meant for, and not where that one points.
func TestRedirectsGetNoKey(t *testing.T) {
	var got []string
	answer := func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.URL.Path+" "+r.Header.Get("Authorization"))
		_, _ = w.Write([]byte("body"))
	}
	other := httptest.NewServer(http.HandlerFunc(answer)) // the same host, another port
	defer other.Close()
	var own *httptest.Server
	own = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, other.URL+"/there", http.StatusFound)
		case "/within":
			http.Redirect(w, r, "/here", http.StatusFound)
		case "/round":
			http.Redirect(w, r, own.URL+"/round", http.StatusFound)
		default:
			answer(w, r)
		}
	}))
	defer own.Close()
	client := &fetch.Client{Retries: -1}
	for path, want := range map[string]string{"/away": "/there ", "/within": "/here s3cr3t"} {
		got = nil
		var body fetch.Buffer
		req := fetch.Request{URLs: []string{own.URL + path}, Header: http.Header{"Authorization": {"s3cr3t"}}}
		if _, err := client.Get(t.Context(), req, &body); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	var body fetch.Buffer
	if _, err := client.Get(t.Context(), fetch.Request{URLs: []string{own.URL + "/round"}}, &body); err == nil {
		t.Error("redirects in a circle end well")
	}
}
