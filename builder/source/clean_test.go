package source

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What a build leaves in the project, and what the user's own settings of git
// say, must not decide whether the source is that of the commit.
func TestClean(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	tests := []struct {
		name  string
		write string // "" writes nothing
		clean bool
	}{
		{"as committed", "", true},
		{"results of a build", "app/dist/app-1.0.0-linux-amd64.tar.gz", true},
		{"compiled code", "app/_build/prod/x.beam", true},
		{"changed file", "app/lib/a.ex", false},
		{"new file", "app/lib/b.ex", false},
		{"changed lock", "app/toolchain.lock", false},
		{"beside the project", "other/a.ex", true},
		{"ignored file", "app/ignored.log", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, filepath.Join(dir, "app/lib/a.ex"), "1")
			put(t, filepath.Join(dir, "app/toolchain.lock"), "1")
			put(t, filepath.Join(dir, "app/.gitignore"), "*.log\n")
			for _, args := range [][]string{
				{"init", "-q"}, {"add", "-A"},
				{"-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "first"},
			} {
				if _, err := Git(context.Background(), dir, args...); err != nil {
					t.Fatal(err)
				}
			}
			// A user for whom git ignores everything, and an environment that
			// points elsewhere.
			home := t.TempDir()
			put(t, filepath.Join(home, ".gitconfig"), "[core]\nexcludesFile = "+filepath.Join(home, "ignore")+"\n[status]\nshowUntrackedFiles = no\n[diff]\nexternal = /bin/false\n")
			put(t, filepath.Join(home, "ignore"), "*\n")
			t.Setenv("HOME", home)
			t.Setenv("GIT_DIR", filepath.Join(home, "nowhere"))
			t.Setenv("GIT_WORK_TREE", home)
			if test.write != "" {
				put(t, filepath.Join(dir, test.write), "2")
			}
			clean, err := Clean(context.Background(), filepath.Join(dir, "app"))
			if err != nil || clean != test.clean {
				t.Errorf("Clean = %v, %v; want %v", clean, err, test.clean)
			}
		})
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
