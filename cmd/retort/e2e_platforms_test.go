package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/elf"
	"github.com/retort-build/retort/internal/fixture"
)

// other is the platform that this machine is not.
func other() env.Platform {
	if native() == env.LinuxAMD64 {
		return env.LinuxARM64
	}
	return env.LinuxAMD64
}

// needEmulator fails a test where the kernel cannot run the other platform's programs.
func needEmulator(t *testing.T) {
	t.Helper()
	found, _ := filepath.Glob("/proc/sys/fs/binfmt_misc/qemu-" + map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[other().Arch()])
	if len(found) == 0 {
		t.Fatalf("this test runs programs for %s: apt install qemu-user-static binfmt-support, and mount binfmt_misc", other())
	}
}

// testPlatforms builds the examples for both platforms, each into one image
// index, and runs them.
func (k *kit) testPlatforms(t *testing.T) {
	needRoot(t)
	needEmulator(t)
	needTools(t, "skopeo", "podman")
	t.Run("hello", k.helloForAll)
	t.Run("toolchain", k.toolchainForAll)
	for _, a := range apps {
		t.Run(a.release, func(t *testing.T) {
			s := k.exampleFor(t, a.example)
			o := k.online(s)
			o.dir = s.write(t, folder(t), writeOptions{})
			built := k.buildAll(t, o, "--target", a.target)
			sameCode(t, built.releases[0], built.releases[1])
			t.Run("run", func(t *testing.T) {
				if a.example == "shop" {
					fixture.NeedNightly(t) // an emulator is too slow for its time limits if the machine is busy
				}
				appImage(t, newPodmanFor(t, other()), a.requests, built.image)
			})
			t.Run("emulated", func(t *testing.T) {
				fixture.NeedNightly(t)
				s.manifest += fmt.Sprintf("\n[platform.%s]\nmethod = \"emulate\"\n", other().Arch())
				o := start{home: k.seed, dir: s.write(t, folder(t), writeOptions{}), timeout: 3 * time.Hour}
				got := k.buildAll(t, o, "--target", a.target)
				if changed := changedFiles(t, got.releases[1], built.releases[1]); len(changed) > 0 {
					t.Errorf("its own programs give another release than cross compilation: %q", changed)
				}
			})
		})
	}
}

func (k *kit) helloForAll(t *testing.T) {
	s := k.example(t, "hello")
	o := k.online(s)
	dir := folder(t)
	o.dir = s.write(t, filepath.Join(dir, "ws"), writeOptions{})
	first := k.buildAll(t, o)
	sameCode(t, first.releases[0], first.releases[1])
	t.Run("run", func(t *testing.T) {
		for _, p := range env.Platforms() {
			pod := newPodmanFor(t, p)
			if said := pod.serves(pod.pull(first.image)); said.OTP != "27" {
				t.Errorf("%s says %+v", p, said)
			}
		}
	})
	t.Run("skopeo", func(t *testing.T) {
		copied := filepath.Join(dir, "copied")
		tool(t, "skopeo", "copy", "-q", "--all", "--preserve-digests", "oci:"+first.image, "dir:"+copied)
		manifest, err := os.ReadFile(filepath.Join(copied, "manifest.json"))
		if err != nil || digest.FromBytes(manifest) != first.index {
			t.Errorf("skopeo has another index: %v\n%s", err, manifest)
		}
	})
	t.Run("one by one", func(t *testing.T) {
		for i, p := range env.Platforms() {
			got, _ := k.build(t, o, "--platform", string(p), "-o", filepath.Join(dir, "one"))
			if got.image != first.images[i] {
				t.Errorf("%s alone is image %s, in the index %s", p, got.image, first.images[i])
			}
		}
	})
	t.Run("again", func(t *testing.T) {
		o := start{dir: o.dir, home: filepath.Join(dir, "another store"), env: []string{"TZ=Pacific/Kiritimati"}}
		if again := k.buildAll(t, o, "-o", filepath.Join(dir, "again")); again.index != first.index {
			t.Errorf("another store gives index %s, not %s:\n%s", again.index, first.index, diffArchives(t, first.releases[1], again.releases[1]))
		}
	})
	t.Run("emulated", func(t *testing.T) {
		fixture.NeedNightly(t)
		s := s
		s.manifest += fmt.Sprintf("\n[platform.%s]\nmethod = \"emulate\"\n", other().Arch())
		o := start{home: k.seed, dir: s.write(t, folder(t), writeOptions{}), timeout: time.Hour}
		got := k.buildAll(t, o)
		if changed := changedFiles(t, got.releases[1], first.releases[1]); len(changed) > 0 {
			t.Errorf("its own programs give another release than cross compilation: %q", changed)
		}
		for i := range env.Platforms() { // of another commit
			if a, b := got.layers(t, i), first.layers(t, i); !slices.Equal(a, b) {
				t.Errorf("its own programs give other layers than cross compilation:\n%q\n%q", a, b)
			}
		}
	})
}

