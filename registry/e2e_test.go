package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/internal/tarball"
	"github.com/retort-build/retort/layers/deb"
)

// What a real release is built with, and what its image may take files from.
const (
	buildPackages = "erlang-base,erlang-crypto,erlang-ssl,erlang-public-key,erlang-asn1,erlang-inets,erlang-syntax-tools," +
		"erlang-tools,erlang-parsetools,erlang-runtime-tools,elixir,ca-certificates"
	runtimePackages = "libc6 libgcc-s1 gcc-14-base libstdc++6 libssl3t64 openssl-provider-legacy openssl zlib1g libzstd1 " +
		"libtinfo6 ca-certificates base-files netbase tzdata media-types libsystemd0 libcap2 libc-bin dash coreutils sed " +
		"grep mawk libacl1 libattr1 libselinux1 libpcre2-8-0 libgmp10 debianutils bash"
)

// e2e skips unless RETORT_E2E=1, and then requires root and programs.
func e2e(t *testing.T, programs ...string) {
	t.Helper()
	if os.Getenv("RETORT_E2E") != "1" {
		t.Skip("needs root, Debian tools and a mirror: set RETORT_E2E=1")
	}
	if os.Geteuid() != 0 {
		t.Fatal("RETORT_E2E=1 needs root for mmdebstrap and chroot")
	}
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("RETORT_E2E=1: %v", err)
		}
	}
}

