package upstream_test

import (
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-build/retort/env/upstream"
	"github.com/retort-build/retort/internal/fetch"
)

// gitEnv keeps the user's configuration of git out.
var gitEnv = []string{
	"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C",
	"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
	"GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z",
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
	cmd.Env = gitEnv
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// TestGit finds and verifies releases in what git itself serves and archives:
// its smart server, and a plain file server with what update-server-info wrote.
func TestGit(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs the program git")
	}
	root := t.TempDir()
	repo := filepath.Join(root, "hexpm", "hex.git")
	if err := os.MkdirAll(repo, 0o755); err != nil {
		t.Fatal(err)
	}
	git(t, repo, "init", "-q", "--bare", "-b", "main")
	tree := git(t, repo, "mktree", "--missing")
	first := git(t, repo, "commit-tree", "-m", "one", tree)
	second := git(t, repo, "commit-tree", "-m", "two", "-p", first, tree)
	git(t, repo, "update-ref", "refs/heads/main", second)
	git(t, repo, "tag", "v2.0.6", first)
	git(t, repo, "tag", "-a", "-m", "v2.1.0", "v2.1.0", second)
	git(t, repo, "tag", "-a", "-m", "x", "v2.2.0-dev", first)
	git(t, repo, "update-server-info")
	for _, tag := range []string{"v2.0.6", "v2.1.0"} {
		file := filepath.Join(root, "hexpm", "hex", "archive", "refs", "tags", tag+".tar.gz")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		git(t, repo, "archive", "--format=tar.gz", "--prefix=hex-"+tag[1:]+"/", "-o", file, tag)
	}
	static := http.FileServer(http.Dir(root))
	smart := http.Handler(nil)
	exe := filepath.Join(git(t, root, "--exec-path"), "git-http-backend")
	if _, err := os.Stat(exe); err == nil {
		smart = &cgi.Handler{Path: exe, Env: append([]string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"}, gitEnv...), Stderr: io.Discard}
	}
	for name, refs := range map[string]http.Handler{"smart": smart, "plain": static} {
		t.Run(name, func(t *testing.T) {
			if refs == nil {
				t.Skip("needs git-http-backend")
			}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.Path, ".git/") {
					refs.ServeHTTP(w, r)
				} else {
					static.ServeHTTP(w, r)
				}
			}))
			t.Cleanup(server.Close)
			c := &upstream.Client{Fetch: &fetch.Client{Retries: -1}, Bases: upstream.Bases{GitHub: server.URL}}
			for want, commit := range map[string]string{"2.0.6": first, "2": second} {
				if r, err := fetched(t, c, "hex", want); err != nil || r.Commit != commit {
					t.Errorf("%s: got %+v, %v, want commit %s", want, r, err, commit)
				}
			}
		})
	}
	t.Run("files", func(t *testing.T) {
		c := &upstream.Client{Fetch: &fetch.Client{}, Bases: upstream.Bases{GitHub: "file://" + root}}
		if r, err := fetched(t, c, "hex", "2.1"); err != nil || r.Version != "2.1.0" {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}
