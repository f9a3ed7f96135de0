package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A request is a path, the body of a POST if there is one, and words that the
// answer must have, separated by a bar.
type request struct{ path, body, want string }

// apps are the releases of the examples with dependencies, and what they
// answer. Native code and the protocol are at work in each answer.
var apps = []struct {
	example, target, release string
	requests                 []request
}{
	{"shop", "", "shop", []request{
		{"/native", "", `"received":"hello"|"version":"OpenSSL 3.|"libraries":["libcrypto.so.3","libssl.so.3"]|"signed_with":"ecdsa sha256"|TLSv1.3`},
		{"/native", "", `"fast_xml":"<bread>"|"fast_yaml":[{"bread":[1,2.5]}]|"jiffy":[1.5,"ä"]|"stringprep":"ärger"|"cache_tab":1|"sqlite3":"3.|"ezlib":`},
		{"/search?q=%3C400%20bread", "", `{"products":[{`},
		{"/domain?name=b%C3%BCcher.example", "", "xn--bcher-kva.example"},
		{"/manual", "", `class="makeup elixir"|class="makeup erlang"|class="makeup c"|<table>`},
		{"/shop.1", "", `.TH "shop" "1"`},
		{"/feed.xml", "", "<product id='2' cents='320'>bread</product>"},
		{"/partner", "", `"name":"apples"`},
		{"/orders", `{"items":[1,2]}`, `"total":770|"receipt":"eyJ`},
		{"/orders", "", `"orders":1`},
		// There is no PAM to allow it: the program says so.
		{"/login", `{"name":"ann","password":"x"}`, `"error":"Critical error - immediate abort"`},
	}},
	{"umbrella", "", "web", []request{
		{"/health", "", `"consolidated":true`},
		{"/", "", `"12 pieces of bread","2 pieces of cheese","47.40 EUR"|"3 lines"`},
	}},
	{"umbrella", "worker", "worker", []request{{"/", "", `"consolidated":true|"14 pieces of 2 kinds"`}}},
}

// testApps runs each release of the examples, and its image.
func (k *kit) testApps(t *testing.T) {
	needRoot(t)
	needTools(t, "umoci", "unshare", "ip", "curl", "tar", "pgrep", "podman")
	for _, a := range apps {
		t.Run(a.release, func(t *testing.T) {
			s := k.exampleFor(t, a.example)
			if !strings.Contains(s.files["toolchain.toml"], "shell = true") {
				s.variant = "-shell" // the release's own script needs one
				s.files["toolchain.toml"] = strings.Replace(s.files["toolchain.toml"], "[image]\n", "[image]\nshell = true\n", 1)
				s.files["toolchain.lock"] = string(k.lock(t, s))
			}
			dir := folder(t)
			var args []string
			if a.target != "" {
				args = []string{"--target", a.target}
			}
			_, paths := k.build(t, start{dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{}), home: k.seed}, args...)
			t.Run("release", func(t *testing.T) { appRelease(t, a.release, a.requests, paths[0], paths[1]) })
			t.Run("image", func(t *testing.T) { appImage(t, newPodman(t), a.requests, paths[1]) })
		})
	}
}

func (r request) check(t *testing.T, answer string) {
	t.Helper()
	for want := range strings.SplitSeq(r.want, "|") {
		if !strings.Contains(answer, want) {
			t.Errorf("%s %s answers %q, want %q in it", r.path, r.body, answer, want)
		}
	}
}

// appScript starts a release as a user other than root, asks it, and ends it.
// $1 is a root file system with the release in /opt/app, $2 its name; then come
// paths and bodies. Each answer ends in a line of its own.
const appScript = `set -eu
root=$1 name=$2
shift 2
hostname localhost
ip link set lo up
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
fail() { echo "FAIL: $*"; cat "$root/tmp/log"; exit 1; }
chroot --userspec=4242:4242 "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/tmp LC_ALL=C.UTF-8 RELEASE_TMP=/tmp/app PORT=4000 WORKER_PORT=4000 "/opt/app/bin/$name" start > "$root/tmp/log" 2>&1 &
vm=$!
for i in $(seq 300); do curl -m 5 -sf http://127.0.0.1:4000/health > /dev/null && break; sleep 0.2; done
while [ $# -gt 0 ]; do
	curl -m 10 -sS ${2:+-d "$2"} "http://127.0.0.1:4000$1" || fail "$1"
	printf '\n--answered--\n'
	shift 2
done
kill -TERM "$(pgrep -x beam.smp)"
wait "$vm" || fail "exit status $? after SIGTERM"
echo all well
`

// appRelease runs a release in the root file system of its image.
func appRelease(t *testing.T, name string, requests []request, archive, layout string) {
	bundle := filepath.Join(folder(t), "bundle")
	tool(t, "umoci", "unpack", "--image", layout+":"+tagOf(t, layout), bundle)
	root := filepath.Join(bundle, "rootfs")
	release := filepath.Join(root, "opt", "app")
	for _, dir := range []string{release, filepath.Join(root, "proc"), filepath.Join(root, "dev"), filepath.Join(root, "tmp")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tool(t, "tar", "-xzf", archive, "-C", release)
	tool(t, "chown", "-R", "4242:4242", release)
	args := []string{"--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", appScript, "sh", root, name}
	for _, r := range requests {
		args = append(args, r.path, r.body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "unshare", args...).CombinedOutput()
	answers := strings.Split(string(out), "\n--answered--\n")
	if err != nil || answers[len(answers)-1] != "all well\n" || len(answers) != len(requests)+1 {
		t.Fatalf("the release: %v\n%s", err, out)
	}
	for i, r := range requests {
		r.check(t, answers[i])
	}
}

// appImage runs an image that has nothing to write to but /tmp.
func appImage(t *testing.T, p podman, requests []request, layout string) {
	t.Helper()
	port := freePort(t)
	url := "http://127.0.0.1:" + port
	id := p.start(p.pull(layout), url+"/health", "PORT="+port, "WORKER_PORT="+port)
	for _, r := range requests {
		r.check(t, r.send(t, url))
	}
	p.ends(id)
}

func (r request) send(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	method := http.MethodGet
	if r.body != "" {
		method = http.MethodPost
	}
	q, err := http.NewRequestWithContext(ctx, method, url+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
