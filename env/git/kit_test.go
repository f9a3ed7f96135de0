package git_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-build/retort/env/git"
	"github.com/retort-build/retort/internal/tarball"
)

// tree is a sink in memory: content by path, "/" for folders, "-> x" for links.
type tree map[string]string

func (s tree) Add(e tarball.Entry, content io.Reader) error {
	if _, ok := s[e.Path]; ok {
		return fmt.Errorf("%s twice", e.Path)
	}
	switch e.Kind {
	case tarball.Dir:
		s[e.Path] = "/"
	case tarball.Symlink:
		s[e.Path] = "-> " + e.Link
	default:
		data, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		s[e.Path] = fmt.Sprintf("%o %s", e.Mode, data)
	}
	return nil
}

// files are the paths outside of .git, sorted.
func (s tree) files() string {
	var out []string
	for p := range s {
		if !strings.HasPrefix(p, ".git/") {
			out = append(out, p)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

var fixed = []string{
	"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C",
	"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
	"GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z", "GIT_ALLOW_PROTOCOL=file:http",
}

func needGit(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs the program git")
	}
}

func runGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
	cmd.Env = fixed
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// repo makes a repository with one commit and returns its folder and commit.
// A file whose text begins with "-> " is a symbolic link.
func repo(t *testing.T, dir string, files map[string]string, args ...string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".git")); err != nil {
		runGit(t, dir, append([]string{"init", "-q", "-b", "main"}, args...)...)
	}
	for name, text := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(target, full); err != nil {
				t.Fatal(err)
			}
			continue
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(full, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	runGit(t, dir, "add", "-A", "-f")
	runGit(t, dir, "commit", "-q", "--allow-empty", "-m", "work")
	return runGit(t, dir, "rev-parse", "HEAD")
}

// serve serves the repositories below root as web servers do: smart, with the
// protocol's version 0 only unless modern, or dumb.
func serve(t *testing.T, root, kind string) string {
	t.Helper()
	exe := filepath.Join(runGit(t, root, "--exec-path"), "git-http-backend")
	if _, err := os.Stat(exe); err != nil {
		t.Skip("needs git-http-backend")
	}
	backend := &cgi.Handler{Path: exe, Env: append([]string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"}, fixed...), Stderr: io.Discard}
	static := http.FileServer(http.Dir(root))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); strings.HasPrefix(r.URL.Path, "/private/") && (!ok || user != "u" || password != "hunter2") {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch kind {
		case "dumb":
			static.ServeHTTP(w, r)
			return
		case "old":
			r.Header.Del("Git-Protocol")
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func cache(t *testing.T) *git.Cache {
	return &git.Cache{Dir: filepath.Join(t.TempDir(), "git"), Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1"}}
}

func checkout(t *testing.T, c *git.Cache, s git.Source) tree {
	t.Helper()
	got := tree{}
	if err := c.Fetch(t.Context(), s, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Unpack(t.Context(), s, got); err != nil {
		t.Fatal(err)
	}
	return got
}

func refuse(t *testing.T, c *git.Cache, s git.Source, want string) {
	t.Helper()
	err := c.Fetch(t.Context(), s, nil)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v, want an error with %q", err, want)
	}
}
