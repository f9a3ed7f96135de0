package main

import (
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// web is an application with real npm packages, esbuild twice, and a digest
// task that leaves the traces of time that Phoenix's does.
func web(t *testing.T) app {
	t.Helper()
	manifest, err := os.ReadFile(filepath.Join("..", "..", "toolchain.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return app{example: "web", manifest: string(manifest), files: map[string]string{
		"toolchain.toml": `extends = "../../toolchain.toml"

[assets]
packages = ["nodejs"]
npm      = ["assets/package-lock.json"]
scripts  = ["esbuild"]
outputs  = ["priv/static"]

[assets.tools.esbuild]
version = "0.25.4"
`,
		".gitignore":          "_build/\ndeps/\nnode_modules/\npriv/static/\n",
		"assets/package.json": `{"private": true, "dependencies": {"mustache": "4.2.0", "web": "file:../lib/js"}, "devDependencies": {"esbuild": "0.25.4", "rimraf": "5.0.10", "chokidar": "3.6.0"}}`,
		"assets/app.js":       "import Mustache from 'mustache'\nimport { hello } from 'web'\nconsole.log(Mustache.render(hello, {name: 'x'}))\n",
		"assets/offline.js":   "require('dns').lookup('example.org', e => process.exit(e ? 0 : 1))\n",
		"lib/js/package.json": `{"name": "web", "version": "1.0.0", "main": "web.js"}`,
		"lib/js/web.js":       "export const hello = 'salve {{name}}'\n",
		"lib/web.ex":          "defmodule Web do\n  def static, do: Path.join(:code.priv_dir(:web), \"static\")\nend\n",
		"lib/mix/tasks/web.digest.ex": `defmodule Mix.Tasks.Web.Digest do
  use Mix.Task

  def run(_args) do
    true = Code.ensure_loaded?(Web)
    now = :calendar.datetime_to_gregorian_seconds(:calendar.universal_time())
    entry = "\"app-1.js\":{\"logical_path\":\"app.js\",\"mtime\":#{now},\"size\":1}"
    File.write!("priv/static/cache_manifest.json", "{\"digests\":{#{entry}},\"latest\":{\"app.js\":\"app-1.js\"},\"version\":1}")
    {_, 0} = System.cmd("gzip", ["--keep", "priv/static/app.js"])
    {_, 0} = System.cmd("gzip", ["--keep", "--no-name", "priv/static/cache_manifest.json"])
    File.write!("priv/static/short.gz", <<0x1F, 0x8B>>)
    File.write!("priv/static/fake.gz", "no gzip at all")
    File.write!("priv/static/plain.json", ~s({"mtime":5}))
    File.ln_s!("short.gz", "priv/static/link.gz")
  end
end
`,
		"mix.exs": `defmodule Web.MixProject do
  use Mix.Project

  def project do
    [app: :web, version: "1.0.0", elixir: "~> 1.14", aliases: aliases()]
  end

  def application, do: [extra_applications: [:logger]]

  defp aliases do
    bin = "assets/node_modules/.bin/"
    tool = Path.wildcard("_build/esbuild-linux-*") |> List.first("no tool")

    [
      "assets.deploy": [
        "cmd #{bin}rimraf priv/static",
        "cmd #{tool} assets/app.js --bundle --minify --outfile=priv/static/app.js",
        "cmd #{bin}esbuild assets/app.js --bundle --minify --outfile=priv/static/other.js",
        "cmd node assets/offline.js",
        "cmd #{tool} --version > priv/static/version.txt",
        "compile",
        "web.digest"
      ]
    ]
  end
end
`,
	}}
}

// npmRegistry is the registry that this machine's npm asks.
func npmRegistry(t *testing.T) string {
	t.Helper()
	needTools(t, "npm")
	out, err := exec.CommandContext(t.Context(), "npm", "config", "get", "registry").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// packageLock has npm resolve a package.json.
func packageLock(t *testing.T, s app) string {
	t.Helper()
	dir := filepath.Join(s.write(t, folder(t), writeOptions{}), "assets")
	cmd := exec.CommandContext(t.Context(), "npm", "install", "--package-lock-only", "--ignore-scripts")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm install: %v\n%s", err, out)
	}
	lock, err := os.ReadFile(filepath.Join(dir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(lock)
}

// testAssets: packages of npm and a tool, fetched outside, make the same files
// in every build, and these are in the release.
func (k *kit) testAssets(t *testing.T) {
	k.npm = npmRegistry(t)
	s := web(t)
	s.files["assets/package-lock.json"] = packageLock(t, s)
	lock := string(k.lock(t, s))
	if strings.Contains(lock, strings.Split(k.npm, "/")[2]) {
		t.Error("the lock names this machine's registry")
	}
	if n := strings.Count(lock, `name = "esbuild", version = "0.25.4", arch = `); n != 2 {
		t.Errorf("the lock has esbuild %d times:\n%.2000s", n, lock)
	}
	s.files["toolchain.lock"] = lock
	dir := folder(t)
	o := start{dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{}), home: filepath.Join(dir, "home")}
	first, paths := k.build(t, o, "-o", filepath.Join(dir, "one"))
	checkStatic(t, archiveFiles(t, paths[0]))

	other := start{dir: s.write(t, filepath.Join(dir, "elsewhere", "ws"), writeOptions{reverse: true}), home: filepath.Join(dir, "home2"), umask: "077"}
	if second, again := k.build(t, other, "-o", filepath.Join(dir, "two")); second != first {
		t.Errorf("a second build: %s differs\n%s", diffNames(second, first), diffArchives(t, paths[0], again[0]))
	}
	k.changedAssets(t, o, s)
}

// checkStatic looks at what the commands left in a release.
func checkStatic(t *testing.T, files map[string]string) {
	t.Helper()
	const static = "lib/web-1.0.0/priv/static/"
	for _, name := range []string{"app.js", "other.js"} {
		if !strings.Contains(files[static+name], "salve {{name}}") || !strings.Contains(files[static+name], "{{") || len(files[static+name]) < 2000 {
			t.Errorf("%s is not the bundle: %.200q", name, files[static+name])
		}
	}
	if got := files[static+"version.txt"]; got != "0.25.4\n" {
		t.Errorf("esbuild says version %q", got)
	}
	// 1980-01-01, in seconds since the year 0.
	if got := files[static+"cache_manifest.json"]; !strings.Contains(got, `"mtime":62482752000,`) {
		t.Errorf("cache_manifest.json: %s", got)
	}
	gz := files[static+"app.js.gz"]
	if len(gz) < 100 || gz[:2] != "\x1f\x8b" || binary.LittleEndian.Uint32([]byte(gz[4:8])) != 0 || gz[10:16] != "app.js" {
		t.Errorf("app.js.gz begins with %q", gz[:min(len(gz), 20)])
	}
	for name, want := range map[string]string{"short.gz": "\x1f\x8b", "fake.gz": "no gzip at all", "plain.json": `{"mtime":5}`} {
		if got := files[static+name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name := range files {
		if strings.Contains(name, "node_modules") || strings.Contains(name, "esbuild-linux") {
			t.Errorf("the release has %s", name)
		}
	}
}

// changedAssets: an edit runs what reads it, and what is wrong is told.
func (k *kit) changedAssets(t *testing.T, o start, s app) {
	write(t, filepath.Join(o.dir, "lib", "js", "web.js"), "export const hello = 'ave {{name}}'\n")
	r := k.must(t, o, "build", "--progress", "plain")
	if strings.Contains(r.stderr, "retort: project ...") || !strings.Contains(r.stderr, "retort: assets ...") {
		t.Errorf("after an edit of a linked package: %s", r)
	}
	if r := k.must(t, o, "exec", "--at", "assets", "--", "node", "assets/node_modules/.bin/esbuild", "--version"); r.stdout != "0.25.4\n" {
		t.Errorf("esbuild at assets: %s", r)
	}
	if r := k.must(t, o, "exec", "--at", "assets", "--", "mix", "do", "compile", "--verbose", "+", "run", "-e", "IO.puts(Web.static())"); strings.Contains(r.stdout, "Compil") || !strings.HasSuffix(r.stdout, "/priv/static\n") {
		t.Errorf("mix at assets: %s", r)
	}
	if r := k.must(t, o, "explain", "assets"); !strings.Contains(r.stdout, "(npm:assets/node_modules/mustache)") {
		t.Errorf("explain: %s", r)
	}
	if r := k.must(t, o, "plan"); !regexp.MustCompile(`(?m)^hit tool:esbuild linux/`).MatchString(r.stdout) {
		t.Errorf("plan: %s", r)
	}
	k.must(t, o, "gc", "--max-age", "1ns")
	k.must(t, start{home: o.home}, "store", "verify")
	o.mirror, o.env = "http://127.0.0.1:1", []string{"RETORT_NPM_REGISTRY=http://127.0.0.1:1/"}
	if r := k.must(t, o, "build"); !strings.Contains(r.stderr, " 0 misses") {
		t.Errorf("after gc: %s", r)
	}
	manifest := filepath.Join(o.dir, "toolchain.toml")
	write(t, manifest, strings.Replace(s.files["toolchain.toml"], `scripts  = ["esbuild"]`, "", 1))
	if r := k.must(t, o, "build"); !strings.Contains(r.stderr, "install script of npm package esbuild is not run") {
		t.Errorf("without the install script: %s", r)
	}
	write(t, manifest, strings.Replace(s.files["toolchain.toml"], `["esbuild"]`, `["mustache"]`, 1))
	k.refuse(t, o, exitFailed, []string{"assets.scripts", "no npm package mustache with an install script"}, "build")
	write(t, manifest, strings.Replace(s.files["toolchain.toml"], `"0.25.4"`, `"0.25.5"`, 1))
	k.refuse(t, o, exitLock, []string{"lock is stale"}, "build")
	write(t, manifest, s.files["toolchain.toml"])
	lock := filepath.Join(o.dir, "assets", "package-lock.json")
	write(t, lock, regexp.MustCompile(`sha512-..`).ReplaceAllString(s.files["assets/package-lock.json"], "sha512-AA"))
	k.refuse(t, o, exitFailed, []string{"fetch npm:assets/node_modules/"}, "build")
}
