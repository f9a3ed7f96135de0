package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/elf"
	"github.com/retort-build/retort/internal/elf/elftest"
	"github.com/retort-build/retort/internal/tarball"
)

const triplet = "usr/lib/x86_64-linux-gnu/"

func elfFileAt(p string, f elf.File) FileOf {
	f.Machine = elf.AMD64
	return program(p, string(elftest.Build(f)))
}

func link(p, target string) FileOf { return FileOf{Entry: symlink(p, target)} }

// shopRelease is a release as mix release lays it out, with more files as given.
func shopRelease(t testing.TB, more ...FileOf) Tree {
	t.Helper()
	beam := elf.File{
		Interp: "/lib64/ld-linux-x86-64.so.2", Needed: []string{"libtinfo.so.6", "libc.so.6"},
		VerNeed: map[string][]string{"libc.so.6": {"GLIBC_2.38"}},
	}
	files := []FileOf{
		program("bin/shop", "#!/bin/sh\n"), text("bin/shop.bat", "@echo off\n"),
		elfFileAt("erts-15.2/bin/beam.smp", beam), elfFileAt("erts-15.2/bin/erlexec", elf.File{Needed: []string{"libc.so.6"}}),
		elfFileAt("erts-15.2/bin/epmd", elf.File{Needed: []string{"libsystemd.so.0", "libc.so.6"}}),
		elfFileAt("erts-15.2/bin/erlc", elf.File{Needed: []string{"libc.so.6"}}),
		text("erts-15.2/include/erl_nif.h", ""),
		text("lib/kernel-10.2/include/file.hrl", ""), program("erts-15.2/bin/erl.src", "#!/bin/sh\n"),
		text("lib/kernel-10.2/ebin/kernel.app", ""), text("lib/elixir-1.18.3/ebin/elixir.app", ""),
		text("lib/jason-1.4.0-rc.1/ebin/jason.app", ""), text("lib/shop-0.1.0/ebin/shop.app", ""),
		text("releases/COOKIE", "secret"), text("releases/start_erl.data", "15.2 0.1.0"),
		text("releases/0.1.0/shop.rel", ""), text("releases/0.1.0/start.boot", ""), text("releases/0.1.0/start_clean.boot", ""),
		text("releases/0.1.0/sys.config", "%% RUNTIME_CONFIG=false\n[]."), text("releases/0.1.0/vm.args", "+S 2:2\n"),
		text("releases/0.1.0/env.sh", "#!/bin/sh\n# nothing\n"),
	}
	for i := range files {
		for _, f := range more {
			if files[i].Path == f.Path {
				files[i] = f
			}
		}
	}
	for _, f := range more {
		if !slices.ContainsFunc(files, func(have FileOf) bool { return have.Path == f.Path }) {
			files = append(files, f)
		}
	}
	return mustFiles(t, files...)
}

func debian(t testing.TB, name, version string, files ...FileOf) Package {
	files = append(files,
		text("usr/share/man/man1/"+name+".1.gz", "man"),
		text("var/lib/dpkg/info/"+name+".md5sums", ""),
		text(statusDir+"/"+name, "Package: "+name+"\nVersion: "+version+"\n"))
	if !slices.ContainsFunc(files, func(f FileOf) bool { return strings.HasPrefix(f.Path, "usr/share/doc/") }) {
		files = append(files, text("usr/share/doc/"+name+"/copyright", "free"), text("usr/share/doc/"+name+"/changelog.gz", "long"))
	}
	return Package{Name: name, Version: version, Tree: mustFiles(t, files...)}
}

