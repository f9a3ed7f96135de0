package git_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retort-build/retort/env/git"
)

// TestServers fetches a commit that no branch ends at from servers of all kinds.
func TestServers(t *testing.T) {
	needGit(t)
	for _, kind := range []string{"modern", "old", "old, any commit", "dumb", "file", "path"} {
		t.Run(kind, func(t *testing.T) {
			root := t.TempDir()
			dir := filepath.Join(root, "lib")
			commit := repo(t, dir, map[string]string{"mix.exs": "one", "bin/run": "#!", "a b/é": "x"})
			repo(t, dir, map[string]string{"mix.exs": "two"})
			kind, any, _ := strings.Cut(kind, ", ")
			if any != "" {
				runGit(t, dir, "config", "uploadpack.allowReachableSHA1InWant", "true")
			}
			var url string
			switch kind {
			case "file":
				url = "file://" + dir
			case "path":
				url = dir
			default:
				runGit(t, dir, "update-server-info")
				url = serve(t, root, kind) + "/lib/.git"
			}
			got := checkout(t, cache(t), git.Source{URL: url, Commit: commit})
			if want := "a b/é bin/run mix.exs"; got.files() != want || got["mix.exs"] != "644 one" || got["bin/run"] != "755 #!" {
				t.Errorf("got %v, want %s", got, want)
			}
			refuse(t, cache(t), git.Source{URL: url, Commit: strings.Repeat("ab", 20)}, "no branch or tag of the repository has that commit")
		})
	}
}

// TestMixCheck asks of the result what Mix asks, and rebar3.
func TestMixCheck(t *testing.T) {
	needGit(t)
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), `odd "na\me#`)
			commit := repo(t, dir, map[string]string{"mix.exs": ""}, "--object-format="+format)
			repo(t, dir, map[string]string{"mix.exs": "later"})
			got := checkout(t, cache(t), git.Source{URL: dir, Commit: commit, Tag: "v1.2.3"})
			out := t.TempDir()
			for name, text := range got {
				full := filepath.Join(out, name)
				if text == "/" {
					if err := os.MkdirAll(full, 0o755); err != nil {
						t.Fatal(err)
					}
					continue
				}
				if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
					t.Fatal(err)
				}
				_, content, _ := strings.Cut(text, " ")
				if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for _, q := range []struct{ want, args string }{
				{dir, "--git-dir=.git config remote.origin.url"},
				{commit, "--git-dir=.git rev-parse --verify --quiet HEAD"},
				{"v1.2.3", "describe --tags --abbrev=0"},
				{"1", "rev-list --count HEAD"},
				{"work", "log -1 --format=%s"},
			} {
				if got := runGit(t, out, strings.Fields(q.args)...); got != q.want {
					t.Errorf("git %s: got %q, want %q", q.args, got, q.want)
				}
			}
			for name := range got {
				if strings.HasPrefix(name, ".git/hooks") || strings.Contains(name, "pack") || strings.HasSuffix(name, "index") {
					t.Errorf("%s: more than Mix needs", name)
				}
			}
		})
	}
}

// TestAsMixChecksOut compares with what Mix does: the same commands of git.
func TestAsMixChecksOut(t *testing.T) {
	needGit(t)
	root := t.TempDir()
	repo(t, filepath.Join(root, "inner"), map[string]string{"inner.txt": "i"})
	sub := filepath.Join(root, "sub")
	repo(t, sub, map[string]string{"s/optimized": "s"})
	runGit(t, sub, "submodule", "--quiet", "add", "../inner", "deep/inner")
	runGit(t, sub, "config", "-f", ".gitmodules", "submodule.deep/inner.url", "./../../inner/.git/")
	repo(t, sub, nil)
	top := filepath.Join(root, "top")
	url := serve(t, root, "modern")
	repo(t, top, map[string]string{
		"optimized/24/a.svg": "a", "b/optimized/c.svg": "c", "optimizedx": "x", "z/optimized": "file", "mix.exs": "m",
		".gitattributes": "*.txt text eol=crlf export-ignore\nv.ex export-subst ident\n", "w.txt": "1\n2\n", "v.ex": "$Format:%H$ $Id$",
		"l": "-> b/optimized", "assets/optimized/q": "q",
	})
	runGit(t, top, "submodule", "--quiet", "add", url+"/sub/.git", "vendor/sub")
	runGit(t, top, "config", "-f", ".gitmodules", "submodule.vendor/sub.url", "../../sub/.git")
	commit := repo(t, top, nil)
	from := url + "/top/.git"
	for _, s := range []git.Source{
		{}, {Submodules: true}, {Sparse: "optimized"}, {Sparse: "optimized/"}, {Sparse: "/optimized"}, {Sparse: "b/optimized"},
		{Sparse: "optimized", Submodules: true}, {Sparse: "vendor"}, {Sparse: "mix.exs"},
	} {
		t.Run(fmt.Sprintf("%q %v", s.Sparse, s.Submodules), func(t *testing.T) {
			s.URL, s.Commit = from, commit
			got := checkout(t, cache(t), s)
			want := mixCheckout(t, s)
			if got.files() != want.files() {
				t.Errorf("got  %s\nwant %s", got.files(), want.files())
			}
			for name, text := range want {
				if strings.HasPrefix(name, ".git/") || name == "w.txt" || name == "v.ex" || text == "/" {
					continue
				}
				if got[name] != text {
					t.Errorf("%s: got %q, want %q", name, got[name], text)
				}
			}
			if s.Sparse == "" && (got["w.txt"] != "644 1\n2\n" || got["v.ex"] != "644 $Format:%H$ $Id$") {
				t.Errorf("an attribute changed %q or %q", got["w.txt"], got["v.ex"])
			}
		})
	}
}

// mixCheckout runs the commands of Mix.SCM.Git and reads what they leave.
func mixCheckout(t *testing.T, s git.Source) tree {
	t.Helper()
	dir := t.TempDir()
	runGit(t, dir, "init", "--quiet")
	runGit(t, dir, "--git-dir=.git", "remote", "add", "origin", s.URL)
	if s.Sparse != "" {
		runGit(t, dir, "--git-dir=.git", "config", "core.sparsecheckout", "true")
		if err := os.MkdirAll(filepath.Join(dir, ".git/info"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ".git/info/sparse-checkout"), []byte(s.Sparse), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	runGit(t, dir, "--git-dir=.git", "fetch", "--force", "--quiet")
	runGit(t, dir, "--git-dir=.git", "checkout", "--force", "--quiet", s.Commit)
	if s.Submodules {
		runGit(t, dir, "submodule", "update", "--init", "--recursive")
	}
	out := tree{}
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		rel, _ := filepath.Rel(dir, p)
		if err != nil || rel == "." {
			return err
		}
		if d.Name() == ".git" {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			inside, err := os.ReadDir(p)
			// A folder is in a commit only as that of a submodule.
			if err == nil && (len(inside) == 0 || slices.ContainsFunc(inside, func(e os.DirEntry) bool { return e.Name() == ".git" })) {
				out[rel] = "/"
			}
			return err
		case info.Mode()&os.ModeSymlink != 0:
			link, err := os.Readlink(p)
			out[rel] = "-> " + link
			return err
		}
		data, err := os.ReadFile(p)
		out[rel] = fmt.Sprintf("%o %s", info.Mode().Perm()&0o755, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