func run(t *testing.T, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// debianRoot is a trixie root with Elixir, and /debs in it. It is made once.
func debianRoot(t *testing.T) string {
	t.Helper()
	cache := os.Getenv("RETORT_TEST_CACHE")
	if cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		cache = filepath.Join(dir, "retort-test")
	}
	root := filepath.Join(cache, "registry-trixie")
	if _, err := os.Stat(filepath.Join(root, "debs")); err == nil {
		return root
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	tmp := root + ".new"
	os.RemoveAll(tmp)
	run(t, "mmdebstrap", "--variant=apt", "--include="+buildPackages,
		"--customize-hook=mkdir \"$1\"/debs.new && chroot \"$1\" sh -c 'cd /debs.new && apt-get download "+runtimePackages+"'",
		"--customize-hook=mv \"$1\"/debs.new \"$1\"/debs", "trixie", tmp)
	if err := os.Rename(tmp, root); err != nil {
		t.Fatal(err)
	}
	return root
}

// buildRelease makes a release of testdata/hello with Mix.
func buildRelease(t *testing.T, root string) Tree {
	t.Helper()
	work, err := os.MkdirTemp(root, "build-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(work) })
	if err := os.CopyFS(filepath.Join(work, "hello"), os.DirFS("testdata/hello")); err != nil {
		t.Fatal(err)
	}
	inside := "/" + filepath.Base(work)
	run(t, "chroot", root, "env", "-i", "PATH=/usr/bin:/bin", "HOME="+inside, "LC_ALL=C.UTF-8", "MIX_ENV=prod",
		"ERL_COMPILER_OPTIONS=deterministic", "sh", "-c", "cd "+inside+"/hello && mix release --path "+inside+"/rel")
	return treeOf(t, filepath.Join(work, "rel"))
}

// treeOf reads a directory.
func treeOf(t *testing.T, root string) Tree {
	t.Helper()
	var entries []tarball.Entry
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil || name == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		e := tarball.Entry{Path: filepath.ToSlash(rel), Mode: uint32(info.Mode().Perm())}
		switch {
		case d.IsDir():
			e.Kind = tarball.Dir
		case info.Mode()&os.ModeSymlink != 0:
			e.Kind, e.Mode = tarball.Symlink, 0o777
			e.Link, err = os.Readlink(name)
		default:
			data, readErr := os.ReadFile(name)
			e.Kind, e.Size, e.Digest, err = tarball.File, int64(len(data)), digest.FromBytes(data), readErr
		}
		entries = append(entries, e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, err = tarball.Normalise(entries)
	if err != nil {
		t.Fatal(err)
	}
	return Dir(root, entries)
}

// memory holds an unpacked package.
type memory struct {
	entries []tarball.Entry
	content map[string][]byte
}

func (m *memory) Add(e tarball.Entry, r io.Reader) error {
	if e.Kind == tarball.File {
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		e.Size, e.Digest = int64(len(data)), digest.FromBytes(data)
		m.content[e.Path] = data
	}
	m.entries = append(m.entries, e)
	return nil
}

func unpackDebs(t *testing.T, dir string) []Package {
	t.Helper()
	names, _ := filepath.Glob(filepath.Join(dir, "*.deb"))
	var out []Package
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		m := &memory{content: make(map[string][]byte)}
		c, err := deb.Unpack(context.Background(), bytes.NewReader(data), int64(len(data)), deb.Options{}, m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		entries, err := tarball.Normalise(m.entries)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// Normalise may have made another name the file of a hard-linked set.
		for _, e := range entries {
			if e.Kind == tarball.Hardlink && m.content[e.Link] == nil {
				m.content[e.Link] = m.content[e.Path]
			}
		}
		out = append(out, Package{Name: c.Name, Version: c.Version, Tree: Opened(entries, func(p string) (io.ReadCloser, error) {
			data, ok := m.content[p]
			if !ok {
				return nil, notExist(p)
			}
			return io.NopCloser(bytes.NewReader(data)), nil
		})})
	}
	return out
}

func helloRuntime(t *testing.T) Runtime {
	root := debianRoot(t)
	return Runtime{
		Platform: env.LinuxAMD64,
		Release:  buildRelease(t, root),
		Packages: unpackDebs(t, filepath.Join(root, "debs")),
		OTP:      []string{"asn1", "compiler", "crypto", "inets", "kernel", "public_key", "sasl", "ssl", "stdlib"},
		Elixir:   []string{"elixir", "iex", "logger"},
	}
}

var commitTime = time.Unix(1_790_000_000, 0)

func TestE2EHelloRuns(t *testing.T) {
	e2e(t, "mmdebstrap", "skopeo", "umoci", "runc", "podman")
	rt := helloRuntime(t)
	for _, shell := range []bool{false, true} {
		t.Run(fmt.Sprintf("shell=%v", shell), func(t *testing.T) {
			rt := rt
			rt.Shell = shell
			c, err := Compose(rt)
			if err != nil {
				t.Fatal(err)
			}
			blobs, err := NewDirBlobs(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			spec := c.Spec(rt.Platform, commitTime)
			spec.Jobs = 2
			spec.Annotations = map[string]string{AnnotationTitle: "hello"}
			image, err := Assemble(t.Context(), spec, c.Layers, blobs)
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			if c, err = Compose(rt); err != nil {
				t.Fatal(err)
			}
			composing := time.Since(start)
			again, err := Assemble(t.Context(), spec, c.Layers, blobs)
			if err != nil || again.Digest != image.Digest {
				t.Errorf("assembled again: %s, %v, want %s", again.Digest, err, image.Digest)
			}
			t.Logf("composed in %v, with cached layers assembled in %v", composing, time.Since(start)-composing)
			layout := filepath.Join(t.TempDir(), "layout")
			if err := WriteLayout(t.Context(), layout, []Tagged{{"hello", []Image{image}}}, blobs); err != nil {
				t.Fatal(err)
			}
			t.Logf("image %s: %d bytes compressed", image.Digest, image.Size())
			if !shell && image.Size() > 14_000_000 {
				t.Errorf("image has %d bytes, more than 14 MB", image.Size())
			}
			run(t, "skopeo", "inspect", "oci:"+layout+":hello")
			run(t, "skopeo", "copy", "-q", "oci:"+layout+":hello", "dir:"+filepath.Join(t.TempDir(), "dir"))
			archive := filepath.Join(t.TempDir(), "image.tar")
			writeArchive(t, archive, Tagged{"localhost/hello:1", []Image{image}}, blobs)
			run(t, "skopeo", "inspect", "docker-archive:"+archive)
			for _, name := range []string{layout, archive} {
				report, err := Inspect(t.Context(), name)
				if err != nil {
					t.Fatal(err)
				}
				if report.Images[0].Digest != image.Digest {
					t.Errorf("%s holds %s, want %s", name, report.Images[0].Digest, image.Digest)
				}
				if name == layout {
					var text bytes.Buffer
					_ = report.WriteText(&text)
					t.Logf("%s", text.String())
				}
			}
			evaluated(t, archive, c)
			bundle := filepath.Join(t.TempDir(), "bundle")
			run(t, "umoci", "unpack", "--image", layout+":hello", bundle)
			answer, stopped := serve(t, bundle)
			t.Logf("answer:\n%sstopped after %v", answer, stopped)
			for _, want := range []string{
				"greeting=hello\n", "tls=tlsv1.3\n", "localhost=true\n", "encoding=utf8\n", "distributed=false\n",
				`environment=["hello", "0.1.0", "/app"]`, "mode={:ok, [[~c\"embedded\"]]}", "sha256=",
			} {
				if !strings.Contains(answer, want) {
					t.Errorf("answer lacks %q", want)
				}
			}
			if strings.Contains(answer, "cacerts=0\n") {
				t.Error("no certificate authorities")
			}
		})
	}
}

// serve runs a bundle with runc in the host's network, asks it, and stops it.
func serve(t *testing.T, bundle string) (answer string, stopped time.Duration) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	editBundle(t, filepath.Join(bundle, "config.json"), port)
	var log bytes.Buffer
	id := fmt.Sprintf("retort-test-%d", port)
	cmd := exec.Command("runc", "--root", t.TempDir(), "run", "--bundle", bundle, id)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	url := fmt.Sprintf("http://127.0.0.1:%d/", port)
	client := &http.Client{Timeout: 10 * time.Second}
	for range 300 {
		select {
		case err := <-done:
			t.Fatalf("the release ended: %v\n%s", err, log.String())
		case <-time.After(50 * time.Millisecond):
		}
		response, err := client.Get(url)
		if err != nil {
			continue
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		answer = string(body)
		break
	}
	start := time.Now()
	_ = cmd.Process.Signal(syscall.SIGTERM) // runc passes it on
	select {
	case err = <-done:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatalf("SIGTERM did not end the release\n%s", log.String())
	}
	stopped = time.Since(start)
	if err != nil || answer == "" {
		t.Fatalf("answer %q, exit %v\n%s", answer, err, log.String())
	}
	return answer, stopped
}
