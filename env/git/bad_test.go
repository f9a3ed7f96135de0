package git_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/retort-build/retort/env/git"
	"github.com/retort-build/retort/env/hex"
	"github.com/retort-build/retort/internal/tarball"
)

// TestRefused has repositories that must not become a layer.
func TestRefused(t *testing.T) {
	needGit(t)
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"absolute link", map[string]string{"l": "-> /etc/passwd"}, `symlink "l" to "/etc/passwd": it leads out`},
		{"link out", map[string]string{"a/l": "-> ../../x"}, "it leads out"},
		{"link out by another", map[string]string{"a/b/up": "-> ../..", "l": "-> a/b/up/../x"}, "it leads out"},
		{"link in a circle", map[string]string{"a": "-> b", "b": "-> a"}, "circle"},
		{"name of control characters", map[string]string{"a\x01b": ""}, "control character"},
		{"large file", map[string]string{"big": strings.Repeat("x", 70000)}, "more than 65536"},
		{"nothing of a sparse checkout", map[string]string{"sparse": "nowhere"}, `sparse: the commit has no "nowhere"`},
		{"submodule without url", map[string]string{".gitmodules": "[submodule \"x\"]\n\tpath = vendor\n"}, "no url"},
		{"submodule on this machine", map[string]string{".gitmodules": "[submodule \"x\"]\n\tpath = vendor\n\turl = /etc\n"}, "only relative"},
		{"submodule by a helper", map[string]string{".gitmodules": "[submodule \"x\"]\n\tpath = vendor\n\turl = ext::sh -c true\n"}, "remote helpers"},
		{"submodule as an option", map[string]string{".gitmodules": "[submodule \"x\"]\n\tpath = vendor\n\turl = --upload-pack=x\n"}, "no address"},
		{"submodule that runs", map[string]string{".gitmodules": "[submodule \"x\"]\n\tpath = vendor\n\turl = ../x\n\tupdate = !sh\n"}, "runs a command"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "lib")
			commit := repo(t, dir, tt.files)
			if strings.HasPrefix(tt.name, "submodule") {
				runGit(t, dir, "update-index", "--add", "--cacheinfo", "160000,"+commit+",vendor")
				runGit(t, dir, "commit", "-q", "-m", "link")
				commit = runGit(t, dir, "rev-parse", "HEAD")
			}
			c := cache(t)
			c.Limits.FileBytes = 1 << 16
			s := git.Source{URL: dir, Commit: commit, Submodules: true, Sparse: tt.files["sparse"]}
			err := c.Fetch(t.Context(), s, nil)
			if err == nil { // what a layer's writer checks
				err = c.Unpack(t.Context(), s, checking{})
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// checking checks paths as layers do.
type checking struct{}

func (checking) Add(e tarball.Entry, content io.Reader) error {
	if err := tarball.CheckPath(e.Path); err != nil {
		return err
	}
	if content != nil {
		_, err := io.Copy(io.Discard, content)
		return err
	}
	return nil
}

// TestLimits bounds what a server may send.
func TestLimits(t *testing.T) {
	needGit(t)
	dir := filepath.Join(t.TempDir(), "lib")
	commit := repo(t, dir, map[string]string{"a": "a", "b": "b", "c": strings.Repeat("c", 5000)})
	for _, tt := range []struct {
		limits git.Limits
		want   string
	}{
		{git.Limits{Files: 2}, "more than 2 files"},
		{git.Limits{Bytes: 5001}, "more than"},
		{git.Limits{Download: 10}, "the repository has more than 10 bytes"},
	} {
		c := cache(t)
		c.Limits = tt.limits
		refuse(t, c, git.Source{URL: dir, Commit: commit}, tt.want)
		c.Limits = git.Limits{}
		checkout(t, c, git.Source{URL: dir, Commit: commit})
	}
}

// TestDamage changes an object in the cache: it is fetched again by Fetch, and
// found by Unpack.
func TestDamage(t *testing.T) {
	needGit(t)
	dir := filepath.Join(t.TempDir(), "lib")
	commit := repo(t, dir, map[string]string{"a": "good"})
	c := cache(t)
	s := git.Source{URL: dir, Commit: commit}
	checkout(t, c, s)
	repos, err := filepath.Glob(filepath.Join(c.Dir, "*", "shallow.git"))
	if err != nil || len(repos) != 1 {
		t.Fatal(repos, err)
	}
	// A loose object with another's name is what git prefers to a pack's.
	blob := runGit(t, dir, "rev-parse", "HEAD:a")
	other := filepath.Join(t.TempDir(), "other")
	repo(t, other, map[string]string{"a": "evil"})
	evil := runGit(t, other, "rev-parse", "HEAD:a")
	packs, _ := filepath.Glob(filepath.Join(repos[0], "objects/pack/*"))
	for _, p := range packs {
		if strings.HasSuffix(p, ".pack") {
			data, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "git", "-C", repos[0], "unpack-objects", "-q")
			cmd.Env, cmd.Stdin = fixed, bytes.NewReader(data)
			_ = os.Rename(p, p+".gone")
			_ = os.Remove(strings.TrimSuffix(p, ".pack") + ".idx")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
	}
	data, err := os.ReadFile(filepath.Join(other, ".git/objects", evil[:2], evil[2:]))
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(repos[0], "objects", blob[:2], blob[2:])
	_ = os.Remove(target)
	if err := os.WriteFile(target, data, 0o444); err != nil {
		t.Fatal(err)
	}
	if err := c.Unpack(t.Context(), s, tree{}); err == nil {
		t.Error("Unpack took another object")
	}
	if got := checkout(t, c, s); got["a"] != "644 good" {
		t.Errorf("after damage: %q", got["a"])
	}
}

// TestKilled leaves a repository whose writer died, as a kill does.
func TestKilled(t *testing.T) {
	needGit(t)
	dir := filepath.Join(t.TempDir(), "lib")
	commit := repo(t, dir, map[string]string{"a": "a"})
	c := cache(t)
	s := git.Source{URL: dir, Commit: commit}
	checkout(t, c, s)
	found, _ := filepath.Glob(filepath.Join(c.Dir, "*", "shallow.git"))
	for _, name := range []string{"shallow.lock", "config.lock"} {
		if err := os.WriteFile(filepath.Join(found[0], name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(found[0]), "busy"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	second := repo(t, dir, map[string]string{"a": "b"})
	s.Commit = second
	if got := checkout(t, c, s); got["a"] != "644 b" {
		t.Errorf("got %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := cache(t).Fetch(ctx, s, nil); err == nil {
		t.Error("a cancelled fetch succeeds")
	}
}

// TestTogether fetches one repository from several callers at once.
func TestTogether(t *testing.T) {
	needGit(t)
	dir := filepath.Join(t.TempDir(), "lib")
	var commits []string
	for i := range 4 {
		commits = append(commits, repo(t, dir, map[string]string{"a": fmt.Sprint(i)}))
	}
	shared := cache(t)
	errs := make(chan error, len(commits))
	for i, commit := range commits {
		go func() {
			own := git.Cache{Dir: shared.Dir, Env: shared.Env} // as another process has
			got := tree{}
			err := own.Unpack(t.Context(), git.Source{URL: dir, Commit: commit}, got)
			if err == nil && got["a"] != fmt.Sprintf("644 %d", i) {
				err = fmt.Errorf("got %v, want %d", got, i)
			}
			errs <- err
		}()
	}
	for range commits {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// TestSecrets fetches with a password that only git's configuration knows, and
// fails without: in no error is it, nor in the cache.
func TestSecrets(t *testing.T) {
	needGit(t)
	root := t.TempDir()
	commit := repo(t, filepath.Join(root, "private", "lib"), map[string]string{"a": "a"})
	url := serve(t, root, "modern")
	s := git.Source{URL: url + "/private/lib/.git", Commit: commit}
	c := cache(t)
	err := c.Fetch(t.Context(), s, nil)
	if err == nil || !strings.Contains(err.Error(), "could not read Username") {
		t.Fatalf("without a password: %v", err)
	}
	rewrite := func(password string) {
		with := strings.Replace(url, "://", "://u:"+password+"@", 1)
		c.Env = append(slices.Clone(c.Env), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url."+with+".insteadOf", "GIT_CONFIG_VALUE_0="+url)
	}
	rewrite("hunter3")
	if err := c.Fetch(t.Context(), s, nil); err == nil || strings.Contains(err.Error(), "hunter3") {
		t.Fatalf("with a wrong password: %v", err)
	}
	c = cache(t)
	rewrite("hunter2")
	got := checkout(t, c, s)
	for name, text := range got {
		if strings.Contains(text, "hunter") {
			t.Errorf("%s holds the password", name)
		}
	}
	err = filepath.WalkDir(c.Dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		if bytes.Contains(data, []byte("hunter2")) {
			t.Errorf("%s holds the password", p)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestFromLock reads entries of mix.lock.
func TestFromLock(t *testing.T) {
	entry := func(url, options string) hex.Locked {
		t.Helper()
		locked, err := hex.ParseLock("mix.lock", fmt.Appendf(nil, "%%{\"a\": {:git, %q, \"0123456789012345678901234567890123456789\", [%s]}}", url, options))
		if err != nil {
			t.Fatal(err)
		}
		return locked[0]
	}
	got, err := git.FromLock(entry("git@host.example:x/y.git", `tag: "v1", sparse: "a/b", depth: 1, submodules: true, subdir: "c"`))
	want := git.Source{URL: "git@host.example:x/y.git", Commit: "0123456789012345678901234567890123456789", Tag: "v1", Sparse: "a/b", Submodules: true}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for _, url := range []string{"ssh://git@host.example/x", "https://host.example/x", "https://git@host.example/x", "git://host.example/x", "/srv/x", "file:///srv/x", "git+ssh://git@host.example/x"} {
		if _, err := git.FromLock(entry(url, "")); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, tt := range []struct{ url, options, want string }{
		{"https://u:hunter2@host.example/x", "", "mix.exs has a user or password"},
		{"https://ghp_hunter2@host.example/x", "", "mix.exs has a user or password"},
		{"ssh://git:hunter2@host.example/x", "", "mix.exs has a user or password"},
		{"ext::sh -c hunter2", "", "remote helpers"},
		{"../x", "", "relative to deps/"},
		{"ftp://host.example/x", "", "want an https"},
		{"ssh://-oProxyCommand=x/y", "", "begins with a dash"},
		{"https://host.example/x", `sparse: "../x"`, "no folder"},
		{"https://host.example/x", `sparse: "*.svg"`, "no folder"},
		{"https://host.example/x", `subdir: "../x"`, "no folder"},
		{"https://host.example/x", `filter: "blob"`, "does not know the option filter:"},
	} {
		_, err := git.FromLock(entry(tt.url, tt.options))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2@") {
			t.Errorf("%s %s: got %v, want %q", tt.url, tt.options, err, tt.want)
		}
	}
}

// TestPrune removes what is old, and leaves what is in use.
func TestPrune(t *testing.T) {
	needGit(t)
	root := t.TempDir()
	c := cache(t)
	for _, name := range []string{"old", "new"} {
		commit := repo(t, filepath.Join(root, name), map[string]string{"a": name})
		checkout(t, c, git.Source{URL: filepath.Join(root, name), Commit: commit})
	}
	locks, err := filepath.Glob(filepath.Join(c.Dir, "*.lock"))
	if err != nil || len(locks) != 2 {
		t.Fatal(locks, err)
	}
	now := time.Now()
	if err := os.Chtimes(locks[0], now, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, dryRun := range []bool{true, false} {
		count, size, err := c.Prune(now.Add(-time.Minute), dryRun)
		if count != 1 || size <= 0 || err != nil {
			t.Fatalf("dry run %v: %d repositories, %d bytes, %v", dryRun, count, size, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(c.Dir, "*")); len(left) != 2 {
		t.Errorf("left: %v", left)
	}
	held, err := os.Open(locks[1])
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if count, _, err := c.Prune(now.Add(time.Hour), false); count != 0 || err != nil {
		t.Errorf("removed %d repositories in use, %v", count, err)
	}
}
