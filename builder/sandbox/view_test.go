package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/builder"
)

// testProgram is the first argument that makes this test the program of a run.
const testProgram = "as-program"

func runTestProgram(args []string) int {
	switch args[0] {
	case "true":
		return 0
	case "read":
		for _, file := range args[1:] {
			data, err := os.ReadFile(file)
			if err != nil {
				fmt.Println(err)
				return 1
			}
			os.Stdout.Write(data)
		}
		return 0
	case "write":
		if err := os.WriteFile(args[1], []byte(args[2]), 0o644); err != nil {
			fmt.Println(err)
			return 1
		}
		return 0
	case "nested":
		err := New().Run(context.Background(), builder.Process{Root: []string{"/"}, Argv: []string{"/test"}})
		fmt.Println(isUnavailable(err), err)
		return 0
	case "terminal":
		return terminalProgram()
	}
	return 2
}

func isUnavailable(err error) bool {
	var lacks *builder.UnavailableError
	return errors.As(err, &lacks)
}

// mountTable is what a program sees of its mounts, without the numbers which
// the kernel counts up for the whole machine.
func mountTable(t *testing.T, e *Engine) string {
	t.Helper()
	var out bytes.Buffer
	dir := t.TempDir()
	for _, sub := range []string{"upper", "tmp", "lower"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	runOrSkip(t, e, builder.Process{
		Root: []string{newRoot(t), t.TempDir()}, Tmpfs: []string{"/tmp"},
		Work:   &builder.Work{Path: "/project", Lowers: []string{filepath.Join(dir, "lower")}, Upper: filepath.Join(dir, "upper"), Tmp: filepath.Join(dir, "tmp")},
		Argv:   []string{"/test", testProgram, "read", "/proc/self/mountinfo"},
		Stdout: &out,
	})
	if strings.Contains(out.String(), dir) {
		t.Error("the mount table names a directory of the host")
	}
	var b strings.Builder
	for line := range strings.Lines(out.String()) {
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[4] == "/dev" || strings.HasPrefix(fields[4], "/dev/") {
			continue // the options of the host's own /dev
		}
		b.WriteString(strings.Join(fields[3:], " ") + "\n")
	}
	return b.String()
}

func TestMountTable(t *testing.T) {
	first := mountTable(t, New())
	if diff := cmp.Diff(first, mountTable(t, New())); diff != "" {
		t.Errorf("two runs in other directories differ:\n%s", diff)
	}
	for _, want := range []string{
		"/ / ro,nosuid,nodev,relatime - overlay none ro,lowerdir+=/proc/self/fd/99,lowerdir+=/proc/self/fd/100,lowerdir+=/proc/self/fd/101",
		"/proc/empty /proc/keys ro,nosuid,nodev,noexec,relatime - tmpfs none",
		"/ /project rw,nosuid,nodev,relatime - overlay none rw,lowerdir+=/proc/self/fd/100,upperdir=/proc/self/fd/90,workdir=/proc/self/fd/91",
	} {
		if !strings.Contains(first, "\n"+want) && !strings.HasPrefix(first, want) {
			t.Errorf("mount table lacks %q:\n%s", want, first)
		}
	}
}

// TestProc pins what a program reads about the machine.
func TestProc(t *testing.T) {
	root := newRoot(t)
	for file, want := range map[string]string{
		"/proc/loadavg":                       "0.00 0.00 0.00 1/2 2\n",
		"/proc/uptime":                        "1.00 1.00\n",
		"/proc/version":                       "Linux version 6.12.0 (retort@retort) #1\n",
		"/proc/swaps":                         "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
		"/proc/cmdline":                       "\n",
		"/proc/sys/kernel/random/boot_id":     "00000000-0000-4000-8000-000000000000\n",
		"/proc/sys/kernel/hostname":           "retort\n",
		"/proc/sys/kernel/ngroups_max":        "65536\n",
		"/proc/sys/vm/overcommit_memory":      "0\n",
		"/proc/modules":                       "",
		"/proc/kallsyms":                      "",
		"/proc/sys/net/core/somaxconn":        "4096\n",
		"/proc/sys/kernel/randomize_va_space": "0\n",
	} {
		if _, err := os.Stat(file); err != nil && !strings.HasPrefix(file, "/proc/sys/") {
			continue // this kernel does not have it
		}
		var out bytes.Buffer
		runOrSkip(t, New(), builder.Process{Root: []string{root}, Argv: []string{"/test", testProgram, "read", file}, Stdout: &out})
		if out.String() != want {
			t.Errorf("%s: got %q, want %q", file, out.String(), want)
		}
	}
}

// TestLegacy takes the way of kernels without lowerdir+.
func TestLegacy(t *testing.T) {
	e := &Engine{legacy: true}
	root, low := newRoot(t), t.TempDir()
	if err := os.WriteFile(filepath.Join(low, "file"), []byte("low"), 0o644); err != nil {
		t.Fatal(err)
	}
	dirs := []string{root}
	for range 400 {
		dirs = append(dirs, t.TempDir())
	}
	var out bytes.Buffer
	dir := t.TempDir()
	w := &builder.Work{Path: "/project", Lowers: []string{low}, Upper: filepath.Join(dir, "upper"), Tmp: filepath.Join(dir, "tmp")}
	for _, d := range []string{w.Upper, w.Tmp} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	p := builder.Process{
		Root: append(dirs[1:], low, root), Work: w, Stdout: &out, Stderr: &out,
		Argv: []string{"/test", testProgram, "read", "/file", "/project/file", "/proc/self/mountinfo"},
	}
	runOrSkip(t, e, p)
	if !strings.HasPrefix(out.String(), "lowlow") || !strings.Contains(out.String(), "lowerdir=99:100:101:") {
		t.Errorf("got %.300q", out.String())
	}
	p.Argv = []string{"/test", testProgram, "write", "/project/new", "x"}
	runOrSkip(t, e, p)
	if _, err := os.Stat(filepath.Join(w.Upper, "new")); err != nil {
		t.Error(err)
	}
}

// TestNested wants a sandbox in a sandbox to be refused, not to be weaker.
func TestNested(t *testing.T) {
	var out bytes.Buffer
	runOrSkip(t, New(), builder.Process{Root: []string{newRoot(t)}, Argv: []string{"/test", testProgram, "nested"}, Stdout: &out})
	if !strings.HasPrefix(out.String(), "true sandbox unavailable: namespaces: the kernel refuses a user namespace") {
		t.Errorf("got %q", out.String())
	}
}

// TestForeignStore runs on directories of another owner, as a store shared by
// the whole machine is to its users.
func TestForeignStore(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give directories away")
	}
	root := newRoot(t)
	for _, dir := range []string{"usr", "usr/lib"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"", "usr", "usr/lib", "test"} {
		if err := os.Chown(filepath.Join(root, name), 54322, 54322); err != nil {
			t.Fatal(err)
		}
	}
	for _, legacy := range []bool{false, true} {
		var out bytes.Buffer
		runOrSkip(t, &Engine{legacy: legacy}, builder.Process{
			Root: []string{root, t.TempDir()}, Tmpfs: []string{"/usr/lib/cache"}, Stdout: &out,
			Argv: []string{"/test", testProgram, "write", "/usr/lib/cache/x", "x"},
		})
		if out.Len() > 0 {
			t.Error(out.String())
		}
	}
}
