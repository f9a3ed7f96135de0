package main

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/retort-build/retort/internal/fixture"
)

// ejabberd is the application's source as published, with a manifest of ours
// and a lock of the kit's repository.
func (k *kit) ejabberd(t *testing.T) app {
	t.Helper()
	if err := k.mirror.startHex(); err != nil {
		t.Fatal(err)
	}
	cache, err := fixture.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	mirrors, err := fixture.Mirrors(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sources := fixture.Sources{Dir: filepath.Join(cache, "sources"), Mirrors: mirrors}
	tree, err := sources.Tree(t.Context(), fixture.EjabberdSource, "")
	if err != nil {
		t.Fatal(err)
	}
	workspace, err := os.ReadFile(filepath.Join("..", "..", "toolchain.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s := app{example: "ejabberd", manifest: string(workspace), files: map[string]string{}, modes: map[string]fs.FileMode{}}
	for name, file := range tree {
		s.files[name] = string(file.Content)
		if file.Executable {
			s.modes[name] = 0o755
		}
	}
	repo, err := hexRepository()
	if err != nil {
		t.Fatal(err)
	}
	lock, err := repo.Lock(fixture.EjabberdDeps...)
	if err != nil {
		t.Fatal(err)
	}
	s.files["mix.lock"] = string(lock)
	s.files["toolchain.toml"] = ejabberdFile(t, "toolchain.toml")
	s.files["toolchain.lock"] = string(k.lock(t, s))
	return s
}

func ejabberdFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "ejabberd", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// testEjabberd builds a published application with 26 dependencies, 15 native
// libraries and 2 port programs twice, and uses the release and the image.
func (k *kit) testEjabberd(t *testing.T) {
	fixture.NeedNightly(t)
	needRoot(t)
	needTools(t, "umoci", "unshare", "ip", "curl", "tar", "pgrep", "podman")
	s := k.ejabberd(t)
	dir := folder(t)
	built, paths := k.build(t, start{dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{}), home: k.seed}, "-o", filepath.Join(dir, "out"))
	t.Run("again", func(t *testing.T) {
		for _, v := range variations() {
			if v.name != "another user, cold" {
				continue
			}
			if _, _, got := k.vary(t, s, v); got != built {
				t.Errorf("%s: %s differs", v.name, diffNames(got, built))
			}
		}
	})
	t.Run("release", func(t *testing.T) { ejabberdRelease(t, paths[0], paths[1]) })
	t.Run("image", func(t *testing.T) { ejabberdImage(t, paths[1]) })
}

// ejabberdScript starts the release as a user other than root, asks it over
// HTTP and ends it. $1 is a root file system with the release in /opt/ejabberd,
// $2 the program natives.exs.
const ejabberdScript = `set -eu
root=$1
hostname localhost
ip link set lo up
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
inside() { chroot --userspec=4242:4242 "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/tmp LC_ALL=C.UTF-8 RELEASE_TMP=/tmp/ejabberd "$@"; }
fail() { echo "FAIL: $*"; cat "$root/tmp/log" "$root"/opt/ejabberd/logs/* || true; exit 1; }
ask() { curl -m 10 -sS "$@"; echo; }
expect() { want=$1; shift; got=$("$@") || fail "$*"; case $got in *"$want"*) ;; *) fail "$*: $got, want $want" ;; esac; }
api=http://127.0.0.1:5280/api

test -z "$(find "$root/opt/ejabberd" -name COOKIE -o -name '*.tar.gz')" || fail "the release has a cookie, or an archive of itself"
inside /opt/ejabberd/bin/ejabberd start > "$root/tmp/log" 2>&1 &
vm=$!
for i in $(seq 300); do curl -m 5 -sf $api/status > /dev/null && break; sleep 0.2; done
expect 'ejabberd 24.12.0 is running' ask $api/status
expect '401' curl -m 10 -sS -o /dev/null -w '%{http_code}' http://127.0.0.1:5280/admin/
expect 'successfully registered' ask -d '{"user": "ann", "host": "localhost", "password": "secret"}' $api/register
expect 'ann' ask -d '{"host": "localhost"}' $api/registered_users
expect "from='localhost'" ask -H 'Content-Type: text/xml' -d "<body content='text/xml; charset=utf-8' hold='1' rid='1' to='localhost' wait='1' ver='1.6' xml:lang='en' xmlns='http://jabber.org/protocol/httpbind'/>" http://127.0.0.1:5280/bosh
inside /opt/ejabberd/bin/ejabberd rpc "$2" || fail natives.exs
expect 'is started with status: started' inside /opt/ejabberd/bin/ejabberdctl status
kill -TERM "$(pgrep -x beam.smp)"
wait "$vm" || fail "exit status $? after SIGTERM"
echo all well
`

// ejabberdRelease unpacks the archive into the root file system of the image:
// what the native libraries need is there, or they do not load.
func ejabberdRelease(t *testing.T, archive, layout string) {
	bundle := filepath.Join(folder(t), "bundle")
	tool(t, "umoci", "unpack", "--image", layout+":"+tagOf(t, layout), bundle)
	root := filepath.Join(bundle, "rootfs")
	release := filepath.Join(root, "opt", "ejabberd")
	for _, name := range []string{"opt/ejabberd", "proc", "dev", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tool(t, "tar", "-xzf", archive, "-C", release)
	write(t, filepath.Join(release, "conf", "ejabberd.yml"), ejabberdFile(t, "ejabberd.yml"))
	tool(t, "chown", "-R", "4242:4242", release)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc",
		"/bin/sh", "-c", ejabberdScript, "sh", root, ejabberdFile(t, "natives.exs"))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "all well\n") {
		t.Fatalf("the release: %v\n%s", err, out)
	}
	for _, want := range []string{"natives: %{driver: 1, nif: 14}", "epam answers", "eimp answers unsupported_format", "sqlite3: [{"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("natives.exs does not say %q:\n%s", want, out)
		}
	}
}

// ejabberdImage runs the image with a configuration from outside and nothing
// writable but its volumes.
func ejabberdImage(t *testing.T, layout string) {
	p := newPodman(t)
	port := freePort(t)
	config := filepath.Join(folder(t), "ejabberd.yml")
	write(t, config, strings.Replace(ejabberdFile(t, "ejabberd.yml"), "5280", port, 1))
	if err := os.Chmod(config, 0o644); err != nil {
		t.Fatal(err)
	}
	id := p.run("run", "-d", "--network", "host", "--read-only", "--ulimit", "nofile=1024:20000", "--ulimit", "nproc=1000:1000",
		"-v", config+":/app/conf/ejabberd.yml:ro", "-e", "RELEASE_COOKIE=of-this-test", "-e", "RELEASE_DISTRIBUTION=none",
		p.run("pull", "-q", "oci:"+layout))
	body, err := getUntil(t.Context(), "http://127.0.0.1:"+port+"/api/status", time.Minute)
	if err != nil || !strings.Contains(body, "ejabberd 24.12.0 is running") {
		t.Errorf("the image answers %q, %v\n%s", body, err, p.run("logs", id))
	}
	p.run("kill", "-s", "TERM", id)
	if status := p.run("wait", id); status != "0" {
		t.Errorf("exit status after SIGTERM is %s, want 0\n%s", status, p.run("logs", id))
	}
}
