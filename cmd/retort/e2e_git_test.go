package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/retort-build/retort/internal/fixture"
)

// The password of the git server's private part, for user "ci".
const gitPassword = "hunter2-of-ci"

// A gitWorld is a git server on loopback with a library, the data that is its
// submodule, icons, and an Erlang library that takes its version from its tag.
type gitWorld struct {
	root, url string
	commits   map[string]string
}

func newGitWorld(t *testing.T) *gitWorld {
	t.Helper()
	needTools(t, "git")
	w := &gitWorld{root: folder(t), commits: map[string]string{}}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(tool(t, "git", "--exec-path")), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + w.root, "GIT_HTTP_EXPORT_ALL=1", "PATH=" + os.Getenv("PATH")}, Stderr: io.Discard,
	}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if strings.HasPrefix(r.URL.Path, "/private/") && (user != "ci" || password != gitPassword) {
			rw.Header().Set("WWW-Authenticate", "Basic")
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	w.add(t, "data", map[string]string{"unit.txt": "cents\n"})
	w.add(t, "private/price", map[string]string{
		"VERSION": "2.1.0\n",
		"mix.exs": `defmodule Price.MixProject do
  use Mix.Project
  def project, do: [app: :price, version: String.trim(File.read!("VERSION")), deps: [{:nimble_parsec, "~> 1.4"}]]
end
`,
		"lib/price.ex": `defmodule Price do
  import NimbleParsec
  @unit String.trim(File.read!("vendor/data/unit.txt"))
  defparsec :amount, integer(min: 1)
  def unit, do: @unit
end
`,
		".gitmodules": "[submodule \"data\"]\n\tpath = vendor/data\n\turl = ../../../data/.git\n",
	}, "update-index", "--add", "--cacheinfo", "160000,"+w.commits["data"]+",vendor/data")
	w.add(t, "icons", map[string]string{"optimized/24/a.svg": "<svg/>", "src/a.svg": "<svg>large</svg>"})
	w.git(t, "icons", "tag", "-a", "-m", "release", "v2.2.0")
	w.add(t, "tally", map[string]string{
		"rebar.config":      "{erl_opts, [debug_info]}.\n",
		"src/tally.app.src": "{application, tally, [{description, \"\"}, {vsn, git}, {applications, [kernel, stdlib]}, {modules, []}]}.\n",
		"src/tally.erl":     "-module(tally).\n-export([add/2]).\nadd(A, B) -> A + B.\n",
	})
	w.git(t, "tally", "tag", "v1.4.2")
	w.git(t, "tally", "commit", "-q", "--allow-empty", "-m", "later")
	return w
}

// add makes a repository of one commit; stage is a last command before it.
func (w *gitWorld) add(t *testing.T, name string, files map[string]string, stage ...string) {
	t.Helper()
	for file, text := range files {
		full := filepath.Join(w.root, name, file)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w.git(t, name, "init", "-q", "-b", "main")
	w.git(t, name, "add", "-A")
	if stage != nil {
		w.git(t, name, stage...)
	}
	w.git(t, name, "commit", "-q", "-m", "work")
	w.commits[name] = w.git(t, name, "rev-parse", "HEAD")
}

func (w *gitWorld) git(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", filepath.Join(w.root, name)}, args...)...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org",
		"GIT_AUTHOR_DATE=" + commitTime, "GIT_COMMITTER_DATE=" + commitTime,
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v in %s: %v\n%s", args, name, err, out)
	}
	return strings.TrimSpace(string(out))
}

