package configure

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/tarball"
)

// tree makes a directory of a txtar-like description: names ending in a slash
// are directories, "a -> b" is a link, everything else has a content.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range sortedKeys(files) {
		link, target, isLink := strings.Cut(name, " -> ")
		p := filepath.Join(dir, link)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case isLink:
			err = os.Symlink(target, p)
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(p, 0o755)
		default:
			mode := os.FileMode(0o644)
			if strings.HasPrefix(files[name], "#!") {
				mode = 0o755
			}
			err = os.WriteFile(p, []byte(files[name]), mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const info = "var/lib/dpkg/info/"

// base is what every test's layer adds besides what it is about.
var base = []string{"dev", "etc", "etc/alternatives", "etc/hostname", "etc/hosts", "etc/machine-id", "etc/resolv.conf",
	"home", "proc", "root", "run", "sys", "tmp", "usr", "usr/bin", "var", "var/lib", "var/lib/dpkg", "var/lib/dpkg/alternatives", "var/tmp"}

// configureTree runs Layer over one tree with the packages whose scripts it
// has.
func configureTree(t testing.TB, files map[string]string, packages ...Package) (map[string]string, Report, error) {
	t.Helper()
	if packages == nil {
		seen := make(map[string]bool)
		for name := range files {
			if rest, ok := strings.CutPrefix(name, info); ok {
				pkg := strings.TrimSuffix(rest, filepath.Ext(rest))
				if !seen[pkg] {
					seen[pkg] = true
					packages = append(packages, Package{Name: pkg, Version: "1.0-1", Architecture: "amd64"})
				}
			}
		}
	}
	var sink memSink
	rep, err := Layer(t.Context(), Input{Trees: []Tree{{Dir: tree(t, files)}}, Packages: packages, Platform: env.LinuxAMD64}, &sink)
	got := make(map[string]string)
	for _, e := range sink.entries {
		if slices.Contains(base, e.Path) {
			continue
		}
		switch e.Kind {
		case tarball.File:
			got[e.Path] = string(sink.content[e.Path])
			if e.Mode != 0o644 || e.UID != 0 || e.GID != 0 {
				got[e.Path] = fmt.Sprintf("[%o %d:%d] ", e.Mode, e.UID, e.GID) + got[e.Path]
			}
		case tarball.Symlink:
			got[e.Path] = "-> " + e.Link
		default:
			got[e.Path] = fmt.Sprintf("dir %o", e.Mode)
		}
	}
	return got, rep, err
}

func TestScripts(t *testing.T) {
	for _, tt := range []struct {
		name   string
		script string
		files  map[string]string
		want   map[string]string
	}{
		{
			name:   "redirections, here documents and pipelines",
			script: "cat > /a <<EOF\none $1\ntwo\nEOF\ngrep two < /a | tr a-z A-Z >> /a; printf '%s\\n' x >> /a",
			want:   map[string]string{"a": "one configure\ntwo\nTWO\nx\n"},
		},
		{
			name:   "parameters and variables of dpkg",
			script: `echo "$0|$1|$2|$DPKG_MAINTSCRIPT_PACKAGE|$DPKG_MAINTSCRIPT_NAME|$DPKG_MAINTSCRIPT_ARCH|$DPKG_ROOT" > /a`,
			want:   map[string]string{"a": "p.postinst|configure||p|postinst|amd64|\n"},
		},
		{
			name:   "globs see the tree and not the host",
			script: "for f in /d/*.c /etc/passwd*; do echo $f; done > /a; [ -e /proc/self/exe ] || echo none >> /a",
			files:  map[string]string{"d/x.c": "", "d/y.c": "", "d/z.h": ""},
			want:   map[string]string{"a": "/d/x.c\n/d/y.c\n/etc/passwd*\nnone\n"},
		},
		{
			name:   "links stay inside the tree",
			script: "cat /l > /a 2>/dev/null || echo no > /a; echo x > /up/../../../../b",
			files:  map[string]string{"l -> ../../../../../../../etc/hostname": "", "up/": ""},
			want:   map[string]string{"a": "no\n", "b": "x\n"},
		},
		{
			name:   "command -v finds programs of the tree only",
			script: "command -v tool > /a; command -v mount >> /a || echo none >> /a; [ -x \"`command -v tool`\" ] && echo ok >> /a",
			files:  map[string]string{"usr/bin/tool": "#!/bin/true\n"},
			want:   map[string]string{"a": "/usr/bin/tool\nnone\nok\n"},
		},
		{
			name:   "shell programs of the tree are interpreted",
			script: "tool x y > /a",
			files:  map[string]string{"usr/bin/tool": "#!/bin/sh\necho tool $2 $1\n"},
			want:   map[string]string{"a": "tool y x\n"},
		},
		{
			name: "a subshell reads a here document (dh_usrlocal)",
			script: `if [ "$1" = "configure" ]; then
(
	mode=0755
	while read line; do
		set -- $line
		dir="$1"; wanted="$2"
		if [ "$wanted" = "default" ]; then
			wanted="$mode"
		fi
		if [ ! -e "$dir" ]; then
			if mkdir "$dir" 2>/dev/null; then
				if chown root:root "$dir" ; then
					chmod "$wanted" "$dir" || true
				fi
			fi
		fi
	done
) << DATA
/opt/x default
/opt/x/y 0750
DATA
fi`,
			files: map[string]string{"opt/": ""},
			want:  map[string]string{"opt": "dir 755", "opt/x": "dir 755", "opt/x/y": "dir 750"},
		},
		{
			name:   "read keeps an empty first field",
			script: "printf '#c\\n a b \\\\c \\nlast' | while IFS='#' read -r x y; do printf '[%s][%s]\\n' \"$x\" \"$y\"; done > /a; echo ' a  b c ' | { read x y; echo \"<$x><$y>\" >> /a; }",
			want:   map[string]string{"a": "[][c]\n[ a b \\c ][]\n<a><b c>\n"},
		},
		{
			name:   "errexit spares a failed && at the end of an if",
			script: "set -e\nif true; then false && echo never; fi\nfor i in 1; do [ $i = 2 ] && echo never; done\necho here > /a",
			want:   map[string]string{"a": "here\n"},
		},
		{
			name:   "modes and owners",
			script: "umask 027; touch /a; mkdir /d; chmod g+s,o= /d; echo > /b; chown 5:7 /b; chmod u=rw,go=r /b; ln -s a /l; cp -p /b /c",
			want:   map[string]string{"a": "[640 0:0] ", "d": "dir 2750", "b": "[644 5:7] \n", "c": "[644 5:7] \n", "l": "-> a"},
		},
		{
			name:   "sed, awk, cut and friends",
			script: "printf 'b 2\\na 1\\n' > /in; sed -e '/^a/s/ \\(.\\)/-\\1/' /in > /a; awk '/b/ {print $2, $1}' /in >> /a; sort /in | cut -d' ' -f2 >> /a; sed -n '$p' /in >> /a; awk '{if ($1 == \"a\") {n=$2} else {m=m $1}} END {print n m NR}' /in >> /a; rm /in",
			want:   map[string]string{"a": "b 2\na-1\n2 b\n1\n2\na 1\n1b2\n"},
		},
		{
			name:   "a sourced file and debconf's defaults",
			script: ". /usr/share/debconf/confmodule\n. /lib.sh\ndb_get p/q && greet \"$RET\" > /a; db_get p/none || echo none >> /a",
			files: map[string]string{"lib.sh": "greet() { echo hello $1; }\n",
				info + "p.templates": "Template: p/q\nType: string\nDefault: world\nDescription: q\n"},
			want: map[string]string{"a": "hello world\nnone\n"},
		},
		{
			name:   "dpkg",
			script: "dpkg --compare-versions 1.0~rc1 lt 1.0 && dpkg --print-architecture > /a; dpkg -L p | grep bin >> /a; dpkg-query -W -f='${Package} ${Version}\\n' 'p*' >> /a; dpkg -s none 2>/dev/null || echo none >> /a",
			files:  map[string]string{info + "p.md5sums": "d41d8cd98f00b204e9800998ecf8427e  usr/bin/p\n", "usr/bin/p": ""},
			want:   map[string]string{"a": "amd64\n/usr/bin/p\np 1.0-1\nnone\n"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{info + "p.postinst": "#!/bin/sh\n" + tt.script + "\n"}
			for k, v := range tt.files {
				files[k] = v
			}
			got, rep, err := configureTree(t, files)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if len(rep.Unknown) > 0 {
				t.Errorf("unknown: %v", rep.Unknown)
			}
		})
	}
}

func TestScriptErrors(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"failure", "echo oh no >&2; exit 3", "postinst of p: exit status 3: oh no"},
		{"syntax", "if", "p.postinst:"},
		{"other language", "", `not a shell script: "#!/usr/bin/perl"`},
		{"endless", "while :; do :; done", "too many commands"},
		{"recursion", "f() { f; }; f", "too deeply"},
		{"background", "sleep 1 &", "background command"},
		{"process substitution", "cat <(echo x)", "process substitution"},
		{"process substitution in eval", "eval 'cat <(echo x)'", "process substitution"},
		{"scripts in a circle", "/usr/bin/loop", "too deeply"},
		{"errexit", "set -e; false; exit 0", "exit status 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "#!/bin/sh\n" + tt.script + "\n"
			if tt.script == "" {
				text = "#!/usr/bin/perl\n"
			}
			_, _, err := configureTree(t, map[string]string{info + "p.postinst": text, "usr/bin/loop": "#!/bin/sh\nloop\n"})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestReport(t *testing.T) {
	got, rep, err := configureTree(t, map[string]string{
		info + "a.postinst": "#!/bin/sh\nfrobnicate --all || true\nsystemd-tmpfiles --create\nrm /usr/share/x\n",
		info + "b.postinst": "#!/bin/sh\nadduser --quiet --system --group --no-create-home --home /run/epmd epmd\nadduser --system zz\n",
		"etc/passwd":        "root:*:0:0:root:/root:/bin/bash\n",
		"etc/group":         "root:*:0:\nnogroup:*:65534:\n",
		"usr/share/x":       "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Command{{Package: "a", Name: "frobnicate"}}, rep.Unknown); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Command{{"a", "systemd-tmpfiles", ignored["systemd-tmpfiles"]}}, rep.Ignored); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"usr/share/x"}, rep.Removed); diff != "" {
		t.Error(diff)
	}
	want := []User{{"b", "epmd", -1, 101}, {"b", "epmd", 100, 101}, {"b", "zz", 473, 65534}}
	if diff := cmp.Diff(want, rep.Users); diff != "" {
		t.Error(diff)
	}
	if want := "epmd:*:100:101::/run/epmd:/usr/sbin/nologin\n"; !strings.Contains(got["etc/passwd"], want) {
		t.Errorf("passwd: %q", got["etc/passwd"])
	}
}

func TestAlternatives(t *testing.T) {
	files := map[string]string{
		info + "a.postinst": "#!/bin/sh\nupdate-alternatives --install /usr/bin/cc cc /usr/bin/a 10 --slave /usr/man/cc.1 cc.1 /usr/man/a.1 --slave /usr/man/c.1 c.1 /usr/man/missing\n",
		info + "b.postinst": "#!/bin/sh\nupdate-alternatives --quiet --install /usr/bin/cc cc /usr/bin/b 20\n",
		"usr/bin/a":         "a", "usr/bin/b": "b", "usr/man/a.1": "",
	}
	got, rep, err := configureTree(t, files)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"etc/alternatives/cc": "-> /usr/bin/b", "usr/bin/cc": "-> /etc/alternatives/cc",
		"var/lib/dpkg/alternatives/cc": "auto\n/usr/bin/cc\nc.1\n/usr/man/c.1\ncc.1\n/usr/man/cc.1\n\n" +
			"/usr/bin/a\n10\n/usr/man/missing\n/usr/man/a.1\n/usr/bin/b\n20\n\n\n\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Alternative{{"cc", "/usr/bin/cc", "/usr/bin/b"}}, rep.Alternatives); diff != "" {
		t.Error(diff)
	}
	files[info+"a.postinst"] += "update-alternatives --install /usr/bin/x x /nowhere 1\n"
	if _, _, err := configureTree(t, files); err == nil || !strings.Contains(err.Error(), "/nowhere doesn't exist") {
		t.Errorf("missing path: %v", err)
	}
}

func TestUsrMerge(t *testing.T) {
	dir := tree(t, map[string]string{"usr/bin/x": ""})
	var sink memSink
	if _, err := Layer(t.Context(), Input{Trees: []Tree{{Dir: dir}}, Platform: env.LinuxAMD64, UsrMerge: true}, &sink); err != nil {
		t.Fatal(err)
	}
	links := make(map[string]string)
	for _, e := range sink.entries {
		if e.Kind == tarball.Symlink {
			links[e.Path] = e.Link
		}
	}
	if diff := cmp.Diff(map[string]string{"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin"}, links); diff != "" {
		t.Error(diff)
	}
}

func TestTriggers(t *testing.T) {
	got, _, err := configureTree(t, map[string]string{
		info + "a.triggers": "interest-noawait /usr/share/x\ninterest y\ninterest z\n",
		info + "a.postinst": "#!/bin/sh\necho \"$1 $2\" >> /log\n",
		info + "b.triggers": "activate-noawait y\n",
		"usr/share/x/f":     "",
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "configure \ntriggered /usr/share/x y\n"; got["log"] != want {
		t.Errorf("got %q, want %q", got["log"], want)
	}
}

func TestEntriesGiveOwners(t *testing.T) {
	dir := tree(t, map[string]string{"f": "x", info + "p.postinst": "#!/bin/sh\nstat -c '%a %u:%g' /f > /a\n"})
	in := Input{
		Trees: []Tree{{Dir: dir, Entries: []tarball.Entry{
			{Path: "f", Kind: tarball.File, Mode: 0o4711, UID: 3, GID: 4, Size: 1},
			{Path: info + "p.postinst", Kind: tarball.File, Mode: 0o755, Size: 42},
		}}},
		Packages: []Package{{Name: "p"}}, Platform: env.LinuxAMD64,
	}
	fi, err := os.Stat(filepath.Join(dir, info+"p.postinst"))
	if err != nil {
		t.Fatal(err)
	}
	in.Trees[0].Entries[1].Size = fi.Size()
	var sink memSink
	if _, err := Layer(t.Context(), in, &sink); err != nil {
		t.Fatal(err)
	}
	if got := string(sink.content["a"]); got != "4711 3:4\n" {
		t.Errorf("stat: %q", got)
	}
	in.Trees[0].Entries[1].Size++
	if _, err := Layer(t.Context(), in, &sink); err == nil {
		t.Error("a file shorter than its entry is taken")
	}
}

func TestSinkError(t *testing.T) {
	full := errors.New("disk is full")
	_, err := Layer(t.Context(), Input{Platform: env.LinuxAMD64}, failing{full})
	if !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

// In a mount the top layer decides what a directory above a changed file is.
func TestParentsComeAlong(t *testing.T) {
	dir := tree(t, map[string]string{"root/": "", "srv/a/b/": "", "srv/c/": "", info + "p.postinst": "#!/bin/sh\ntouch /root/x; mkdir /srv/a/b/d\n"})
	for name, mode := range map[string]os.FileMode{"root": 0o700, "srv/a": 0o711, "srv/c": 0o701} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	var sink memSink
	if _, err := Layer(t.Context(), Input{Trees: []Tree{{Dir: dir}}, Packages: []Package{{Name: "p"}}, Platform: env.LinuxAMD64}, &sink); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range sink.entries {
		if strings.HasPrefix(e.Path, "root") || strings.HasPrefix(e.Path, "srv") {
			got = append(got, fmt.Sprintf("%s %o", e.Path, e.Mode))
		}
	}
	want := []string{"root 700", "root/x 644", "srv 755", "srv/a 711", "srv/a/b 755", "srv/a/b/d 755"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
