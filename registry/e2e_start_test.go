package registry

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func writeArchive(t *testing.T, name string, tagged Tagged, blobs Blobs) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := WriteDockerArchive(t.Context(), f, []Tagged{tagged}, blobs); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// evaluated loads an archive with podman and runs an expression in the image.
func evaluated(t *testing.T, archive string, c Composition) {
	t.Helper()
	dir, err := os.MkdirTemp("", "pod") // podman wants its path below 50 characters
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	podman := func(args ...string) string {
		return run(t, append([]string{"podman", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"),
			"--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"}, args...)...)
	}
	podman("load", "-q", "-i", archive)
	args := []string{"run", "--rm", "--network", "none", "--read-only", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", "--entrypoint", c.Eval[0], "localhost/hello:1"}
	args = append(append(args, c.Eval[1:]...), "IO.puts(6 * 7); IO.inspect(System.get_env(\"RELEASE_NAME\"))")
	got := podman(args...)
	if !strings.Contains(got, "42\n\"hello\"\n") {
		t.Errorf("eval in the image says %q", got)
	}
	podman("rmi", "localhost/hello:1")
}

// Elixir's own script says what it would run. The entrypoint must be that, but
// for the cookie and for "erl", which runs erlexec.
func TestE2EEntrypointIsWhatTheScriptsRun(t *testing.T) {
	e2e(t, "mmdebstrap")
	root := debianRoot(t)
	rt := helloRuntime(t)
	c := composed(t, rt)
	release := rt.Release.(dirTree).root
	inside := strings.TrimPrefix(release, root)
	cmd := exec.Command("chroot", root, "env", "-i", "PATH=/usr/bin:/bin", "ELIXIR_CLI_DRY_RUN=1", "NO_COLOR=1", "RELEASE_TMP=/tmp",
		"RELEASE_DISTRIBUTION=none", "RELEASE_COOKIE=c", inside+"/bin/hello", "start")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := strings.Fields(strings.ReplaceAll(string(out), inside, "/app"))
	var want []string
	for i := 0; i < len(got); i++ {
		switch {
		case i == 0:
			want = append(want, "/app/erts-15.2.7/bin/erlexec")
		case got[i] == "-setcookie":
			i++
		default:
			want = append(want, got[i])
		}
	}
	if d := cmp.Diff(want, c.Entrypoint); d != "" {
		t.Errorf("entrypoint (-script +ours):\n%s", d)
	}
}
