package main

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/retort-build/retort/internal/elf"
	"github.com/retort-build/retort/internal/elf/elftest"
)

// expected are the digests of an example, built from the seed.
func (k *kit) expected(t *testing.T, s app) digests {
	t.Helper()
	dir := folder(t)
	got, _ := k.build(t, start{dir: s.write(t, dir, writeOptions{}), home: k.seed}, "-o", filepath.Join(dir, "out"))
	return got
}

// testFaults builds from a mirror that fails in one way after the other. Each
// time the message names the package and what is wrong with it, what arrived
// before stays, and once the mirror is right the result is the usual one.
func (k *kit) testFaults(t *testing.T) {
	s := k.example(t, "hello")
	dir := folder(t)
	o := start{dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{}), home: filepath.Join(dir, "home"), timeout: 2 * time.Minute}
	tests := []struct {
		name  string
		fault fault
		words []string
	}{
		{"other bytes", garbled, []string{"fetch deb:elixir", "wrong digest", "want sha256:"}},
		{"too short", shortened, []string{"fetch deb:elixir", "wrong size"}},
		{"broken off", brokenOff, []string{"fetch deb:elixir", "EOF"}},
		{"gone", missing, []string{"fetch deb:elixir", "not found", "404", "retort lock --repair"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			defer k.mirror.with(forPackage("elixir", test.fault))()
			k.refuse(t, o, exitFailed, test.words, "build")
		})
	}
	k.must(t, start{home: o.home}, "store", "verify")
	// Every connection breaks once, in the middle, then the server is back.
	seen := map[string]bool{}
	restore := k.mirror.with(onceEach(seen, brokenOff))
	got, _ := k.build(t, o)
	restore()
	if len(seen) == 0 {
		t.Error("no connection was broken: this test proves nothing")
	}
	if want := k.expected(t, s); got != want {
		t.Errorf("after all faults: %s differs", diffNames(got, want))
	}
	k.must(t, start{home: o.home}, "store", "verify")
	// Nothing is fetched twice, and nothing at all by a second build.
	restore = k.mirror.with(nil)
	k.build(t, o)
	restore()
	if asked := k.mirror.requests(); len(asked) > 0 {
		t.Errorf("a second build asked for %q", asked)
	}
}

// testStale: a lock that was made for another manifest is exit status 3.
func (k *kit) testStale(t *testing.T) {
	s := k.example(t, "hello")
	dir := s.write(t, folder(t), writeOptions{})
	write(t, filepath.Join(dir, "toolchain.toml"), s.files["toolchain.toml"]+"\n[nif.exqlite]\nbuild = [\"libsqlite3-dev\"]\n")
	k.refuse(t, start{dir: dir, home: k.seed}, exitLock, []string{"lock is stale", "hint: retort lock"}, "build")
}

// testCompileError: what the user's code does wrong is theirs, with the end of
// its log and the way into the same environment.
func (k *kit) testCompileError(t *testing.T) {
	s := k.example(t, "hello")
	dir := s.write(t, folder(t), writeOptions{})
	o := start{dir: dir, home: k.primedHome(t, s, 0)}
	file := filepath.Join(dir, "lib", "hello", "request.ex")
	write(t, file, "defmodule Hello.Request do\n  def answer, do: undefined_thing()\nend\n")
	r := k.refuse(t, o, exitBuild, []string{
		"the end of the output of step compile", "undefined function undefined_thing/0", "lib/hello/request.ex:2",
		"error: your build failed in step compile: exit status 1", "hint: retort shell --at compile",
	}, "build")
	if strings.Contains(r.stdout, "sha256") {
		t.Errorf("a failed build printed results: %s", r)
	}
	if r := k.must(t, o, "exec", "--at", "compile", "--", "cat", "lib/hello/request.ex"); !strings.Contains(r.stdout, "undefined_thing") {
		t.Errorf("the environment of the failed step holds another source: %s", r)
	}
	if r := k.run(t, o, "exec", "--at", "compile", "--", "sh", "-c", "exit 42"); r.code != 42 {
		t.Errorf("the status of the command is lost: %s", r)
	}
	write(t, file, s.files["lib/hello/request.ex"])
	if got, want := first(k.build(t, o)), k.expected(t, s); got != want {
		t.Errorf("after the error was corrected: %s differs", diffNames(got, want))
	}
	// An error in mix.exs is one too, and its step can be entered.
	write(t, filepath.Join(dir, "mix.exs"), "raise \"oh no\"\n")
	k.refuse(t, o, exitBuild, []string{"oh no", "in step project", "hint: retort shell --at project"}, "build")
	k.must(t, o, "exec", "--at", "project", "--", "true")
}

func first(d digests, _ []string) digests { return d }

// testDamage: verify finds what was deleted, cut off or changed in the store,
// heal removes it, and the next build makes the same again.
func (k *kit) testDamage(t *testing.T) {
	s := k.example(t, "hello")
	dir := s.write(t, folder(t), writeOptions{})
	o := start{dir: dir, home: k.primedHome(t, s, 0)}
	want, _ := k.build(t, o)
	root := filepath.Join(o.home, "store", "layers")
	damages := []struct {
		name string
		do   func(path string) error
	}{
		{"deleted", os.Remove},
		{"cut off", func(path string) error { return os.Truncate(path, 10) }},
		{"changed", func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			data[len(data)/2] ^= 1
			if err := os.Chmod(path, 0o644); err != nil {
				return err
			}
			if err := os.WriteFile(path, data, 0o644); err != nil {
				return err
			}
			return os.Chmod(path, info.Mode().Perm())
		}},
	}
	for _, damage := range damages {
		t.Run(damage.name, func(t *testing.T) {
			// A file of the toolchain and one of the release.
			for _, name := range []string{"Elixir.Enum.beam", "Elixir.Hello.Request.beam"} {
				path := findFile(t, root, name)
				if err := damage.do(path); err != nil {
					t.Fatal(err)
				}
			}
			r := k.refuse(t, o, exitFailed, []string{"the store is damaged", "hint: retort store verify --heal"}, "store", "verify")
			if !strings.Contains(r.stdout, "damaged layer") {
				t.Errorf("verify does not name the layers: %s", r)
			}
			k.must(t, o, "store", "verify", "--heal")
			k.must(t, o, "store", "verify")
			if err := os.RemoveAll(filepath.Join(dir, "dist")); err != nil {
				t.Fatal(err)
			}
			if got, _ := k.build(t, o); got != want {
				t.Errorf("after healing: %s differs", diffNames(got, want))
			}
		})
	}
}

