package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retort-build/retort/env"
)

// tool runs a program of this machine and returns its output.
func tool(t *testing.T, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// podman runs containers of a platform with a storage of their own.
type podman struct {
	t        *testing.T
	dir      string
	platform env.Platform
}

func newPodman(t *testing.T) podman { return newPodmanFor(t, native()) }

func newPodmanFor(t *testing.T, platform env.Platform) podman {
	p := podman{t, folder(t), platform}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		for _, args := range [][]string{{"rm", "-f", "-a", "-t", "0"}, {"rmi", "-f", "-a"}} {
			_ = exec.CommandContext(context.Background(), "podman", p.args(args...)...).Run()
		}
	})
	return p
}

func (p podman) args(args ...string) []string {
	return append([]string{
		"--root", filepath.Join(p.dir, "root"), "--runroot", filepath.Join(p.dir, "run"), "--tmpdir", filepath.Join(p.dir, "tmp"),
		"--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--events-backend", "none",
	}, args...)
}

func (p podman) run(args ...string) string {
	p.t.Helper()
	return strings.TrimSpace(tool(p.t, append([]string{"podman"}, p.args(args...)...)...))
}

// pull takes an image out of a layout.
func (p podman) pull(layout string) string {
	p.t.Helper()
	return p.run("pull", "-q", "--arch", p.platform.Arch(), "oci:"+layout)
}

// start runs an image with variables and waits until it answers at a URL. This
// machine's limits are below podman's defaults. Under an emulator the virtual
// machine may hang before that; then it is started again.
func (p podman) start(image, url string, variables ...string) (id string) {
	p.t.Helper()
	args := []string{"run", "-d", "--network", "host", "--read-only", "--ulimit", "nofile=1024:20000", "--ulimit", "nproc=1000:1000", "--arch", p.platform.Arch()}
	tries := 1
	if p.platform != native() {
		variables, tries = append(variables, "ERL_FLAGS=+JMsingle true"), 4
	}
	for _, kv := range variables {
		args = append(args, "-e", kv)
	}
	for {
		id = p.run(append(args, image)...)
		_, err := getUntil(p.t.Context(), url, time.Minute)
		if err == nil {
			return id
		}
		if tries--; tries == 0 {
			p.t.Fatalf("no answer: %v\n%s", err, p.run("logs", id))
		}
		p.run("rm", "-f", "-t", "0", id)
	}
}

// ends has a container end well. Unhandled, SIGTERM would do nothing to the first
// process of one.
func (p podman) ends(id string) {
	p.t.Helper()
	p.run("kill", "-s", "TERM", id)
	if status := p.run("wait", id); status != "0" {
		p.t.Errorf("exit status after SIGTERM is %s, want 0\n%s", status, p.run("logs", id))
	}
}

// testImage hands the image to other people's tools in both formats, and runs
// it: it answers over HTTP and HTTPS, and SIGTERM ends it well.
func (k *kit) testImage(t *testing.T) {
	needRoot(t)
	needTools(t, "skopeo", "umoci", "podman")
	s := k.example(t, "hello")
	dir := folder(t)
	o := start{dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{}), home: k.seed}
	built, paths := k.build(t, o)
	layout := paths[1]
	t.Run("skopeo", func(t *testing.T) {
		var seen struct{ Digest, Architecture, Os string }
		if err := json.Unmarshal([]byte(tool(t, "skopeo", "inspect", "oci:"+layout)), &seen); err != nil {
			t.Fatal(err)
		}
		if seen.Digest != built.image.String() || "linux/"+seen.Architecture != string(native()) || seen.Os != "linux" {
			t.Errorf("skopeo inspect says %+v, want digest %s", seen, built.image)
		}
		copied := filepath.Join(dir, "copied")
		tool(t, "skopeo", "copy", "--preserve-digests", "oci:"+layout, "dir:"+copied)
	})
	t.Run("umoci", func(t *testing.T) {
		bundle := filepath.Join(dir, "bundle")
		tool(t, "umoci", "unpack", "--image", layout+":"+tagOf(t, layout), bundle)
		if info, err := os.Stat(filepath.Join(bundle, "rootfs", "app", "releases", "start_erl.data")); err != nil || !info.Mode().IsRegular() {
			t.Errorf("the bundle has no release: %v", err)
		}
		for _, name := range []string{"bin/sh", "usr/bin/sh", "app/releases/COOKIE"} {
			if _, err := os.Lstat(filepath.Join(bundle, "rootfs", name)); err == nil {
				t.Errorf("the image has /%s", name)
			}
		}
	})
	t.Run("run", func(t *testing.T) {
		p := newPodman(t)
		p.serves(p.run("pull", "-q", "oci:"+layout))
	})
	t.Run("docker", func(t *testing.T) {
		r := k.must(t, o, "build", "--format", "docker", "-o", filepath.Join(dir, "docker"))
		_, paths := r.outputs(t)
		tool(t, "skopeo", "inspect", "docker-archive:"+paths[1])
		p := newPodman(t)
		p.run("load", "-q", "-i", paths[1])
		p.serves(p.run("images", "-q"))
	})
}

// tagOf is the name that the index of a layout gives its image.
func tagOf(t *testing.T, layout string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Manifests []struct{ Annotations map[string]string }
	}
	if err := json.Unmarshal(data, &index); err != nil || len(index.Manifests) == 0 {
		t.Fatalf("read %s: %v", data, err)
	}
	return index.Manifests[0].Annotations["org.opencontainers.image.ref.name"]
}

// health is what hello says of itself.
type health struct{ Status, OTP, Elixir, OpenSSL string }

