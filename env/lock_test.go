package env

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares bytes with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s:\n%s", name, diff)
	}
}

func sum(s string) digest.Digest { return digest.FromString(s) }

// sample is a small valid lock.
func sample() *Lock {
	pkg := func(p Platform, name, arch string, depends ...string) Package {
		return Package{
			Platform: p, Name: name, Version: "1:1.0+dfsg-1~deb13u1", Architecture: arch, Source: name,
			Suite: "trixie", Archive: "debian", Path: "pool/main/" + name[:1] + "/" + name + "/" + name + "_1.0_" + arch + ".deb",
			Size: int64(100 * len(name)), Digest: sum(name + arch), Depends: depends,
		}
	}
	return &Lock{
		Manifest: sum("manifest"),
		Suites: []Suite{
			{Archive: "debian", Name: "trixie", Date: "2026-11-15T10:01:02Z", InRelease: sum("InRelease"), Signers: []string{"4CB50190207B4758A3F73A796ED0E7B82643E131"}},
			{Archive: "debian-security", Name: "trixie-security", Date: "2026-11-20T00:00:00Z", InRelease: sum("security"), Signers: []string{"05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0", "B0CAB9266E8C3929798B3EEEBDE6D2B9216EC7A8"}},
		},
		Plugins: []HexPin{{Name: "pc", Version: "1.15.0", Repo: "hexpm", Inner: sum("inner"), Outer: sum("outer")}},
		Tools: []Tool{
			{Platform: LinuxAMD64, Name: "esbuild", Version: "0.25.4", URL: NPM + "@esbuild/x.tgz", Size: 4_000_000, Digest: sum("esbuild amd64")},
			{Platform: LinuxAMD64, Name: "tailwind", Version: "4.1.7", URL: "https://example.org/tailwind", Size: 100_000_000, Digest: sum("tailwind")},
			{Platform: LinuxARM64, Name: "esbuild", Version: "0.25.4", URL: NPM + "@esbuild/x.tgz", Size: 3_900_000, Digest: sum("esbuild arm64")},
		},
		Sources: []Source{
			{Tool: "hex", Want: "2.0.6 at file:../hex.tar.gz", Version: "2.0.6", URL: "file:../hex.tar.gz", Size: 450_251, Digest: sum("hex")},
			{Tool: "openssl", Want: "3.5", Version: "3.5.7", URL: "github:openssl/openssl/releases/download/openssl-3.5.7/openssl-3.5.7.tar.gz", Size: 53_000_000, Digest: sum("openssl"), Signers: []string{"BA5473A2B0587B07FB27CF2D216094DFD0CB81EF"}},
			{Tool: "otp", Want: "27", Version: "27.3.4.1", URL: "debian:debian/pool/main/e/erlang/erlang_27.3.4.1+dfsg.orig.tar.xz", Size: 47_613_664, Digest: sum("otp"), Suite: "trixie", Date: "2026-11-15T10:01:02Z", Signers: []string{"05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0", "4CB50190207B4758A3F73A796ED0E7B82643E131"}},
			{Tool: "otp", Want: "28 at https://example.org/otp.tgz", Version: "28", URL: "https://example.org/otp.tgz", Size: 1, Digest: sum("otp 28")},
		},
		Sets: map[Platform]map[string][]string{
			LinuxAMD64: {"toolchain": {"g++", "libc6"}, "image": nil, "nif.jiffy.build": {"g++"}},
			LinuxARM64: {"toolchain": {"g++"}},
		},
		Packages: []Package{
			pkg(LinuxAMD64, "base-files", "all"),
			pkg(LinuxAMD64, "g++", "amd64", "base-files", "libc6"),
			pkg(LinuxAMD64, "libc6", "amd64"),
			pkg(LinuxARM64, "g++", "arm64"),
		},
	}
}

func TestLockGolden(t *testing.T) {
	l := sample()
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	data := EncodeLock(l)
	golden(t, "lock.golden", data)
	got, err := DecodeLock("toolchain.lock", data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l, got); diff != "" {
		t.Error(diff)
	}
	if _, _, err := parseTOML(data); err != nil {
		t.Errorf("the canonical form is not TOML: %v", err)
	}
}

