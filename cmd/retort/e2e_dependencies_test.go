package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/internal/fixture"
)

// testDependencies changes one thing after the other in examples/shop and reads
// from the events which programs ran: those that can see it, and no others.
func (k *kit) testDependencies(t *testing.T) {
	if err := k.mirror.startHex(); err != nil {
		t.Fatal(err)
	}
	s := k.example(t, "shop")
	at := start{home: k.seed, dir: s.write(t, folder(t), writeOptions{})}
	k.must(t, at, "build")
	// The seed has seen earlier runs of this test.
	fresh := time.Now().UnixNano()
	cowlib := []string{"compile", "dep:cowboy", "dep:cowlib", "dep:gun", "project", "release"}

	t.Run("Comment", func(t *testing.T) {
		appendTo(t, at.dir, "config/config.exs", fmt.Sprintf("\n# %d\n", fresh))
		// Mix is asked again, and the release is made from the file.
		if diff := cmp.Diff([]string{"project", "release"}, k.ran(t, at)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("Runtime", func(t *testing.T) {
		appendTo(t, at.dir, "config/runtime.exs", fmt.Sprintf("\nconfig :shop, seen: %d\n", fresh))
		if diff := cmp.Diff([]string{"release"}, k.ran(t, at)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("Config", func(t *testing.T) {
		appendTo(t, at.dir, "config/config.exs", fmt.Sprintf("\nconfig :cowlib, seen: %d\n", fresh))
		if diff := cmp.Diff(cowlib, k.ran(t, at)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("Bump", func(t *testing.T) {
		old, version := k.bump(t, &at, "cowlib", fmt.Sprintf("2.13.%d", fresh/1e9))
		k.explainBump(t, at, old, version)
		// explainBump needed the project and dep:cowlib; and what is laid out of the
		// dependencies for the release has changed.
		if diff := cmp.Diff([]string{"compile", "dep:cowboy", "dep:gun", "release", "release:base"}, k.ran(t, at)); diff != "" {
			t.Error(diff)
		}
		e := k.explained(t, at, "dep:cowlib")
		if e.State != "hit" || e.Key != e.Last {
			t.Errorf("after the build, dep:cowlib is %+v", e)
		}
	})
}

// explainBump asks why the changed dependency, what depends on it and what does
// not are compiled again or are not.
func (k *kit) explainBump(t *testing.T, at start, old, version string) {
	t.Helper()
	if e := k.explained(t, at, "dep:cowlib"); e.State != "waiting" || !slices.Contains(e.Waiting, "hex:cowlib") {
		t.Errorf("dep:cowlib before its source is there: %+v", e)
	}
	k.must(t, at, "exec", "--at", "dep:cowlib", "--", "true")
	e := k.explained(t, at, "dep:cowlib")
	if e.State != "miss" || !changed(e, "- ", "cowlib", old) || !changed(e, "+ ", "cowlib", version) || !changed(e, "+ ", "(hex:cowlib)") {
		t.Errorf("dep:cowlib does not blame the line of mix.lock and the source: %q", e.Changed)
	}
	k.must(t, at, "exec", "--at", "dep:cowboy", "--", "true")
	e = k.explained(t, at, "dep:cowboy")
	if e.State != "miss" || !changed(e, "- ", "(dep:cowlib)") || !changed(e, "+ ", "(dep:cowlib)") || changed(e, "+ ", "(hex:cowboy)") {
		t.Errorf("dep:cowboy does not blame cowlib's layer alone: %q", e.Changed)
	}
	for _, step := range []string{"dep:ranch", "dep:jiffy", "dep:idna"} {
		if e := k.explained(t, at, step); e.State != "hit" || len(e.Changed) > 0 {
			t.Errorf("%s has nothing to do with cowlib: %+v", step, e)
		}
	}
}

// changed reports whether one of the changed lines begins with sign and has all
// words.
func changed(e explanation, sign string, words ...string) bool {
	return slices.ContainsFunc(e.Changed, func(line string) bool {
		return strings.HasPrefix(line, sign) && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	})
}

func (k *kit) explained(t *testing.T, at start, step string) explanation {
	t.Helper()
	var e explanation
	r := k.must(t, at, "explain", "--json", step)
	if err := json.Unmarshal([]byte(r.stdout), &e); err != nil {
		t.Fatalf("explain %s: %v: %s", step, err, r)
	}
	return e
}

// ran builds and returns the steps whose programs ran, sorted.
func (k *kit) ran(t *testing.T, at start) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(k.must(t, at, "build", "--progress", "json").stderr) {
		var e progressEvent
		if json.Unmarshal([]byte(line), &e) == nil && e.Event == "done" && e.Kind == "run" {
			out = append(out, e.Step)
		}
	}
	slices.Sort(out)
	return out
}

// bump updates a dependency in mix.lock to a version that only this test's
// repository has, and returns the old version and the new.
func (k *kit) bump(t *testing.T, at *start, name, version string) (old, now string) {
	t.Helper()
	path := filepath.Join(at.dir, "mix.lock")
	lock, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(lock), fmt.Sprintf("{:hex, :%s, \"", name))
	old, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("mix.lock has no %s", name)
	}
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, k.mirror.hexURL()+"/tarballs/"+name+"-"+old+".tar", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	tarball, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := fixture.BumpHex(t.Context(), lock, tarball, name, version)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != b.Path {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(b.Tarball)
	}))
	t.Cleanup(server.Close)
	at.env = append(at.env, "HEX_MIRROR="+server.URL)
	if err := os.WriteFile(path, b.Lock, 0o644); err != nil {
		t.Fatal(err)
	}
	return old, version
}

func appendTo(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(data, text...), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