// app is a project with the icons alone, or with all of it: a private git
// dependency with a submodule and a Hex dependency of its own, and packages of
// an organisation and of another private repository.
func (w *gitWorld) app(t *testing.T, k *kit, all bool) app {
	t.Helper()
	s, err := readExample("hello") // for the manifest of the workspace
	if err != nil {
		t.Fatal(err)
	}
	deps := fmt.Sprintf("{:icons, git: %q, tag: \"v2.2.0\", sparse: \"optimized\", app: false, compile: false, depth: 1}", w.url+"/icons/.git")
	lock := fmt.Sprintf("  \"icons\": {:git, %q, %q, [tag: \"v2.2.0\", sparse: \"optimized\", depth: 1]},\n", w.url+"/icons/.git", w.commits["icons"])
	say := `"icons #{inspect(@icons)}"`
	manifest := "extends = \"../../toolchain.toml\"\n"
	if all {
		deps += fmt.Sprintf(", {:price, \"~> 2.1\", git: %q, submodules: true}, {:tally, \"~> 1.4\", git: %q, tag: \"v1.4.2\"}", w.url+"/private/price/.git", w.url+"/tally/.git")
		deps += `, {:acme_price, "~> 0.3", organization: "acme"}, {:base64url, "~> 1.0", repo: "own"}`
		lock += w.hexLock(t)
		lock += fmt.Sprintf("  \"price\": {:git, %q, %q, [submodules: true]},\n", w.url+"/private/price/.git", w.commits["private/price"])
		lock += fmt.Sprintf("  \"tally\": {:git, %q, %q, [tag: \"v1.4.2\"]},\n", w.url+"/tally/.git", w.git(t, "tally", "rev-parse", "v1.4.2"))
		say = `"icons #{inspect(@icons)} unit #{Price.unit()} sum #{:tally.add(1, 2)} tally #{Application.spec(:tally, :vsn)} price #{Application.spec(:price, :vsn)} base #{:base64url.encode("a")}"`
		hex := k.mirror.hexURL()
		manifest += fmt.Sprintf("[hex.repos.\"hexpm:acme\"]\nurl = %q\nauth_env = \"ACME_KEY\"\n[hex.repos.own]\nurl = %q\nauth_file = \"~/own.key\"\n", hex+"/repos/acme", hex)
	}
	s.example, s.modes = "gitdeps", map[string]fs.FileMode{}
	s.files = map[string]string{
		"toolchain.toml": manifest,
		"mix.lock":       "%{\n" + lock + "}\n",
		"mix.exs": `defmodule Gitdeps.MixProject do
  use Mix.Project
  def project, do: [app: :gitdeps, version: "0.1.0", deps: [` + deps + `]]
  def application, do: [mod: {Gitdeps.Application, []}]
end
`,
		"lib/application.ex": `defmodule Gitdeps.Application do
  use Application
  @icons Path.wildcard("deps/icons/**/*.svg")
  def start(_, _) do
    IO.puts(` + say + `)
    spawn(fn -> System.stop(0) end)
    Supervisor.start_link([], strategy: :one_for_one)
  end
end
`,
	}
	return s
}

// hexLock are the entries of the Hex packages, one of them of repository "own".
func (w *gitWorld) hexLock(t *testing.T) string {
	t.Helper()
	repo, err := hexRepository()
	if err != nil {
		t.Fatal(err)
	}
	text, err := repo.Lock("acme_price", "base64url", "nimble_parsec")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(strings.Trim(string(text), "%{}\n") + "\n") {
		if strings.Contains(line, "base64url") {
			line = strings.Replace(line, `"hexpm"`, `"own"`, 1)
		}
		out.WriteString(line)
	}
	return out.String()
}