func shopPackages(t testing.TB) []Package {
	glibc := elf.File{Soname: "libc.so.6", VerDef: []string{"GLIBC_2.2.5", "GLIBC_2.38", "GLIBC_2.41"}}
	return []Package{
		debian(t, "libc6", "2.41-12", elfFileAt(triplet+"libc.so.6", glibc), elfFileAt(triplet+"ld-linux-x86-64.so.2", elf.File{}),
			link("usr/lib64/ld-linux-x86-64.so.2", "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
			text(triplet+"gconv/UTF-16.so", ""), elfFileAt(triplet+"libBrokenLocale.so.1", elf.File{})),
		debian(t, "libtinfo6", "6.5", link(triplet+"libtinfo.so.6", "libtinfo.so.6.5"),
			elfFileAt(triplet+"libtinfo.so.6.5", elf.File{Soname: "libtinfo.so.6", Needed: []string{"libc.so.6"}}),
			link("usr/share/doc/libtinfo6", "ncurses-base")),
		debian(t, "ncurses-base", "6.5", text("usr/share/terminfo/x/xterm", "")),
		debian(t, "libsystemd0", "257", elfFileAt(triplet+"libsystemd.so.0", elf.File{})),
		debian(t, "base-files", "13", link("bin", "usr/bin"), text("usr/lib/os-release", "ID=debian\n"),
			link("etc/os-release", "../usr/lib/os-release"), text("etc/issue", "")),
		debian(t, "ca-certificates", "2025", text(bundleSource+"mozilla/B.crt", "B\n"), text(bundleSource+"mozilla/A.crt", "A")),
		debian(t, "tzdata", "2026f", text("usr/share/zoneinfo/UTC", "TZif")),
	}
}

func shop(t testing.TB, more ...FileOf) Runtime {
	return Runtime{
		Platform: env.LinuxAMD64, Release: shopRelease(t, more...), Packages: shopPackages(t),
		OTP: []string{"kernel"}, Elixir: []string{"elixir"}, Dependencies: []string{"jason"},
	}
}

func composed(t testing.TB, rt Runtime) Composition {
	t.Helper()
	c, err := Compose(rt)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func listing(c Composition) map[string][]string {
	out := make(map[string][]string)
	for _, l := range c.Layers {
		out[l.Name] = paths(l.Tree)
	}
	return out
}

func TestComposeTakesWhatIsNeeded(t *testing.T) {
	c := composed(t, shop(t))
	want := map[string][]string{
		"base": {
			"bin", "etc/erl_inetrc", "etc/group", "etc/hosts", "etc/nsswitch.conf", "etc/os-release", "etc/passwd",
			"etc/ssl/certs/ca-certificates.crt", "lib", "lib64", "sbin", "usr/lib/os-release",
			triplet + "ld-linux-x86-64.so.2", triplet + "libc.so.6", "usr/lib64/ld-linux-x86-64.so.2",
			"usr/share/doc/base-files/copyright", "usr/share/doc/ca-certificates/copyright", "usr/share/doc/libc6/copyright",
			statusDir + "/base-files", statusDir + "/ca-certificates", statusDir + "/libc6",
		},
		"libraries": {
			triplet + "libtinfo.so.6", triplet + "libtinfo.so.6.5", "usr/share/doc/libtinfo6",
			"usr/share/doc/ncurses-base/copyright", statusDir + "/libtinfo6", statusDir + "/ncurses-base",
		},
		"erts":         {"app/erts-15.2/bin/beam.smp", "app/erts-15.2/bin/erlexec"},
		"otp":          {"app/lib/kernel-10.2/ebin/kernel.app"},
		"elixir":       {"app/lib/elixir-1.18.3/ebin/elixir.app"},
		"dependencies": {"app/lib/jason-1.4.0-rc.1/ebin/jason.app"},
		"application": {
			"app/bin/shop", "app/lib/shop-0.1.0/ebin/shop.app", "app/releases/0.1.0/env.sh", "app/releases/0.1.0/shop.rel",
			"app/releases/0.1.0/start.boot", "app/releases/0.1.0/start_clean.boot", "app/releases/0.1.0/sys.config",
			"app/releases/0.1.0/vm.args", "app/releases/start_erl.data",
		},
	}
	if d := cmp.Diff(want, listing(c)); d != "" {
		t.Errorf("files (-want +got):\n%s", d)
	}
	var order []string
	for _, l := range c.Layers {
		order = append(order, l.Name)
	}
	if d := cmp.Diff([]string{"base", "libraries", "erts", "otp", "elixir", "dependencies", "application"}, order); d != "" {
		t.Errorf("order of layers (-want +got):\n%s", d)
	}
	if s := contentOf(t, c.Layers[0].Tree, bundlePath); s != "A\nB\n" {
		t.Errorf("certificates %q", s)
	}
}

func TestComposeTakesNamedPackagesWhole(t *testing.T) {
	rt := shop(t)
	for i := range rt.Packages {
		rt.Packages[i].Whole = rt.Packages[i].Name == "tzdata" || rt.Packages[i].Name == "libc6"
	}
	base := listing(composed(t, rt))["base"]
	for p, want := range map[string]bool{
		"usr/share/zoneinfo/UTC": true, triplet + "libBrokenLocale.so.1": true, triplet + "gconv/UTF-16.so": false,
		"usr/share/man/man1/tzdata.1.gz": false, "usr/share/doc/tzdata/changelog.gz": false,
		"usr/share/doc/tzdata/copyright": true, "var/lib/dpkg/info/tzdata.md5sums": false, statusDir + "/tzdata": true,
	} {
		if slices.Contains(base, p) != want {
			t.Errorf("%s is there: %v, want %v", p, !want, want)
		}
	}
}

// What was compiled for the build takes the place of the suite's, and another of
// it changes one layer.
func TestComposeTakesWhatIsItsOwn(t *testing.T) {
	crypto := elf.File{Soname: "libcrypto.so.3"}
	with := func(version string) Composition {
		rt := shop(t, elfFileAt("lib/crypto-5.5/priv/lib/crypto.so", elf.File{Needed: []string{"libcrypto.so.3"}}))
		own := Package{Name: "openssl-source", Version: version, Own: true, Tree: mustFiles(t,
			elfFileAt(triplet+"libcrypto.so.3", elf.File{Soname: crypto.Soname, Needed: []string{"libc.so.6"}}),
			elfFileAt(triplet+"libssl.so.3", elf.File{Soname: "libssl.so.3"}), text(triplet+"ossl-modules/legacy.so", version), text("usr/share/doc/openssl-source/copyright", "Apache "+version))}
		rt.Packages = append(rt.Packages, debian(t, "libssl3t64", "3.5.1", elfFileAt(triplet+"libcrypto.so.3", crypto)), own)
		return composed(t, rt)
	}
	c := with("3.5.7")
	layers := listing(c)
	want := []string{triplet + "libcrypto.so.3", triplet + "ossl-modules/legacy.so", "usr/share/doc/openssl-source/copyright"}
	if diff := cmp.Diff(want, layers["openssl-source"]); diff != "" {
		t.Error(diff)
	}
	if slices.Contains(layers["libraries"], triplet+"libcrypto.so.3") {
		t.Error("the suite's library is there too")
	}
	other := with("3.5.8")
	for i, l := range c.Layers {
		same := cmp.Equal(held(t, l.Tree), held(t, other.Layers[i].Tree))
		if same != (l.Name != "openssl-source") {
			t.Errorf("layer %s of another OpenSSL is the same: %v", l.Name, same)
		}
	}
}

// What is linked statically has its licence in the image, and what nothing loads
// has nothing there.
func TestComposeTakesLicenceOfWhatIsLinkedIn(t *testing.T) {
	licence := text("usr/share/doc/openssl-source/copyright", "Apache")
	for _, tt := range []struct {
		files []FileOf
		want  []string
	}{
		{[]FileOf{licence}, []string{licence.Path}},
		{[]FileOf{licence, elfFileAt(triplet+"libcrypto.so.3", elf.File{Soname: "libcrypto.so.3"})}, nil},
	} {
		rt := shop(t)
		rt.Packages = append(rt.Packages, Package{Name: "openssl-source", Version: "3.5.7", Own: true, Tree: mustFiles(t, tt.files...)})
		if diff := cmp.Diff(tt.want, listing(composed(t, rt))["openssl-source"]); diff != "" {
			t.Error(diff)
		}
	}
}

// held are the files of a tree with what they hold.
func held(t testing.TB, tree Tree) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for _, e := range tree.Entries() {
		if e.Kind != tarball.File {
			out[e.Path] = e.Link
			continue
		}
		data, err := readFile(tree, e.Path, maxScript)
		if err != nil {
			t.Fatal(err)
		}
		out[e.Path] = string(data)
	}
	return out
}

func TestComposeDoesNotDependOnOrder(t *testing.T) {
	a := shop(t)
	b := shop(t)
	slices.Reverse(b.Packages)
	x, y := composed(t, a), composed(t, b)
	for i := range x.Layers {
		p, _ := TreeID(x.Layers[i].Tree.Entries())
		q, _ := TreeID(y.Layers[i].Tree.Entries())
		if p != q {
			t.Errorf("layer %s differs", x.Layers[i].Name)
		}
	}
	if d := cmp.Diff(x.Included, y.Included); d != "" {
		t.Errorf("included (-a +b):\n%s", d)
	}
}

func TestComposeRefusesWhatWouldNotLoad(t *testing.T) {
	nif := "lib/shop-0.1.0/priv/nif.so"
	arm := program(nif, string(elftest.Build(elf.File{Machine: elf.ARM64})))
	tests := []struct {
		name string
		file FileOf
		want string
	}{
		{"a library that no package has", elfFileAt(nif, elf.File{Needed: []string{"libsqlite3.so.0"}}),
			"/app/" + nif + " needs libsqlite3.so.0, which no package of the image has"},
		{"a C library older than the NIF's", elfFileAt(nif, elf.File{Needed: []string{"libc.so.6"}, VerNeed: map[string][]string{"libc.so.6": {"GLIBC_2.43"}}}),
			"/app/" + nif + " needs GLIBC_2.43 of libc.so.6, which /" + triplet + "libc.so.6 does not define (newest: GLIBC_2.41) (package libc6 2.41-12)"},
		{"a NIF for another machine", arm, "/app/" + nif + " is for arm64"},
		{"a musl program", elfFileAt("bin/tool", elf.File{Interp: "/lib/ld-musl-x86_64.so.1"}), "/app/bin/tool needs the interpreter /lib/ld-musl-x86_64.so.1"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Compose(shop(t, test.file))
			var linkError *LinkError
			if !errors.As(err, &linkError) || len(linkError.Problems) != 1 || linkError.Problems[0].String() != test.want {
				t.Errorf("error %v\nwant %s", err, test.want)
			}
		})
	}
	rt := shop(t, arm)
	rt.Ignore = []string{"lib/shop-*/priv/*.so"}
	if _, err := Compose(rt); err != nil {
		t.Errorf("ignored: %v", err)
	}
	rt.Ignore = []string{"["}
	if _, err := Compose(rt); err == nil || !strings.Contains(err.Error(), "ignore") {
		t.Errorf("bad pattern: %v", err)
	}
	damaged := elftest.Build(elf.File{Needed: []string{"libc.so.6"}})
	if _, err := Compose(shop(t, program(nif, string(damaged[:len(damaged)-40])))); err == nil || !strings.Contains(err.Error(), nif) {
		t.Errorf("damaged: %v", err)
	}
}

