package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/fixture"
)

// An app is a project's tree before it is written somewhere.
type app struct {
	example  string
	variant  string            // what is particular to the lock, if it is not the example's
	manifest string            // toolchain.toml of the workspace
	files    map[string]string // of the project, by path
	modes    map[string]fs.FileMode
	env      []string // of the runs that lock it
	timeout  time.Duration
}

// example reads a project of examples/ with a lock that the seed can serve.
func (k *kit) example(t *testing.T, name string) app {
	t.Helper()
	s, err := readExample(name)
	if err != nil {
		t.Fatal(err)
	}
	s.files["toolchain.lock"] = string(k.lock(t, s))
	return s
}

func readExample(name string) (app, error) {
	top := filepath.Join("..", "..")
	manifest, err := os.ReadFile(filepath.Join(top, "toolchain.toml"))
	if err != nil {
		return app{}, err
	}
	s := app{example: name, manifest: string(manifest), files: map[string]string{}, modes: map[string]fs.FileMode{}}
	root := filepath.Join(top, "examples", name)
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch d.Name() {
		case "dist", "_build", "deps":
			return fs.SkipDir
		}
		if d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		s.files[rel], s.modes[rel] = string(data), info.Mode().Perm()
		return nil
	})
	return s, err
}

// lock returns a lock of an example whose packages the seed holds: the one of
// the last run if it still fits, else a repaired or a new one.
func (k *kit) lock(t *testing.T, s app) []byte {
	t.Helper()
	if lock := k.locks[s.example+s.variant]; lock != nil {
		return lock
	}
	kept := k.keptLock(s)
	offline := start{home: k.seed, mirror: "http://127.0.0.1:1", env: s.env, timeout: s.timeout}
	online := k.online(s)
	// The seed is shared by every run on this machine.
	if last, err := os.ReadFile(kept); err == nil {
		s.files["toolchain.lock"] = string(last)
		offline.dir = s.write(t, folder(t), writeOptions{})
		if r := k.run(t, offline, "build"); r.code == exitDone {
			return k.keep(t, s.example+s.variant, last)
		}
	}
	online.dir = s.write(t, folder(t), writeOptions{})
	if r := k.run(t, online, "lock", "--repair"); r.code != exitDone {
		t.Logf("lock --repair: %s", r)
		k.must(t, online, "lock")
	}
	k.must(t, online, "build")
	lock, err := os.ReadFile(filepath.Join(online.dir, "toolchain.lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(kept, lock); err != nil {
		t.Fatal(err)
	}
	return k.keep(t, s.example+s.variant, lock)
}

// keptLock is where the lock of the last run is.
func (k *kit) keptLock(s app) string {
	return filepath.Join(k.cache, "locks", s.example+s.variant+".lock")
}

// online is a run of the seed's that reaches Debian's mirror.
func (k *kit) online(s app) start {
	o := start{home: k.seed, mirror: os.Getenv("RETORT_DEBIAN_MIRROR"), env: s.env, timeout: s.timeout}
	if o.mirror == "" {
		o.env = append(slices.Clone(s.env), "RETORT_DEBIAN_MIRROR=") // this machine's APT sources
	}
	return o
}

func (k *kit) keep(t *testing.T, name string, text []byte) []byte {
	t.Helper()
	lock, err := env.DecodeLock("toolchain.lock", text)
	if err != nil {
		t.Fatal(err)
	}
	k.mirror.add(lock)
	k.locks[name] = text
	return text
}

// writeOptions vary how a project is written.
type writeOptions struct {
	reverse bool      // create the files in the opposite order
	mtime   time.Time // of every file
	uid     int
}

// commitTime is the time of every project's only commit.
const commitTime = "2026-01-02T03:04:05Z"

// write writes the workspace below dir, commits it, always as the same commit,
// and returns the project's folder.
func (s app) write(t *testing.T, dir string, o writeOptions) string {
	t.Helper()
	project := filepath.Join(dir, "examples", s.example)
	all := map[string]string{filepath.Join(dir, "toolchain.toml"): s.manifest}
	for name, text := range s.files {
		all[filepath.Join(project, name)] = text
	}
	for _, path := range sortedKeys(all, o.reverse) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(project, path)
		mode := s.modes[rel]
		if mode == 0 {
			mode = 0o644
		}
		if err := os.WriteFile(path, []byte(all[path]), mode); err != nil {
			t.Fatal(err)
		}
	}
	commitAll(t, dir)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !o.mtime.IsZero() {
			err = os.Chtimes(path, o.mtime, o.mtime)
		}
		if err == nil && o.uid != 0 {
			err = os.Lchown(path, o.uid, o.uid)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func commitAll(t *testing.T, dir string) {
	t.Helper()
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A", "-f"}, {"commit", "-q", "-m", "source"}} {
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
			"GIT_AUTHOR_DATE=" + commitTime, "GIT_COMMITTER_DATE=" + commitTime,
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args[0], err, out)
		}
	}
}

// primedHome returns a new RETORT_HOME in which the toolchain of an example is
// unpacked and configured and nothing is compiled: a copy of one made once.
func (k *kit) primedHome(t *testing.T, s app, uid int) string {
	t.Helper()
	home := filepath.Join(folder(t), "home")
	from := k.primedOnce(t, s)
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", from, home).CombinedOutput(); err != nil {
		t.Fatalf("copy a store: %v\n%s", err, out)
	}
	if uid != 0 {
		if out, err := exec.CommandContext(t.Context(), "chown", "-hR", fmt.Sprintf("%d:%d", uid, uid), home).CombinedOutput(); err != nil {
			t.Fatalf("chown a store: %v\n%s", err, out)
		}
	}
	return home
}

// primedOnce returns the store that primedHome copies.
func (k *kit) primedOnce(t *testing.T, s app) string {
	t.Helper()
	if from := k.primed[s.example+s.variant]; from != "" {
		return from
	}
	dir := folder(k.t) // other tests use it too
	from := filepath.Join(dir, "home")
	at := "project"
	for _, dep := range []string{"poolboy", "jiffy"} { // jiffy has the compilers, too
		if strings.Contains(s.files["mix.lock"], strconv.Quote(dep)) {
			at = "dep:" + dep
		}
	}
	k.must(t, start{home: from, dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{})}, "exec", "--at", at, "--", "true")
	k.primed[s.example+s.variant] = from
	return from
}

// hexRepository is the repository of the examples' packages.
func hexRepository() (*fixture.HexRepo, error) {
	cache, err := fixture.CacheDir()
	if err != nil {
		return nil, err
	}
	mirrors, err := fixture.Mirrors(context.Background())
	if err != nil {
		return nil, err
	}
	sources := fixture.Sources{Dir: filepath.Join(cache, "sources"), Mirrors: mirrors}
	return fixture.BuildHexRepo(context.Background(), sources, fixture.HexPackages())
}
