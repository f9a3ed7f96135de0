package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

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
	npm    string // the npm registry; nothing listens where it would be if ""

	toolchain func() error // waits for what compileToolchain began
}

// TestE2E is every end-to-end test; one of them is
// go test ./cmd/retort -run TestE2E/Matrix/hello.
func TestE2E(t *testing.T) {
	if os.Getenv("RETORT_E2E") != "1" {
		t.Skip("builds real releases with Debian's packages: set RETORT_E2E=1")
	}
	k := newKit(t)
	if flag.Lookup("test.run").Value.String() == "" {
		k.toolchain = k.compileToolchain(t)
	}
	t.Run("Matrix", k.testMatrix)
	t.Run("Year", k.testYear)
	t.Run("Clock", k.testClock)
	t.Run("Canary", k.testCanary)
	t.Run("Faults", k.testFaults)
	t.Run("Stale", k.testStale)
	t.Run("Dependencies", k.testDependencies)
	t.Run("Generate", k.testGenerate)
	t.Run("Assets", k.testAssets)
	t.Run("CompileError", k.testCompileError)
	t.Run("Damage", k.testDamage)
	t.Run("FullDisk", k.testFullDisk)
	t.Run("Together", k.testTogether)
	t.Run("ImageLacks", k.testImageLacks)
	t.Run("Image", k.testImage)
	t.Run("Release", k.testRelease)
	t.Run("Base", k.testBase)
	t.Run("Apps", k.testApps)
	t.Run("Ejabberd", k.testEjabberd)
	t.Run("NIF", k.testNIF)
	t.Run("Git", k.testGit)
	t.Run("Kill", k.testKill)
	t.Run("Interrupt", k.testInterrupt)
	t.Run("Incremental", k.testIncremental)
	t.Run("Amend", k.testAmend)
	t.Run("BrokenStates", k.testBrokenStates)
	t.Run("Edits", k.testEdits)
	t.Run("Platforms", k.testPlatforms)
	t.Run("ForeignNIF", k.testForeignNIF)
	t.Run("Toolchain", k.testToolchain)
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
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", k.bin, ".")
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
	noStdin bool     // closed, and not /dev/null
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
		if err := replaceFile(key, fixture.HexPublicKey); err != nil { // others may read it now
			return nil, err
		}
		text += fmt.Sprintf("[hex]\nmirror = %q\npublic_key = %q\n", url, key)
	}
	if err := replaceFile(config, []byte(text)); err != nil { // others may read it now
		return nil, err
	}
	registry := k.npm
	if registry == "" {
		registry = "http://127.0.0.1:1/"
	}
	argv := append([]string{k.bin}, args...)
	if o.umask != "" || o.noStdin {
		script := `exec "$@"`
		if o.noStdin {
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
		"RETORT_NPM_REGISTRY=" + registry,
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
		o.timeout = 20 * time.Minute
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
