package main

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/retort-build/retort/internal/fixture"
)

// nifs is a server of packages with native code, and of an archive of it.
type nifs struct {
	*httptest.Server
	repo    *fixture.HexRepo
	archive string        // its path
	sum     digest.Digest // its digest
}

func newNIFs(t *testing.T) nifs {
	t.Helper()
	repo, err := fixture.BuildHexRepo(context.Background(), fixture.Sources{}, fixture.NativePackages())
	if err != nil {
		t.Fatal(err)
	}
	name, content, err := fixture.NativeArchive()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", repo.Handler())
	mux.HandleFunc("/archives/"+name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
	mux.HandleFunc("/other/"+name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("other")) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return nifs{server, repo, name, digest.FromBytes(content)}
}

// app is an application with native code. visible adds what no sandbox hides.
func (n nifs) app(t *testing.T, visible bool) app {
	t.Helper()
	manifest, err := os.ReadFile("../../toolchain.toml")
	if err != nil {
		t.Fatal(err)
	}
	lock, err := n.repo.Lock("archived", "leaky")
	if err != nil {
		t.Fatal(err)
	}
	environ := ""
	if visible {
		environ = "env = { LEAKY = \"visible\" }\n"
	}
	out := app{example: "native", manifest: string(manifest), env: []string{"HEX_MIRROR=" + n.URL}, files: map[string]string{
		"toolchain.toml": "extends = \"../../toolchain.toml\"\n[nif.leaky]\nbuild = [\"zlib1g-dev\"]\n" + environ + "[nif.archived]\n",
		"mix.lock":       string(lock),
		"mix.exs": `defmodule Native.MixProject do
  use Mix.Project
  def project, do: [app: :native, version: "1.0.0", deps: [{:archived, "~> 1.0"}, {:leaky, "~> 1.0"}]]
  def application, do: [mod: {Native, []}, extra_applications: []]
end
`,
		"lib/native.ex": `defmodule Native do
  use Application
  @listed File.ls!("data")
  def listed, do: @listed

  def start(_type, _args) do
    IO.puts("zlib #{Leaky.zlib()}, #{Leaky.port("answered")}, archived is #{Archived.origin()}")
    spawn(fn -> System.stop() end)
    {:ok, self()}
  end
end
`,
	}}
	for i := range 20 {
		out.files[fmt.Sprintf("data/%d.txt", i*i)] = ""
	}
	return out
}

// start is a run whose Hex packages come from n.
func (n nifs) start(o start) start {
	o.env = append(slices.Clone(o.env), "HEX_MIRROR="+n.URL)
	return o
}

// unhidden are the files that may differ between two machines: what the
// kernel tells everybody. Of them the clock must, or the comparison is blind.
var unhidden = []string{"clock", "find", "kernel", "nproc", "unsorted"}

// testNIF builds dependencies with native code that leak in every known way.
func (k *kit) testNIF(t *testing.T) {
	needRoot(t)
	needTools(t, "taskset", "unshare", "nice", "umoci", "podman")
	n := newNIFs(t)
	t.Setenv("HEX_MIRROR", n.URL)
	s := n.app(t, true)
	s.files["toolchain.lock"] = string(k.lock(t, s))
	dir := folder(t)
	o := n.start(start{dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{}), home: k.seed})
	_, paths := k.build(t, o, "-o", filepath.Join(dir, "out"))
	t.Run("compilers", func(t *testing.T) { checkCompilers(t, paths[0]) })
	t.Run("image", func(t *testing.T) { checkNIFImage(t, paths[1]) })
	t.Run("another machine", func(t *testing.T) { k.nifElsewhere(t, n, s, paths[0]) })
	t.Run("messages", func(t *testing.T) { k.nifMessages(t, n, s) })
	t.Run("precompiled", func(t *testing.T) { k.precompiled(t, n, s) })
	t.Run("year", func(t *testing.T) {
		if runtime.GOARCH != "amd64" {
			t.Skip("the path of libfaketime is amd64's here")
		}
		later := n.app(t, false)
		later.variant = "-year"
		k.yearLater(t, later)
	})
}