// toolchainForAll builds hello with a toolchain from source for both platforms, of
// which one has another OpenSSL. Another store, elsewhere, gives the same index.
func (k *kit) toolchainForAll(t *testing.T) {
	fixture.NeedNightly(t)
	tr := triples[0]
	s := tr.app(t)
	s.variant += "-all"
	tr.openssl = "3.0.20"
	s.manifest = strings.Replace(s.manifest, fmt.Sprintf("platforms = [%q]\n", native()), "", 1) +
		fmt.Sprintf("[platform.%s.toolchain.openssl]\nversion = %q\n", other().Arch(), tr.openssl)
	s.files["toolchain.lock"] = string(k.lock(t, s))
	o := k.online(s)
	dir := folder(t)
	o.dir = s.write(t, filepath.Join(dir, "ws"), writeOptions{})
	first := k.buildAll(t, o)
	sameCode(t, first.releases[0], first.releases[1])
	pod := newPodmanFor(t, other())
	said := pod.serves(pod.pull(first.image))
	if said.OTP != "27" || !isVersion(said.Elixir, tr.elixir) || !isVersion(strings.TrimPrefix(said.OpenSSL, "OpenSSL "), tr.openssl) {
		t.Errorf("hello says %+v, want %+v", said, tr)
	}
	t.Run("native code", func(t *testing.T) { k.nativeOnToolchain(t, s.manifest) })
	t.Run("another store", func(t *testing.T) {
		o.home, o.env = filepath.Join(dir, "home"), append(slices.Clone(o.env), "TZ=Pacific/Kiritimati")
		if again := k.buildAll(t, o, "--jobs", "5", "-o", filepath.Join(dir, "again")); again.index != first.index {
			t.Errorf("it gives index %s, not %s:\n%s", again.index, first.index, diffArchives(t, first.releases[1], again.releases[1]))
		}
	})
}

// nativeOnToolchain compiles native code of dependencies for the other platform with a
// toolchain from source: by cross compilers and under an emulator.
func (k *kit) nativeOnToolchain(t *testing.T, manifest string) {
	n := newNIFs(t)
	t.Setenv("HEX_MIRROR", n.URL)
	s := n.app(t, false)
	s.manifest = manifest
	for _, method := range []string{env.MethodCross, env.MethodEmulate} {
		t.Run(method, func(t *testing.T) {
			o := n.start(k.online(s))
			o.dir, o.timeout = s.write(t, folder(t), writeOptions{}), toolchainTimeout
			appendTo(t, o.dir, "toolchain.toml", fmt.Sprintf("[nif.leaky.platform.%s]\nmethod = %q\n", other().Arch(), method))
			k.must(t, o, "lock")
			k.otherSays(t, o, "answered")
		})
	}
}

// An indexed is what `build --platform all` leaves, by canonical order of the platforms.
type indexed struct {
	releases []string // paths
	image    string   // path of the layout
	index    digest.Digest
	images   []digest.Digest
}

// layers are the digests of an image's layers.
func (x indexed) layers(t *testing.T, i int) []digest.Digest {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(x.image, "blobs", "sha256", x.images[i].Encoded()))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Layers []struct{ Digest digest.Digest }
	}
	if err := json.Unmarshal(data, &manifest); err != nil || len(manifest.Layers) == 0 {
		t.Fatalf("manifest %s: %v", data, err)
	}
	var out []digest.Digest
	for _, l := range manifest.Layers {
		out = append(out, l.Digest)
	}
	return out
}

// buildAll builds for all platforms and checks that the index names an image for each.
func (k *kit) buildAll(t *testing.T, o start, args ...string) indexed {
	t.Helper()
	r := k.must(t, o, append([]string{"build", "--json", "--platform", "all"}, args...)...)
	var said buildResult
	if err := json.Unmarshal([]byte(r.stdout), &said); err != nil {
		t.Fatal(err)
	}
	if len(said.Outputs) != 3 || len(said.Platforms) != 2 {
		t.Fatalf("build printed %s", r.stdout)
	}
	out := indexed{image: said.Outputs[2].Path, index: said.Outputs[2].Digest}
	for i, p := range env.Platforms() {
		if said.Outputs[i].Platform != string(p) || said.Platforms[i].Platform != string(p) {
			t.Errorf("output %d is for %s, want %s", i, said.Outputs[i].Platform, p)
		}
		out.releases = append(out.releases, said.Outputs[i].Path)
	}
	data, err := os.ReadFile(filepath.Join(out.image, "blobs", "sha256", out.index.Encoded()))
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Manifests []struct {
			Digest   digest.Digest
			Platform struct{ Architecture, OS string }
		}
	}
	if err := json.Unmarshal(data, &index); err != nil || len(index.Manifests) != 2 {
		t.Fatalf("index %s: %v", data, err)
	}
	for i, m := range index.Manifests {
		if p := env.Platforms()[i]; env.Platform(m.Platform.OS+"/"+m.Platform.Architecture) != p {
			t.Errorf("image %d of the index is for %+v, want %s", i, m.Platform, p)
		}
		out.images = append(out.images, m.Digest)
	}
	return out
}

// machineFile matches files that tell of the machine in words.
var machineFile = regexp.MustCompile(`/(erl_int_sizes_config|ei_config|config)\.h$`)

// sameCode compares the releases of two platforms: all but native code is the same.
func sameCode(t *testing.T, a, b string) {
	t.Helper()
	native := map[string]bool{}
	for _, path := range []string{a, b} {
		eachEntry(t, path, func(h *tar.Header, content []byte) {
			if _, is, _ := elf.Read(bytes.NewReader(content)); is || strings.HasPrefix(string(content), "!<arch>") {
				native[h.Name] = true
				for _, place := range []string{"/sysroot", "gcc-cross"} {
					if bytes.Contains(content, []byte(place)) {
						t.Errorf("%s of %s says %q, which is where it was compiled", h.Name, filepath.Base(path), place)
					}
				}
			}
		})
	}
	changed := changedFiles(t, a, b)
	for _, name := range changed {
		if !native[name] && !machineFile.MatchString(name) {
			t.Errorf("%s differs", name)
		}
	}
	if !slices.ContainsFunc(changed, func(name string) bool { return strings.HasSuffix(name, "/bin/beam.smp") }) {
		t.Errorf("the virtual machine is not among the files that differ: %q", changed)
	}
}