// testGit builds a project with git dependencies and private packages, runs
// it, builds it again elsewhere, and finds no key in anything that is left.
func (k *kit) testGit(t *testing.T) {
	needRoot(t)
	needTools(t, "podman")
	if err := k.mirror.startHex(); err != nil {
		t.Fatal(err)
	}
	w := newGitWorld(t)
	lock := string(k.lock(t, w.app(t, k, false)))
	s := w.app(t, k, true)

	t.Run("Stale", func(t *testing.T) {
		hello := k.example(t, "hello")
		s := maps.Clone(s.files)
		s["toolchain.lock"] = hello.files["toolchain.lock"]
		stale := app{example: "gitdeps", manifest: hello.manifest, files: s}
		k.refuse(t, start{dir: stale.write(t, folder(t), writeOptions{}), home: k.seed, user: w.user(t)}, exitLock,
			[]string{"mix.lock has git dependencies, and toolchain.lock has no git", "hint: retort lock"}, "build")
	})
	s.files["toolchain.lock"] = lock
	secrets := []string{gitPassword, fixture.HexOrganisationKey, "key-of-own"}
	with := []string{
		"ACME_KEY=" + fixture.HexOrganisationKey, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_VALUE_0=" + w.url + "/private/",
		"GIT_CONFIG_KEY_0=url." + strings.Replace(w.url, "://", "://ci:"+gitPassword+"@", 1) + "/private/.insteadOf",
	}
	var said bytes.Buffer
	run := func(o start, args ...string) result {
		t.Helper()
		r := k.run(t, o, args...)
		fmt.Fprintln(&said, r.stdout, r.stderr)
		return r
	}
	home := filepath.Join(folder(t), "home")
	o := start{dir: s.write(t, filepath.Join(folder(t), "a"), writeOptions{}), home: home, user: w.user(t)}
	// First with nothing, then with a wrong password.
	if r := run(o, "build"); r.code == exitDone || !strings.Contains(r.stderr, "retort asks for no password") && !strings.Contains(r.stderr, "set ACME_KEY") {
		t.Fatalf("without any key: %s", r)
	}
	wrong := o
	wrong.env = append([]string{"GIT_CONFIG_KEY_0=url." + strings.Replace(w.url, "://", "://ci:wrong-"+gitPassword+"@", 1) + "/private/.insteadOf"}, with[:3]...)
	if r := run(wrong, "build"); r.code == exitDone {
		t.Fatalf("with a wrong password: %s", r)
	}
	o.env = with
	for _, args := range [][]string{{"build", "--progress", "json", "-v"}, {"plan"}, {"explain", "git:price"}, {"explain", "hex:acme_price"}, {"explain", "dep:acme_price"}} {
		if r := run(o, args...); r.code != exitDone {
			t.Fatalf("retort %v: %s", args, r)
		}
	}
	first, paths := k.build(t, o)

	p := newPodman(t)
	out := p.run("run", "--rm", "--network", "host", "--read-only", "--ulimit", "nofile=1024:20000", "--ulimit", "nproc=1000:1000", p.run("pull", "-q", "oci:"+paths[1]))
	if want := `icons ["deps/icons/optimized/24/a.svg"] unit cents sum 3 tally 1.4.2 price 2.1.0 base YQ`; !strings.Contains(out, want) {
		t.Errorf("the release says %q, want %q", out, want)
	}
	for _, name := range archiveNames(t, paths[0]) {
		if strings.Contains(name, ".git") {
			t.Errorf("%s is in the release", name)
		}
	}

	t.Run("Elsewhere", func(t *testing.T) {
		again := start{dir: s.write(t, filepath.Join(folder(t), "b", "c"), writeOptions{reverse: true}), home: filepath.Join(folder(t), "home"), user: w.user(t), env: with, umask: "077"}
		if second, _ := k.build(t, again, "--jobs", "1"); second != first {
			t.Errorf("another store comes to %+v, want %+v", second, first)
		}
	})
	t.Run("Secrets", func(t *testing.T) {
		for _, secret := range secrets {
			if strings.Contains(said.String(), secret) {
				t.Errorf("%s was printed", secret)
			}
			for _, dir := range []string{home, o.dir} {
				holds(t, dir, secret)
			}
		}
	})
}

// user makes a HOME with the key of the repository "own".
func (w *gitWorld) user(t *testing.T) string {
	t.Helper()
	dir := folder(t)
	if err := os.WriteFile(filepath.Join(dir, "own.key"), []byte("key-of-own\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func archiveNames(t *testing.T, path string) []string {
	t.Helper()
	return strings.Fields(tool(t, "tar", "-tzf", path))
}

// holds fails the test for every file below dir that holds a text. Layers lie
// in the store as plain files.
func holds(t *testing.T, dir, text string) {
	t.Helper()
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		seen++
		if bytes.Contains(data, []byte(text)) {
			t.Errorf("%s holds %s", path, text)
		}
		return nil
	})
	if err != nil || seen == 0 {
		t.Errorf("looked at %d files below %s: %v", seen, dir, err)
	}
}
