package sandbox

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-build/retort/builder"
)

// hostRoot is a root whose programs are those of this machine.
func hostRoot(t *testing.T) builder.Process {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"bin", "lib", "lib32", "lib64", "libx32", "sbin"} {
		to, err := os.Readlink("/" + name)
		if err != nil {
			continue
		}
		if err := os.Symlink(to, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(filepath.Join(root, "bin")); err != nil {
		t.Skip("/bin is not a link to usr/bin here")
	}
	dir := t.TempDir()
	w := &builder.Work{Path: "/build", Upper: filepath.Join(dir, "upper"), Tmp: filepath.Join(dir, "tmp")}
	for _, d := range []string{w.Upper, w.Tmp} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return builder.Process{
		Root: []string{root}, Work: w, Tmpfs: []string{"/tmp"}, Dir: "/build",
		Binds: []builder.Bind{{Source: "/usr", Target: "/usr"}, {Source: "/etc", Target: "/etc"}},
		Env:   []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/tmp"},
	}
}

// TestCompilers runs real programs which look around on the machine. Only the
// first is demanded of a machine that runs all tests.
func TestCompilers(t *testing.T) {
	for _, c := range []struct{ program, script, want string }{
		{"gcc", `echo 'int main(void){return 42;}' > a.c && gcc -O2 a.c -o a && { ./a; echo $?; }`, "42"},
		{"erl", `erl -noshell -eval 'io:format("~p ~p", [erlang:system_info(schedulers) > 0, file:write_file("x", "y")]), halt().'`, "true ok"},
		{"perl", `perl -e 'my $p = fork // die; exit 3 if !$p; waitpid $p, 0; print $? >> 8'`, "3"},
		{"git", `git init -q . && git -c user.name=a -c user.email=b commit -q --allow-empty -m c && git log --format=%s`, "c"},
		{"make", `printf 'all:\n\t@echo made\n' > Makefile && make -s -j4`, "made"},
		{"tar", `mkdir d && echo x > d/f && tar cf - d | tar tf - | tail -1`, "d/f"},
	} {
		t.Run(c.program, func(t *testing.T) {
			if _, err := os.Stat("/usr/bin/" + c.program); err != nil {
				if c.program == "gcc" && os.Getenv("RETORT_E2E") != "" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			p := hostRoot(t)
			var out bytes.Buffer
			p.Argv, p.Stdout, p.Stderr = []string{"sh", "-c", c.script}, &out, &out
			err := New().Run(t.Context(), p)
			if isUnavailable(err) && os.Getenv("RETORT_E2E") == "" {
				t.Skip(err)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out.String())
			}
			if got := strings.TrimSpace(out.String()); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