func TestNIFsFindLibrariesOfTheRelease(t *testing.T) {
	c := composed(t, shop(t,
		elfFileAt("lib/shop-0.1.0/priv/nif.so", elf.File{Needed: []string{"libmine.so"}, Runpath: []string{"$ORIGIN/lib"}}),
		elfFileAt("lib/shop-0.1.0/priv/lib/libmine.so", elf.File{Needed: []string{"libsystemd.so.0"}})))
	if !slices.Contains(listing(c)["libraries"], triplet+"libsystemd.so.0") {
		t.Error("a library of a library in the release was not found")
	}
}

func TestComposeRefusesWhatIsNoRelease(t *testing.T) {
	whole := shopRelease(t)
	for _, missing := range []string{"releases/start_erl.data", "erts-15.2/bin/erlexec", "releases/0.1.0/start.boot", "releases/0.1.0/shop.rel"} {
		tree, err := Filter(whole, func(e tarball.Entry) bool { return e.Path != missing })
		if err != nil {
			t.Fatal(err)
		}
		rt := shop(t)
		rt.Release = tree
		if _, err := Compose(rt); err == nil {
			t.Errorf("a release without %s was composed", missing)
		}
	}
	for _, data := range []string{"", "15.2", "15.2 ../../etc", "15.2 0.1.0 x"} {
		if _, err := Compose(shop(t, text("releases/start_erl.data", data))); err == nil {
			t.Errorf("start_erl.data %q was accepted", data)
		}
	}
	rt := shop(t)
	rt.Packages = append(rt.Packages, rt.Packages[0])
	if _, err := Compose(rt); err == nil {
		t.Error("a package given twice was accepted")
	}
}