// nifElsewhere builds again as on another machine: another host name, number
// of processors, path, time of the files, order of their creation, and file
// system of the store.
func (k *kit) nifElsewhere(t *testing.T, n nifs, s app, first string) {
	disk := folder(t)
	if err := unix.Mount("retort", disk, "tmpfs", 0, "mode=755,size=6g"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	v := variations()[2]
	v.run.dir = s.write(t, filepath.Join(folder(t), "elsewhere"), v.write)
	v.run.home = filepath.Join(disk, "home")
	v.run.wrap = append([]string{"unshare", "--uts", "/bin/sh", "-c", "hostname " + v.host + ` && exec "$@"`, "sh"}, v.run.wrap...)
	_, paths := k.build(t, n.start(v.run), "--jobs", "1", "-o", filepath.Join(disk, "out"))
	changed := changedFiles(t, first, paths[0])
	t.Logf("differ: %q", changed)
	for _, name := range changed {
		if base := path.Base(name); !slices.Contains(unhidden, base) || !strings.Contains(name, "/priv/seen/") {
			t.Errorf("%s differs", name)
		}
	}
	if !slices.ContainsFunc(changed, func(name string) bool { return path.Base(name) == "clock" }) {
		t.Error("two builds saw the same nanosecond: this comparison is blind")
	}
}

// checkCompilers looks at what the compilers made of the sources.
func checkCompilers(t *testing.T, release string) {
	priv := privFiles(t, release)
	plain := priv["leaky/plain.so"]
	for name, same := range map[string][]byte{"native.so": plain, "tuned.so": plain, "lto.so": priv["leaky/lto-plain.so"]} {
		got := priv["leaky/"+name]
		if len(got) == 0 || !bytes.Equal(got, same) {
			t.Errorf("%s, compiled for this processor, differs from what is compiled for all", name)
		}
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil && strings.Contains(string(info), " avx2 ") {
		if got := string(priv["leaky/control"]); got != "differs\n" {
			t.Errorf("without retort's specs this processor's code is %q: the test proves nothing", got)
		}
	}
	if got := priv["leaky/date.so"]; !bytes.Contains(got, []byte("built Jan  1 1980 00:00:00, ")) || !bytes.Contains(got, []byte("from /build/project/deps/leaky/c_src/date.c")) {
		t.Error("date.so holds another time or path")
	}
	if got := string(priv["leaky/seen/uname"]); !strings.HasPrefix(got, "Linux localhost ") && !strings.HasPrefix(got, "Linux retort ") {
		t.Errorf("uname: %q", got)
	}
	if len(priv["leaky/kept.o"]) == 0 {
		t.Error("an object file in priv is not in the release")
	}
	if got := string(priv["archived/origin"]); got != "compiled\n" {
		t.Errorf("the package that would download is %q, want compiled", got)
	}
}

// checkNIFImage: the image runs, has what the native code is linked with, and
// nothing that it was made with.
func checkNIFImage(t *testing.T, layout string) {
	bundle := filepath.Join(folder(t), "bundle")
	tool(t, "umoci", "unpack", "--image", layout+":"+tagOf(t, layout), bundle)
	root := filepath.Join(bundle, "rootfs")
	var found []string
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(file, root+"/")
		base := path.Base(name)
		found = append(found, base)
		tools := []string{"gcc", "g++", "cc", "c++", "cc1", "as", "ld", "make", "gcc.specs", "pkgconfig", "sh", "perl"}
		ours := strings.HasPrefix(name, "app/lib/leaky-1.0.0/priv/")
		switch {
		case slices.Contains(tools, base) && !strings.HasPrefix(name, "etc/"):
			t.Errorf("the image has %s", name)
		case !ours && slices.Contains([]string{".a", ".h", ".o", ".la", ".pc"}, path.Ext(base)):
			t.Errorf("the image has %s", name)
		case name == "usr/include":
			t.Errorf("the image has %s", name)
		case strings.HasPrefix(name, "usr/share/doc/") && strings.HasSuffix(name, "-dev"):
			t.Errorf("the image has a development package: %s", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"libz.so.1", "libstdc++.so.6"} {
		if !slices.Contains(found, want) {
			t.Errorf("the image lacks %s, which native code is linked with", want)
		}
	}
	p := newPodman(t)
	said := p.run("run", "--rm", "--network", "host", "--read-only", "--ulimit", "nofile=1024:20000", "--ulimit", "nproc=1000:1000", p.run("pull", "-q", "oci:"+layout))
	if !strings.Contains(said, "zlib 1.") || !strings.Contains(said, "port has answered, archived is compiled") {
		t.Errorf("the application says %q", said)
	}
}

// nifMessages: what the manifest lacks is named, with the line to write.
func (k *kit) nifMessages(t *testing.T, n nifs, s app) {
	for _, c := range []struct {
		name, manifest string
		words          []string
	}{
		{"no table", "[nif.archived]\n", []string{"hint: make is there for dependencies with native code: add [nif.leaky] to toolchain.toml and run retort lock", "retort shell --at dep:leaky"}},
		{"another name", "[nif.leak]\n[nif.archived]\n", []string{"warning: toolchain.toml: nif.leak: the project has no such dependency: did you mean nif.leaky?"}},
		{"no header", "[nif.leaky]\n[nif.archived]\n", []string{"hint: zlib.h is in the package zlib1g-dev: add it to build of [nif.leaky] in toolchain.toml and run retort lock"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			broken := s
			broken.variant = "-broken"
			broken.files = map[string]string{}
			for name, text := range s.files {
				broken.files[name] = text
			}
			broken.files["toolchain.toml"] = "extends = \"../../toolchain.toml\"\n" + c.manifest
			dir := broken.write(t, folder(t), writeOptions{})
			o := n.start(start{dir: dir, home: k.seed, mirror: os.Getenv("RETORT_DEBIAN_MIRROR")})
			if o.mirror == "" {
				o.env = append(o.env, "RETORT_DEBIAN_MIRROR=") // this machine's APT sources
			}
			k.must(t, o, "lock")
			k.refuse(t, o, exitBuild, c.words, "build", "--jobs", "1")
		})
	}
}

// precompiled takes native code from an archive: only the one that both the
// manifest and the package name.
func (k *kit) precompiled(t *testing.T, n nifs, s app) {
	o := n.start(start{home: k.seed})
	build := func(path string, sum digest.Digest) start {
		pinned := s
		pinned.files = map[string]string{}
		for name, text := range s.files {
			pinned.files[name] = text
		}
		pinned.files["toolchain.toml"] += fmt.Sprintf("precompiled = { url = \"%s/%s/%s\", sha256 = %q }\n", n.URL, path, n.archive, sum.Encoded())
		o.dir = pinned.write(t, folder(t), writeOptions{})
		return o
	}
	k.refuse(t, build("archives", digest.FromString("something")), exitFailed, []string{"fetch precompiled:archived", "wrong digest"}, "build")
	k.refuse(t, build("other", digest.FromString("other")), exitBuild, []string{"does not match its checksum", "the archive that toolchain.toml names as precompiled is not the one"}, "build")
	_, paths := k.build(t, build("archives", n.sum))
	if got := string(privFiles(t, paths[0])["archived/origin"]); got != "archive\n" {
		t.Errorf("the archive's file is %q", got)
	}
}

// privFiles are the files of a release's priv folders, as APP/NAME.
func privFiles(t *testing.T, release string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	eachEntry(t, release, func(h *tar.Header, content []byte) {
		before, name, ok := strings.Cut(h.Name, "/priv/")
		app, _, _ := strings.Cut(path.Base(before), "-")
		if ok && h.Typeflag == tar.TypeReg {
			out[app+"/"+name] = content
		}
	})
	return out
}