// findFile finds the file of a name whose path sorts first below root.
func findFile(t *testing.T, root, name string) string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == name {
			found = append(found, path)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatalf("find %s below %s: none, %v", name, root, err)
	}
	slices.Sort(found)
	return found[0]
}

// testFullDisk builds with a store on a file system that is too small, at two
// points, and then on the same one grown.
func (k *kit) testFullDisk(t *testing.T) {
	needRoot(t)
	needTools(t, "unshare", "mount")
	s := k.example(t, "hello")
	dir := folder(t)
	script := filepath.Join(dir, "script")
	write(t, script, `set -u
retort=$1 home=$2
mount -t tmpfs -o size=40m,mode=755 tmpfs "$home" || exit 99
$retort build; echo "fetching: $?"
$retort store verify || echo damaged
mount -o remount,size=200m "$home" || exit 99
$retort build; echo "unpacking: $?"
$retort store verify || echo damaged
mount -o remount,size=2g "$home" || exit 99
$retort build || exit 98
$retort store verify || echo damaged
`)
	o := start{dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{}), home: filepath.Join(dir, "home")}
	o.wrap = []string{"unshare", "--mount", "/bin/sh", "-c", `exec /bin/sh "$0" "$1" "$RETORT_HOME"`, script}
	r := k.run(t, o)
	if r.code != 0 || strings.Contains(r.stdout, "damaged") {
		t.Fatalf("a full disk: %s", r)
	}
	for _, want := range []string{"fetching: 1\n", "unpacking: 1\n"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("stdout has no %q: %s", want, r)
		}
	}
	if n := strings.Count(r.stderr, "no space left on device"); n < 2 {
		t.Errorf("the message names the full disk %d times, want 2: %s", n, r.stderr)
	}
	if want := k.expected(t, s); !strings.Contains(r.stdout, want.release.String()) || !strings.Contains(r.stdout, want.image.String()) {
		t.Errorf("after the disk had grown, want %v: %s", want, r)
	}
}

// testTogether runs two builds of one project in one store at the same time,
// beside a collector that keeps as little as it may.
func (k *kit) testTogether(t *testing.T) {
	s := k.example(t, "hello")
	dir := folder(t)
	home := k.primedHome(t, s, 0)
	project := s.write(t, filepath.Join(dir, "ws"), writeOptions{})
	want := k.expected(t, s)
	type end struct {
		name string
		r    result
		err  error
	}
	ends := make(chan end)
	for _, name := range []string{"one", "two"} {
		go func() {
			r, err := k.try(start{dir: project, home: home}, "build", "-o", filepath.Join(dir, name))
			ends <- end{name, r, err}
		}()
	}
	stop := make(chan struct{})
	collected := make(chan end, 1)
	go func() {
		var last end
		for last.err == nil && last.r.code == 0 {
			select {
			case <-stop:
				collected <- last
				return
			case <-time.After(300 * time.Millisecond):
				last.r, last.err = k.try(start{home: home}, "gc", "--max-age", "0s", "--max-size", "1")
			}
		}
		collected <- last
	}()
	for range 2 {
		e := <-ends
		if e.err != nil || e.r.code != 0 {
			t.Errorf("build %s: %v %s", e.name, e.err, e.r)
			continue
		}
		if got, _ := e.r.outputs(t); got != want {
			t.Errorf("build %s: %s differs", e.name, diffNames(got, want))
		}
	}
	close(stop)
	if e := <-collected; e.err != nil || e.r.code != 0 {
		t.Errorf("gc: %v %s", e.err, e.r)
	}
	k.must(t, start{home: home}, "store", "verify")
	// The project's last build is a root: gc spares it, and nothing runs again.
	k.must(t, start{home: home}, "gc", "--max-age", "1ns")
	r := k.must(t, start{dir: project, home: home, mirror: "http://127.0.0.1:1"}, "build", "-o", filepath.Join(dir, "three"))
	if got, _ := r.outputs(t); got != want || !strings.Contains(r.stderr, " 0 misses") {
		t.Errorf("after gc: %s", r)
	}
}

// testImageLacks: an ELF file of the release whose library no package brings
// fails the build, by name.
func (k *kit) testImageLacks(t *testing.T) {
	s := k.example(t, "hello")
	dir := s.write(t, folder(t), writeOptions{})
	write(t, filepath.Join(dir, "rel", "overlays", "priv", "nif.so"), string(elftest.Build(elf.File{Machine: elf.Machine(runtime.GOARCH), Dynamic: true, Soname: "nif.so", Needed: []string{"libmadeup.so.7"}})))
	k.refuse(t, start{dir: dir, home: k.primedHome(t, s, 0)}, exitFailed, []string{"priv/nif.so", "libmadeup.so.7"}, "build")
}