func TestModesAndOwnersAreNormal(t *testing.T) {
	odd := program("lib/shop-0.1.0/priv/tool", "x")
	odd.Mode, odd.UID, odd.GID = 0o4751, 1000, 1000
	c := composed(t, shop(t, odd))
	for _, l := range c.Layers {
		if err := tarball.Check(l.Tree.Entries()); err != nil {
			t.Errorf("%s: %v", l.Name, err)
		}
		for _, e := range l.Tree.Entries() {
			got := fmt.Sprintf("%o %d:%d", e.Mode, e.UID, e.GID)
			want := map[string]string{"tmp": "1777 0:0", "var/tmp": "1777 0:0", "root": "700 0:0", "home/app": "700 65532:65532"}[e.Path]
			if want == "" && e.Path == "app/lib/shop-0.1.0/priv/tool" {
				want = "755 0:0"
			}
			if want != "" && got != want {
				t.Errorf("%s is %s, want %s", e.Path, got, want)
			}
		}
	}
}

func TestComposeForArm64(t *testing.T) {
	arm := func(p string, f elf.File) FileOf {
		f.Machine = elf.ARM64
		return program(p, string(elftest.Build(f)))
	}
	const lib = "usr/lib/aarch64-linux-gnu/"
	beam := elf.File{Interp: "/lib/ld-linux-aarch64.so.1", Needed: []string{"libc.so.6", "ld-linux-aarch64.so.1"}}
	rt := shop(t, arm("erts-15.2/bin/beam.smp", beam), arm("erts-15.2/bin/erlexec", elf.File{Needed: []string{"libc.so.6"}}))
	rt.Platform = env.LinuxARM64
	rt.Packages = []Package{debian(t, "libc6", "2.41", arm(lib+"libc.so.6", elf.File{}), arm(lib+"ld-linux-aarch64.so.1", elf.File{}),
		link("usr/lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu/ld-linux-aarch64.so.1"))}
	base := listing(composed(t, rt))["base"]
	for p, want := range map[string]bool{"lib64": false, "lib": true, lib + "ld-linux-aarch64.so.1": true, "usr/lib/ld-linux-aarch64.so.1": true} {
		if slices.Contains(base, p) != want {
			t.Errorf("%s is there: %v, want %v", p, !want, want)
		}
	}
}
