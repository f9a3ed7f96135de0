package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/fixture"
)

// The end-to-end tests run the real program on the real examples. Debian's
// packages are fetched once per machine, into a seed store below
// RETORT_TEST_CACHE; every other store of a test gets them from a loopback
// mirror that serves the seed's blobs (see e2e_mirror_test.go).

// A kit is what all end-to-end tests share. It lives as long as TestE2E.
type kit struct {
	t      *testing.T        // TestE2E
	bin    string            // the program
	cache  string            // kept between runs
	seed   string            // RETORT_HOME with every package
	locks  map[string][]byte // by example: a lock whose packages are in the seed
	primed map[string]string // by example: a RETORT_HOME with the toolchain unpacked
	mirror *mirror
}

// TestE2E is every end-to-end test; one of them is
// go test ./cmd/retort -run TestE2E/Matrix/hello.
func TestE2E(t *testing.T) {
	if os.Getenv("RETORT_E2E") != "1" {
		t.Skip("builds real releases with Debian's packages: set RETORT_E2E=1")
	}
	k := newKit(t)
	t.Run("Matrix", k.testMatrix)
	t.Run("Clock", k.testClock)
	t.Run("Canary", k.testCanary)
	t.Run("Faults", k.testFaults)
	t.Run("Stale", k.testStale)
	t.Run("CompileError", k.testCompileError)
	t.Run("Damage", k.testDamage)
	t.Run("FullDisk", k.testFullDisk)
	t.Run("Together", k.testTogether)
	t.Run("ImageLacks", k.testImageLacks)
	t.Run("Image", k.testImage)
	t.Run("Release", k.testRelease)
	t.Run("Kill", k.testKill)
	t.Run("Interrupt", k.testInterrupt)
}

// needRoot fails a test that only root can run: with RETORT_E2E=1 nothing skips.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test takes other users' places and mounts: run it as root")
	}
}

func needTools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("this test needs %s: %v", name, err)
		}
	}
}

func newKit(t *testing.T) *kit {
	t.Helper()
	cache := os.Getenv("RETORT_TEST_CACHE")
	if cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(user, "retort-test", "e2e")
	}
	k := &kit{t: t, cache: cache, seed: filepath.Join(cache, "home"), locks: map[string][]byte{}, primed: map[string]string{}}
	if err := os.MkdirAll(filepath.Join(cache, "locks"), 0o755); err != nil {
		t.Fatal(err)
	}
	k.bin = filepath.Join(folder(t), "retort")
	build := exec.Command("go", "build", "-trimpath", "-o", k.bin, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	k.mirror = newMirror(t, k)
	return k
}

// folder makes a directory that other users can reach, and removes it with
// whatever the test left there.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "retort-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeAll(t, dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// removeAll removes a tree whose folders may be read-only.
func removeAll(t *testing.T, dir string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// A start is one run of the program and the circumstances of it.
type start struct {
	dir     string   // the project
	home    string   // RETORT_HOME
	user    string   // HOME; an empty folder beside RETORT_HOME when ""
	uid     int      // 0 is the caller
	env     []string // added
	mirror  string   // RETORT_DEBIAN_MIRROR; the kit's when ""
	wrap    []string // a command that runs the rest of its arguments
	umask   string   // as the shell takes it
	stdin   bool     // false is /dev/null, true is closed
	timeout time.Duration
}

// A result is what a run said.
type result struct {
	code           int
	stdout, stderr string
	took           time.Duration
}

func (r result) String() string {
	return fmt.Sprintf("exit status %d after %v\nstdout:\n%s\nstderr:\n%s", r.code, r.took.Round(time.Millisecond), r.stdout, r.stderr)
}

// command is the program with its whole environment; it is not started.
func (k *kit) command(ctx context.Context, o start, args ...string) (*exec.Cmd, error) {
	user := o.user
	if user == "" {
		user = o.home + ".user"
	}
	for _, dir := range []string{o.home, user} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		if o.uid != 0 {
			if err := os.Lchown(dir, o.uid, o.uid); err != nil {
				return nil, err
			}
		}
	}
	config := o.home + ".toml"
	text := "[debian]\nsnapshot = \"none\"\n"
	if url := k.mirror.hexURL(); url != "" {
		key := o.home + ".pem"
		if err := os.WriteFile(key, fixture.HexPublicKey, 0o644); err != nil {
			return nil, err
		}
		text += fmt.Sprintf("[hex]\nmirror = %q\npublic_key = %q\n", url, key)
	}
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	argv := append([]string{k.bin}, args...)
	if o.umask != "" || o.stdin {
		script := `exec "$@"`
		if o.stdin {
			script += " <&-"
		}
		if o.umask != "" {
			script = "umask " + o.umask + "; " + script
		}
		argv = append([]string{"/bin/sh", "-c", script, "sh"}, argv...)
	}
	if o.uid != 0 {
		id := fmt.Sprint(o.uid)
		argv = append([]string{"setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--"}, argv...)
	}
	argv = append(append([]string{}, o.wrap...), argv...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = o.dir
	if o.mirror == "" {
		o.mirror = k.mirror.url()
	}
	cmd.Env = append([]string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + user, "RETORT_HOME=" + o.home, "RETORT_CONFIG=" + config, "RETORT_DEBIAN_MIRROR=" + o.mirror,
	}, o.env...)
	return cmd, nil
}