// serves runs hello in a container, asks it, and ends it.
func (p podman) serves(image string) health {
	t := p.t
	t.Helper()
	plain, secure := freePort(t), freePort(t)
	id := p.start(image, "http://127.0.0.1:"+plain+"/health", "PORT="+plain, "TLS_PORT="+secure)
	var said health
	for _, url := range []string{"http://127.0.0.1:" + plain + "/health", "https://127.0.0.1:" + secure + "/health"} {
		body, err := getUntil(t.Context(), url, time.Minute)
		if err == nil {
			err = json.Unmarshal([]byte(body), &said)
		}
		if err != nil || said.Status != "ok" || !strings.HasPrefix(said.OpenSSL, "OpenSSL ") {
			t.Errorf("%s: %q, %v\n%s", url, body, err, p.run("logs", id))
		}
	}
	if text := p.run("top", id, "user", "args"); !strings.Contains(text, "beam.smp") || strings.Contains(text, "\nroot") {
		t.Errorf("processes of the container:\n%s", text)
	}
	p.ends(id)
	return said
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// getUntil asks until there is an answer. The certificate is made at start and
// known to nobody.
func getUntil(ctx context.Context, url string, limit time.Duration) (string, error) {
	client := http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	deadline := time.Now().Add(limit)
	for {
		resp, err := client.Do(request)
		if err == nil {
			defer resp.Body.Close()
			body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
			return string(body), err
		}
		if time.Now().After(deadline) {
			return "", err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// releaseScript uses the release's own commands, as a user other than root. $1
// is the root file system; the release is in its /opt/hello. It ends with the
// first thing that is not as it should be.
const releaseScript = `set -eu
root=$1
hostname localhost
ip link set lo up
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
inside() { chroot --userspec=4242:4242 "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/tmp LC_ALL=C.UTF-8 "$@"; }
hello() { inside RELEASE_TMP=/tmp/hello /opt/hello/bin/hello "$@"; }
fail() { echo "FAIL: $*"; exit 1; }
up() { for i in $(seq 300); do curl -m 5 -sf http://127.0.0.1:4000/health && return; sleep 0.2; done; fail "no answer"; }
down() { for i in $(seq 300); do kill -0 "$1" 2>/dev/null || return 0; sleep 0.2; done; fail "still running"; }

test ! -e "$root/opt/hello/releases/COOKIE" || fail "a cookie is shipped"
test "$(hello version)" = "hello 0.1.0" || fail "version: $(hello version)"
hello eval 'IO.puts("eval #{6 * 7}")' | grep -x 'eval 42' || fail eval

hello daemon
up
test "$(stat -c %a "$root/opt/hello/releases/COOKIE")" = 600 || fail "mode of the cookie"
cookie=$(cat "$root/opt/hello/releases/COOKIE")
test "${#cookie}" -ge 32 || fail "cookie: $cookie"
hello rpc 'IO.puts("rpc #{6 * 7}")' | grep -x 'rpc 42' || fail rpc
pid=$(hello pid)
inside RELEASE_TMP=/tmp/hello RELEASE_COOKIE=another /opt/hello/bin/hello rpc '1' && fail "another cookie was let in"
echo 'IO.puts("remote #{6 * 7}")' | hello remote | grep 'remote 42' || fail remote
hello stop || true # the answer may be lost with the connection
for i in $(seq 300); do hello pid > /dev/null 2>&1 || break; sleep 0.2; done
hello pid > /dev/null 2>&1 && fail "stop did not stop it"
test "$(cat "$root/opt/hello/releases/COOKIE")" = "$cookie" || fail "the cookie changed"

inside RELEASE_TMP=/tmp/hello RELEASE_COOKIE=chosen /opt/hello/bin/hello start &
vm=$!
up
inside RELEASE_TMP=/tmp/hello RELEASE_COOKIE=chosen /opt/hello/bin/hello rpc 'IO.puts(Node.get_cookie())' | grep -x chosen || fail "RELEASE_COOKIE"
hello rpc '1' && fail "the kept cookie was let in"
kill -TERM "$(pgrep -x beam.smp)"
down "$vm"
wait "$vm" || fail "exit status $? after SIGTERM"
echo all well
`

// testRelease unpacks the release's archive into the root file system of the
// image with a shell, which has the suite's libraries and tools.
func (k *kit) testRelease(t *testing.T) {
	needRoot(t)
	needTools(t, "umoci", "unshare", "ip", "curl", "tar", "pgrep")
	s := k.example(t, "hello")
	s.variant = "-shell"
	s.files["toolchain.toml"] += "shell = true\n" // [image] stands last
	s.files["toolchain.lock"] = string(k.lock(t, s))
	dir := folder(t)
	_, paths := k.build(t, start{dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{}), home: k.seed})
	bundle := filepath.Join(dir, "bundle")
	tool(t, "umoci", "unpack", "--image", paths[1]+":"+tagOf(t, paths[1]), bundle)
	root := filepath.Join(bundle, "rootfs")
	for _, name := range []string{"opt/hello", "proc", "dev", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tool(t, "tar", "-xzf", paths[0], "-C", filepath.Join(root, "opt", "hello"))
	tool(t, "chown", "-R", "4242:4242", filepath.Join(root, "opt", "hello"))
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", releaseScript, "sh", root)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "all well\n") {
		t.Errorf("the release's commands: %v\n%s", err, out)
	}
	// The image with a shell starts through the release's script.
	p := newPodman(t)
	p.serves(p.run("pull", "-q", "oci:"+paths[1]))
}