func TestEncodeLockIgnoresOrder(t *testing.T) {
	want := EncodeLock(sample())
	l := sample()
	slices.Reverse(l.Suites)
	slices.Reverse(l.Packages)
	slices.Reverse(l.Sources)
	slices.Reverse(l.Sources[1].Signers)
	for i := range l.Packages {
		slices.Reverse(l.Packages[i].Depends)
	}
	for i := range l.Suites {
		slices.Reverse(l.Suites[i].Signers)
	}
	before := fmt.Sprint(*l)
	if !bytes.Equal(want, EncodeLock(l)) {
		t.Error("order shows in the bytes")
	}
	if fmt.Sprint(*l) != before {
		t.Error("EncodeLock changed its argument")
	}
}

func TestEmptyLock(t *testing.T) {
	data := EncodeLock(&Lock{Manifest: sum("")})
	if _, err := DecodeLock("l", data); err != nil {
		t.Error(err)
	}
}

func TestValidateLock(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(*Lock)
		want  string
	}{
		{"no manifest", func(l *Lock) { l.Manifest = "" }, `manifest: "": want a sha256 digest`},
		{"sha512", func(l *Lock) { l.Manifest = "sha512:" + digest.Digest(strings.Repeat("0", 128)) }, `manifest: "sha512:`},
		{"suite twice", func(l *Lock) { l.Suites = append(l.Suites, l.Suites[1]) }, `suites[2].name: "trixie-security" is out of order or listed twice`},
		{"suite name", func(l *Lock) { l.Suites[1].Name = "Trixie" }, `suites[1].name: "Trixie"`},
		{"local date", func(l *Lock) { l.Suites[0].Date = "2026-11-15T10:01:02+01:00" }, `suites[0].date: "2026-11-15T10:01:02+01:00": want a time`},
		{"unsigned", func(l *Lock) { l.Suites[0].Signers = nil }, `suites[0].signers: empty`},
		{"signer", func(l *Lock) { l.Suites[0].Signers[0] = "Debian" }, `suites[0].signers: "Debian": want sorted fingerprints`},
		{"plugin", func(l *Lock) { l.Plugins[0].Version = "1.15" }, `plugins[0].version: "1.15": want an exact version`},
		{"plugin repo", func(l *Lock) { l.Plugins[0].Repo = "../x" }, `plugins[0].repo: "../x"`},
		{"plugin digest", func(l *Lock) { l.Plugins[0].Outer = "x" }, `plugins[0].outer: "x"`},
		{"tool order", func(l *Lock) { slices.Reverse(l.Tools) }, `tools[1].name: "tailwind" is out of order or listed twice`},
		{"tool twice", func(l *Lock) { l.Tools[1] = l.Tools[0] }, `tools[1].name: "esbuild" is out of order or listed twice`},
		{"tool name", func(l *Lock) { l.Tools[1].Name = "../x" }, `tools[1].name: "../x": want the name of a tool`},
		{"tool version", func(l *Lock) { l.Tools[1].Version = "" }, `tools[1].version: "": want an exact version`},
		{"tool for any platform", func(l *Lock) { l.Tools[1].Platform = Any }, `tools[1].arch: unknown platform "any"`},
		{"tool with a password", func(l *Lock) { l.Tools[1].URL = "https://me:secret@example.org/x" }, `tools[1].url: URL holds a user`},
		{"tool with a query", func(l *Lock) { l.Tools[1].URL += "?x" }, `tools[1].url: URL has a query`},
		{"tool size", func(l *Lock) { l.Tools[1].Size = -1 }, `tools[1].size: -1: want 1 to 1073741824 bytes`},
		{"tool digest", func(l *Lock) { l.Tools[1].Digest = "x" }, `tools[1].digest: "x": want a sha256 digest`},
		{"source order", func(l *Lock) { slices.Reverse(l.Sources) }, `sources[1].want: "otp 27" is out of order or listed twice`},
		{"source twice", func(l *Lock) { l.Sources[1] = l.Sources[0] }, `sources[1].want: "hex 2.0.6 at file:../hex.tar.gz" is out of order or listed twice`},
		{"source of no tool", func(l *Lock) { l.Sources[3].Tool = "perl" }, `sources[3].tool: "perl": want openssl, otp`},
		{"source want", func(l *Lock) { l.Sources[3].Want = "2\n" }, `sources[3].want: "2\n": want a version`},
		{"source version", func(l *Lock) { l.Sources[3].Version = "x" }, `sources[3].version: "x": want an exact version`},
		{"source with a password", func(l *Lock) { l.Sources[3].URL = "https://me:secret@example.org/x" }, `sources[3].url: URL holds a user`},
		{"source without scheme", func(l *Lock) { l.Sources[3].URL = "example.org" }, `sources[3].url: "example.org": want the address of a file`},
		{"source path up", func(l *Lock) { l.Sources[2].URL = "debian:debian/../x.tar.xz" }, `sources[2].url: "debian:debian/../x.tar.xz": want the address`},
		{"source path absolute", func(l *Lock) { l.Sources[0].URL = "file:/etc/x" }, `sources[0].url: "file:/etc/x": want the address`},
		{"source size", func(l *Lock) { l.Sources[3].Size = MaxSource + 1 }, `sources[3].size: 1073741825: want 1 to 1073741824 bytes`},
		{"source digest", func(l *Lock) { l.Sources[3].Digest = "" }, `sources[3].digest: "": want a sha256 digest`},
		{"source without suite", func(l *Lock) { l.Sources[2].Suite = "" }, `sources[2].suite: "": want lower-case`},
		{"source without date", func(l *Lock) { l.Sources[2].Date = "" }, `sources[2].date: "": want a time`},
		{"suite of no suite", func(l *Lock) { l.Sources[3].Suite = "trixie" }, `sources[3].suite: only goes with a file of Debian's`},
		{"source signer", func(l *Lock) { l.Sources[1].Signers = []string{"a b"} }, `sources[1].signers: "a b": want sorted names`},
		{"package order", func(l *Lock) { slices.Reverse(l.Packages) }, `packages.amd64[base-files].name: out of order`},
		{"package twice", func(l *Lock) { l.Packages[1] = l.Packages[0] }, `packages.amd64[base-files].name: out of order or listed twice`},
		{"package name", func(l *Lock) { l.Packages[3].Name = "../x" }, `packages.arm64[../x].name: "../x": want the name of a Debian package`},
		{"version", func(l *Lock) { l.Packages[3].Version = "1 0" }, `packages.arm64[g++].version: "1 0"`},
		{"other architecture", func(l *Lock) { l.Packages[3].Architecture = "amd64" }, `packages.arm64[g++].arch: "amd64": want arm64 or all`},
		{"suite of package", func(l *Lock) { l.Packages[3].Suite = "sid" }, `packages.arm64[g++].suite: suite "sid" of archive "debian" is not locked`},
		{"path up", func(l *Lock) { l.Packages[3].Path = "../a.deb" }, `packages.arm64[g++].path: "../a.deb": want a clean relative path`},
		{"path inside", func(l *Lock) { l.Packages[3].Path = "a/../a.deb" }, `packages.arm64[g++].path: "a/../a.deb"`},
		{"absolute path", func(l *Lock) { l.Packages[3].Path = "/a.deb" }, `packages.arm64[g++].path: "/a.deb"`},
		{"no size", func(l *Lock) { l.Packages[3].Size = 0 }, `packages.arm64[g++].size: 0: want 1 to 8589934592 bytes`},
		{"huge", func(l *Lock) { l.Packages[3].Size = 1 << 62 }, `packages.arm64[g++].size: 4611686018427387904`},
		{"depends", func(l *Lock) { l.Packages[3].Depends = []string{"libc6"} }, `packages.arm64[g++].depends: package "libc6" is not locked`},
		{"depends order", func(l *Lock) { slices.Reverse(l.Packages[1].Depends) }, `packages.amd64[g++].depends: "base-files" is out of order`},
		{"set", func(l *Lock) { l.Sets[LinuxARM64]["toolchain"] = []string{"gcc"} }, `sets.arm64.toolchain: package "gcc" is not locked`},
		{"set name", func(l *Lock) { l.Sets[LinuxARM64]["a b"] = nil }, `sets.arm64."a b": not the name of a set`},
		{"platform of set", func(l *Lock) { l.Sets[Any] = nil }, `sets."": unknown platform "any"`},
		{"platform", func(l *Lock) { l.Packages[3].Platform = "plan9/mips" }, `unknown platform "plan9/mips"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := sample()
			tt.spoil(l)
			err := l.Validate()
			var list ErrorList
			if !errors.As(err, &list) || !strings.Contains(err.Error(), "toolchain.lock: "+tt.want) && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if _, err := DecodeLock("l", EncodeLock(l)); err == nil && !strings.Contains(tt.want, "order") {
				t.Error("decoded all the same")
			}
		})
	}
}

func TestDecodeLockForm(t *testing.T) {
	text := string(EncodeLock(sample()))
	replace := func(old, with string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("%q is not in the sample", old)
		}
		return strings.Replace(text, old, with, 1)
	}
	for _, tt := range []struct {
		name, in string
		is       error
		want     string
	}{
		{"empty", "", ErrLockForm, "l:1: not in canonical form, run retort lock"},
		{"newer", replace("version = 1\n", "version = 2\nnew = true\n"), ErrNewerLock, "l: lock version 2, this retort reads 1: made by a newer retort"},
		{"space", replace("size = 300", "size =  300"), ErrLockForm, "l:39: not in canonical form, run retort lock"},
		{"leading zero", replace("size = 300", "size = 0300"), ErrLockForm, "l:39: not in canonical form, run retort lock"},
		{"comment", text + "# mine\n", ErrLockForm, "l:45: not in canonical form, run retort lock"},
		{"no last line end", strings.TrimSuffix(text, "\n"), ErrLockForm, "l:44: not in canonical form, run retort lock"},
		{"escape", replace(`"pc"`, `"\u0070c"`), ErrLockForm, "l:12: not in canonical form, run retort lock"},
		{"quoted set", replace("\nimage = ", "\n\"image\" = "), ErrLockForm, "l:29: not in canonical form, run retort lock"},
		{"set twice", replace("image = []", "image = []\nimage = []"), ErrLockForm, "l:30: sets.amd64.image: not in canonical form, run retort lock: Key 'sets.amd64.image' has already been defined."},
		{"sets swapped", replace("image = []\n\"nif.jiffy.build\" = [\"g++\"]", "\"nif.jiffy.build\" = [\"g++\"]\nimage = []"), ErrLockForm, "l:29: not in canonical form, run retort lock"},
		{"CRLF", strings.ReplaceAll(text, "\n", "\r\n"), ErrLockForm, `l: lines end in CR LF, .gitattributes should have "toolchain.lock -text": not in canonical form, run retort lock`},
		{"merge", replace("\n[packages]", "\n<<<<<<< HEAD\n[packages]"), ErrLockForm, "l:36: conflict of a merge: not in canonical form, run retort lock"},
		{"broken", replace("arm64 = [\n", "arm64 = {\n"), ErrLockForm, ""},
		{"depth", text + "a = " + strings.Repeat("[", 100000), ErrLockForm, "l:45: not in canonical form, run retort lock: nested deeper than 12"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DecodeLock("l", []byte(tt.in))
			if !errors.Is(err, tt.is) {
				t.Fatalf("%v is not %v", err, tt.is)
			}
			if tt.want != "" && err.Error() != tt.want {
				t.Errorf("%v\nwant\n%s", err, tt.want)
			}
		})
	}
	_, err := DecodeLock("l", []byte(replace("pool/main/g/", "pool/../g/")))
	if err == nil || !strings.Contains(err.Error(), "l: packages.amd64[g++].path") {
		t.Error(err)
	}
	if _, err := DecodeLock("l", make([]byte, maxLock+1)); err == nil || err.Error() != "l: longer than 16777216 bytes" {
		t.Error(err)
	}
}

func TestLoadLock(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "toolchain.lock")
	if _, err := LoadLock(path); !errors.Is(err, ErrNoLock) {
		t.Error(err)
	}
	if err := os.WriteFile(path, EncodeLock(sample()), 0o644); err != nil {
		t.Fatal(err)
	}
	if l, err := LoadLock(path); err != nil || len(l.Packages) != 4 {
		t.Error(l, err)
	}
	if _, err := LoadLock(dir); err == nil || errors.Is(err, ErrNoLock) {
		t.Error(err)
	}
}

func TestClosure(t *testing.T) {
	l := sample()
	got, err := l.Closure(LinuxAMD64, "g++")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l.Packages[:3], got); diff != "" {
		t.Error(diff)
	}
	if _, err := l.Closure(LinuxARM64, "libc6"); err == nil || err.Error() != "package libc6 is not locked for linux/arm64" {
		t.Error(err)
	}
}

// What is bare brings nothing along, wherever another build has it in full; in
// the closure it is as the lock has it.
func TestSelection(t *testing.T) {
	l := &Lock{Packages: []Package{
		{Platform: LinuxAMD64, Name: "elixir", Depends: []string{"erlang-base", "libc6"}},
		{Platform: LinuxAMD64, Name: "erlang-base", Depends: []string{"libc6"}},
		{Platform: LinuxAMD64, Name: "libc6"},
		{Platform: LinuxAMD64, Name: "zlib1g", Depends: []string{"libc6"}},
	}}
	for _, tt := range []struct {
		roots, bare []string
		want        []int // of the packages; negative without dependencies
	}{
		{[]string{"zlib1g"}, []string{"elixir"}, []int{-1, 3, 4}},
		{[]string{"elixir"}, []string{"elixir", "zlib1g"}, []int{1, 2, 3, -4}},
		{nil, []string{"elixir", "elixir"}, []int{-1}},
		{[]string{"libc6", "libc6"}, nil, []int{3}},
	} {
		var want []Package
		for _, n := range tt.want {
			pkg := l.Packages[max(n, -n)-1]
			if n < 0 {
				pkg.Depends = nil
			}
			want = append(want, pkg)
		}
		got, err := l.Selection(LinuxAMD64, tt.roots, tt.bare)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v and %v: %s", tt.roots, tt.bare, diff)
		}
	}
	if len(l.Packages[0].Depends) != 2 {
		t.Error("the lock was changed")
	}
	if _, err := l.Selection(LinuxAMD64, nil, []string{"gcc"}); err == nil || err.Error() != "package gcc is not locked for linux/amd64" {
		t.Error(err)
	}
}

// large is a lock of n packages for each platform.
func large(n int) *Lock {
	l := sample()
	l.Sets, l.Packages = map[Platform]map[string][]string{}, nil
	for _, p := range Platforms() {
		l.Sets[p] = map[string][]string{"toolchain": {fmt.Sprintf("library-%05d-dev", n-1)}}
		for i := range n {
			name := fmt.Sprintf("library-%05d-dev", i)
			pkg := Package{
				Platform: p, Name: name, Version: "1:1.0+dfsg-1~deb13u1", Architecture: p.Arch(), Source: name,
				Suite: "trixie", Archive: "debian", Path: "pool/main/libr/library/" + name + "_1.0+dfsg-1~deb13u1_" + p.Arch() + ".deb",
				Size: 123456, Digest: sum(name + p.Arch()),
			}
			for j := max(0, i-5); j < i; j++ {
				pkg.Depends = append(pkg.Depends, fmt.Sprintf("library-%05d-dev", j))
			}
			l.Packages = append(l.Packages, pkg)
		}
	}
	return l
}

func BenchmarkDecodeLock400x2(b *testing.B) {
	data := EncodeLock(large(400))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeLock("l", data); err != nil {
			b.Fatal(err)
		}
	}
}

// What the general parser would cost, before any value is checked.
func BenchmarkTOML400x2(b *testing.B) {
	data := EncodeLock(large(400))
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, err := parseTOML(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeLock400x2(b *testing.B) {
	l := large(400)
	for b.Loop() {
		EncodeLock(l)
	}
}

func BenchmarkClosure400(b *testing.B) {
	l := large(400)
	for b.Loop() {
		if _, err := l.Closure(LinuxARM64, "library-00399-dev"); err != nil {
			b.Fatal(err)
		}
	}
}
