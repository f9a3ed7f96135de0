package configure

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"testing"
	"time"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/tarball"
)

func FuzzSed(f *testing.F) {
	for _, s := range []string{"s/a/b/g", "/x/,$d", "1{p;q}", "y/ab/ba/", "$a\\", "/[[:space:]]/!s|.*|&\\1|2"} {
		f.Add(s, "a x\nb\n")
	}
	f.Fuzz(func(_ *testing.T, script, input string) {
		_, _ = runSed(script, len(script)%2 == 0, false, []byte(input))
	})
}

func FuzzAwk(f *testing.F) {
	for _, s := range []string{"{print $1, $NF}", `/a/ {n=n "x"} END {print n}`, `$1 == 2 {next} {sub(/a/, "&b"); print}`, "BEGIN {if (1) print; else exit 1}"} {
		f.Add(s, "a x\n2 b\n")
	}
	f.Fuzz(func(_ *testing.T, program, input string) {
		prog, err := parseAwk(program)
		if err != nil {
			return
		}
		a := &awk{vars: map[string]string{"FS": " ", "OFS": " "}, print: func(string) {}}
		_ = a.run(prog, lines([]byte(input)))
	})
}

func FuzzRegexp(f *testing.F) {
	f.Add(`\(a\|b\)*[]x[:alpha:]-]\{1,2\}$`, "ab", false)
	f.Add(`(a|b)+{1}`, "ab", true)
	f.Fuzz(func(_ *testing.T, expr, text string, extended bool) {
		if re, err := compilePOSIX(expr, extended, false); err == nil {
			re.FindString(text)
		}
		if re, err := globRegexp(expr); err == nil {
			re.FindString(text)
		}
	})
}

func FuzzParsers(f *testing.F) {
	f.Add("u! name 5:6 \"a b\" - -", "u+s,g=u")
	f.Fuzz(func(t *testing.T, line, mode string) {
		quotedFields(line)
		parseMode(mode, 0o644)
		inRanges(mode, 3)
		expandSet(line)
		_, _ = versionHolds(line, "lt", mode)
		if a, b := compareVersions(line, mode), compareVersions(mode, line); (a < 0) != (b > 0) {
			t.Errorf("%q and %q: %d and %d", line, mode, a, b)
		}
		if a, b := compareLibraries(line, mode), compareLibraries(mode, line); (a < 0) != (b > 0) {
			t.Errorf("libraries %q and %q: %d and %d", line, mode, a, b)
		}
	})
}

func FuzzElfSoname(f *testing.F) {
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		elfSoname(bytes.NewReader(b), machine{elf: elf.EM_X86_64})
	})
}

// FuzzScript runs any text as a maintainer script: it may fail, but must come
// back, and must not touch the directory that the tree lies in.
func FuzzScript(f *testing.F) {
	for _, s := range []string{
		"echo x > /a; cat /a | sed s/x/y/", "update-alternatives --install /b b /a 1", "for i in *; do rm -rf $i; done",
		"dpkg-divert --add --rename /etc/x", "find / -name x -exec rm {} +", "set -e; [ -e /a ] && exit 1; trap 'rm /x' EXIT",
		"adduser --system --group x; chown x:x /etc; cp -a /etc /opt; mv /opt /srv", "xargs -n1 echo < /etc/x", "ln -s /a /b; cat /b/../x",
	} {
		f.Add(s)
	}
	files := map[string]string{"etc/x": "y\n", "usr/bin/tool": "#!/bin/sh\n\"$@\"\n", "etc/passwd": "root:*:0:0:root:/root:/bin/sh\n", "etc/group": "root:*:0:\n"}
	dir := tree(f, files)
	before, err := walkDir(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, script string) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		script = "#!/bin/sh\n" + script
		extra := tree(t, map[string]string{info + "p.postinst": script})
		_, err := Layer(ctx, Input{Trees: []Tree{{Dir: dir}, {Dir: extra}}, Packages: []Package{{Name: "p"}}, Platform: env.LinuxAMD64}, &memSink{})
		if errors.Is(err, context.DeadlineExceeded) {
			t.Skip("slow")
		}
		after, err := walkDir(dir)
		if err != nil || len(after) != len(before) {
			t.Fatalf("the tree on disk changed: %v", err)
		}
	})
}

func walkDir(dir string) ([]tarball.Entry, error) {
	v, err := openTrees(context.Background(), []Tree{{Dir: dir}})
	if err != nil {
		return nil, err
	}
	defer v.close()
	return walkTree(v.roots[0])
}
