package sandbox

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/builder"
	"github.com/retort-build/retort/builder/sandbox/inside"
	"github.com/retort-build/retort/env"
)

func TestNewSpec(t *testing.T) {
	good := func() builder.Process {
		return builder.Process{
			Root: []string{"/r1", "/r2", "/r1"}, Argv: []string{"a\xff", ""}, Env: []string{"K=\xfe", "E="}, Tmpfs: []string{"/tmp"},
			Work:  &builder.Work{Path: "/w", Lowers: []string{"/l"}, Upper: "/u", Tmp: "/t"},
			Binds: []builder.Bind{{Source: "/s", Target: "/b"}},
		}
	}
	s, err := newSpec(good())
	if err != nil {
		t.Fatal(err)
	}
	frame, err := inside.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	var back inside.Spec
	if err := inside.Decode(bytes.NewReader(frame), &back); err != nil {
		t.Fatal(err)
	}
	want := inside.Spec{
		Root: []inside.Text{"/r1", "/r2"}, Argv: []inside.Text{"a\xff", ""}, Env: []inside.Text{"K=\xfe", "E="}, Tmpfs: []inside.Text{"/tmp"},
		Work:  &inside.Work{Path: "/w", Lowers: []inside.Text{"/l"}, Upper: "/u", Tmp: "/t"},
		Binds: []inside.Bind{{Source: "/s", Target: "/b"}}, Dir: "/", NoStdin: true,
	}
	if diff := cmp.Diff(want, back); diff != "" {
		t.Error(diff)
	}

	many := make([]string, 500)
	for i := range many {
		many[i] = "/" + strings.Repeat("x", i+1)
	}
	for _, c := range []struct {
		name   string
		change func(*builder.Process)
		want   string
	}{
		{"no root", func(p *builder.Process) { p.Root = nil }, "root: no directories"},
		{"no argv", func(p *builder.Process) { p.Argv = nil }, "argv: empty"},
		{"relative root", func(p *builder.Process) { p.Root = []string{"r"} }, `host path "r": not absolute`},
		{"relative upper", func(p *builder.Process) { p.Work.Upper = "" }, `host path "": not absolute`},
		{"many in root", func(p *builder.Process) { p.Root = many }, "root: 500 directories, an overlay takes 499"},
		{"many in work", func(p *builder.Process) { p.Work.Lowers = many }, "work: 500 directories, an overlay takes 499"},
		{"work at root", func(p *builder.Process) { p.Work.Path = "/" }, `mount point "/": not a clean absolute path below /`},
		{"unclean", func(p *builder.Process) { p.Tmpfs = []string{"/a//b"} }, `mount point "/a//b": not a clean absolute path below /`},
		{"dots", func(p *builder.Process) { p.Tmpfs = []string{"/a/../b"} }, `mount point "/a/../b": not a clean absolute path below /`},
		{"slash at end", func(p *builder.Process) { p.Tmpfs = []string{"/a/"} }, `mount point "/a/": not a clean absolute path below /`},
		{"over dev", func(p *builder.Process) { p.Tmpfs = []string{"/dev/shm"} }, `mount point "/dev/shm": /dev belongs to the sandbox`},
		{"over sys", func(p *builder.Process) { p.Binds[0].Target = "/sys" }, `mount point "/sys": /sys belongs to the sandbox`},
		{"twice", func(p *builder.Process) { p.Binds[0].Target = "/tmp" }, `mount point "/tmp": used twice`},
		{"directory", func(p *builder.Process) { p.Dir = "x" }, `working directory "x": not a clean absolute path`},
		{"NUL in argument", func(p *builder.Process) { p.Argv[1] = "\x00" }, `argument "\x00": contains NUL`},
		{"no equals sign", func(p *builder.Process) { p.Env[0] = "K" }, `environment "K": want KEY=value without NUL`},
		{"variable twice", func(p *builder.Process) { p.Env = append(p.Env, "K=2") }, `environment "K": set twice`},
	} {
		p := good()
		c.change(&p)
		if _, err := newSpec(p); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// TestStartFault pins the words for what a kernel answers to the clone.
func TestStartFault(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.EPERM:  "sandbox unavailable: namespaces: the kernel refuses a user namespace: operation not permitted",
		syscall.ENOSPC: "sandbox unavailable: namespaces: no more namespaces allowed: no space left on device",
		syscall.EINVAL: "sandbox unavailable: namespaces: the kernel lacks a kind of namespace: invalid argument",
	} {
		err := startFault(errno)
		var lacks *builder.UnavailableError
		if !errors.As(err, &lacks) || err.Error() != want || lacks.Missing[0].Remedy == "" {
			t.Errorf("%v: got %v", errno, err)
		}
	}
	for _, errno := range []syscall.Errno{syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE} {
		if err := startFault(errno); isUnavailable(err) {
			t.Errorf("a lack of the moment counts as one of the machine: %v", err)
		}
	}
}

func TestParseRelease(t *testing.T) {
	for s, want := range map[string][2]int{
		"6.18.44-fc-v669": {6, 18}, "5.12": {5, 12}, "5.15.0-91-generic": {5, 15}, "6.8-rc1": {6, 8}, "10.0+": {10, 0},
	} {
		if major, minor, ok := parseRelease(s); !ok || major != want[0] || minor != want[1] {
			t.Errorf("%s: got %d.%d %v", s, major, minor, ok)
		}
	}
	for _, s := range []string{"", "6", "x.y", "6.", ".5", "-1.2"} {
		if _, _, ok := parseRelease(s); ok {
			t.Errorf("%q: accepted", s)
		}
	}
}

const qemuEntry = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: OCF\noffset 0\n" +
	"magic 7f454c460201010000000000000000000200b700\nmask ffffffffffffff00fffffffffffffffffeffffff\n"

func TestBinfmt(t *testing.T) {
	f, err := parseBinfmt(qemuEntry)
	if err != nil {
		t.Fatal(err)
	}
	if !f.fixed || !f.matches(elfHeaders[env.LinuxARM64]) || f.matches(elfHeaders[env.LinuxAMD64]) {
		t.Errorf("got %+v", f)
	}
	for name, text := range map[string]string{
		"disabled":   strings.Replace(qemuEntry, "enabled", "disabled", 1),
		"short mask": "enabled\nmagic 7f45\nmask ff\n",
		"extension":  "enabled\nextension .x\n",
		"hex":        "enabled\nmagic 7g\n",
		"offset":     "enabled\noffset -1\nmagic 7f\n",
	} {
		if _, err := parseBinfmt(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzBinfmt(f *testing.F) {
	f.Add(qemuEntry)
	f.Add("enabled\noffset 9223372036854775807\nmagic 7f\n")
	f.Fuzz(func(t *testing.T, text string) {
		if b, err := parseBinfmt(text); err == nil {
			b.matches(elfHeaders[env.LinuxARM64])
		}
	})
}

func FuzzParseRelease(f *testing.F) {
	f.Add("6.18.44-fc-v669")
	f.Fuzz(func(t *testing.T, s string) {
		if major, minor, ok := parseRelease(s); ok && (major < 0 || minor < 0) {
			t.Errorf("%q: %d.%d", s, major, minor)
		}
	})
}