// run runs the program to its end.
func (k *kit) run(t *testing.T, o start, args ...string) result {
	t.Helper()
	r, err := k.try(o, args...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (k *kit) try(o start, args ...string) (result, error) {
	if o.timeout == 0 {
		o.timeout = 10 * time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
	defer cancel()
	cmd, err := k.command(ctx, o, args...)
	if err != nil {
		return result{}, err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err = cmd.Run()
	r := result{code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String(), took: time.Since(start)}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return r, fmt.Errorf("run %q: %w", cmd.Args, err)
	}
	if ctx.Err() != nil {
		return r, fmt.Errorf("run %q: still running after %v\n%s", cmd.Args, o.timeout, r)
	}
	return r, nil
}

// must is run for what has to succeed.
func (k *kit) must(t *testing.T, o start, args ...string) result {
	t.Helper()
	r := k.run(t, o, args...)
	if r.code != exitDone {
		t.Fatalf("retort %s: %s", strings.Join(args, " "), r)
	}
	return r
}

// refuse is run for what has to fail, with an exit code and words on stderr.
func (k *kit) refuse(t *testing.T, o start, code int, words []string, args ...string) result {
	t.Helper()
	r := k.run(t, o, args...)
	if r.code != code {
		t.Fatalf("retort %s: want exit status %d: %s", strings.Join(args, " "), code, r)
	}
	for _, w := range words {
		if !strings.Contains(r.stderr, w) {
			t.Errorf("retort %s: stderr has no %q:\n%s", strings.Join(args, " "), w, r.stderr)
		}
	}
	return r
}

// digests are the release's and the image's, of build's results.
type digests struct{ release, image digest.Digest }

// outputs reads the results of build: two lines, a path and a digest each.
func (r result) outputs(t *testing.T) (digests, []string) {
	t.Helper()
	var d digests
	var paths []string
	for line := range strings.Lines(r.stdout) {
		at := strings.LastIndexByte(line, ' ')
		if at < 0 {
			t.Fatalf("build printed %q: want a path and a digest", line)
		}
		path, sum := line[:at], digest.Digest(strings.TrimSpace(line[at+1:]))
		if err := sum.Validate(); err != nil {
			t.Fatalf("build printed %q: %v", line, err)
		}
		if strings.HasSuffix(path, ".tar.gz") {
			d.release = sum
		} else {
			d.image = sum
		}
		paths = append(paths, path)
	}
	if d.release == "" || d.image == "" {
		t.Fatalf("build printed no release or no image: %s", r)
	}
	return d, paths
}

// build builds, checks that the files are what was printed, and returns their
// digests and paths: the archive, then the image.
func (k *kit) build(t *testing.T, o start, args ...string) (digests, []string) {
	t.Helper()
	r := k.must(t, o, append([]string{"build", "--progress", "plain"}, args...)...)
	d, paths := r.outputs(t)
	f, err := os.Open(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := digest.FromReader(f)
	if err != nil || got != d.release {
		t.Fatalf("%s has digest %s, %v; build printed %s", paths[0], got, err, d.release)
	}
	if filepath.Ext(paths[1]) == ".oci" {
		index, err := os.ReadFile(filepath.Join(paths[1], "index.json"))
		if err != nil || !strings.Contains(string(index), d.image.String()) {
			t.Fatalf("the index of %s does not name %s: %v\n%s", paths[1], d.image, err, index)
		}
		manifest, err := os.ReadFile(filepath.Join(paths[1], "blobs", "sha256", d.image.Encoded()))
		if err != nil || digest.FromBytes(manifest) != d.image {
			t.Fatalf("the manifest of %s is not what its digest says: %v", paths[1], err)
		}
	}
	return d, paths
}

// An app is a project's tree before it is written somewhere.
type app struct {
	example  string
	variant  string            // what is particular to the lock, if it is not the example's
	manifest string            // toolchain.toml of the workspace
	files    map[string]string // of the project, by path
	modes    map[string]fs.FileMode
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
	kept := filepath.Join(k.cache, "locks", s.example+s.variant+".lock")
	offline := start{home: k.seed, mirror: "http://127.0.0.1:1"}
	online := start{home: k.seed, mirror: os.Getenv("RETORT_DEBIAN_MIRROR")}
	if online.mirror == "" {
		online.env = []string{"RETORT_DEBIAN_MIRROR="} // this machine's APT sources
	}
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
		cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
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
	from := k.primed[s.example]
	if from == "" {
		dir := folder(k.t) // other tests use it too
		from = filepath.Join(dir, "home")
		at := "project"
		if s.files["mix.lock"] != "" {
			at = "deps"
		}
		k.must(t, start{home: from, dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{})}, "exec", "--at", at, "--", "true")
		k.primed[s.example] = from
	}
	if out, err := exec.Command("cp", "-a", from, home).CombinedOutput(); err != nil {
		t.Fatalf("copy a store: %v\n%s", err, out)
	}
	if uid != 0 {
		if out, err := exec.Command("chown", "-hR", fmt.Sprintf("%d:%d", uid, uid), home).CombinedOutput(); err != nil {
			t.Fatalf("chown a store: %v\n%s", err, out)
		}
	}
	return home
}

// hexRepository is the repository of examples/shop's packages.
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
