package main

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// generated is an application whose mix.exs reads what ./configure wrote, and
// whose configure script autoconf makes.
func generated(t *testing.T) app {
	t.Helper()
	manifest, err := os.ReadFile(filepath.Join("..", "..", "toolchain.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return app{example: "generated", manifest: string(manifest), files: map[string]string{
		"toolchain.toml": `extends = "../../toolchain.toml"

[generate.configure]
packages = ["autoconf"]
run      = ["autoconf", "./configure --enable-greeting=salve"]
inputs   = ["configure.ac", "*.in", "src"]
outputs  = ["vars.config", "src/gen"]

[generate.tables]
run     = ["mkdir priv", "cat vars.config > priv/vars.txt", "test ! -e configure", "test ! -e src/generated"]
inputs  = ["README.md"]
outputs = ["priv/vars.txt"]
`,
		"README.md": "An application with a configure script.\n",
		"configure.ac": `AC_INIT([generated], [1.2.3])
AC_ARG_ENABLE([greeting], [], [greeting=$enableval], [greeting=hello])
AC_PROG_CC
AC_CHECK_SIZEOF([long])
AC_CHECK_PROG([mix], [mix], [yes], [no])
AC_SUBST([greeting])
AC_SUBST([ac_cv_sizeof_long])
AC_SUBST([mix])
AC_CONFIG_FILES([vars.config])
AC_CONFIG_FILES([src/gen/table.erl:src/table.erl.in])
AC_OUTPUT
`,
		"vars.config.in":   "{greeting, <<\"@greeting@\">>}.\n{long, @ac_cv_sizeof_long@}.\n{mix, @mix@}.\n{version, \"@PACKAGE_VERSION@\"}.\n",
		"src/table.erl.in": "-module(table).\n-export([@greeting@/0]).\n@greeting@() -> <<\"@greeting@\">>.\n",
		"mix.exs": `defmodule Generated.MixProject do
  use Mix.Project
  {:ok, vars} = :file.consult("vars.config")
  @vars vars

  def project do
    [app: :generated, version: to_string(@vars[:version]), elixir: "~> 1.14", erlc_paths: ["src/gen"]]
  end

  def application, do: [extra_applications: [:logger], env: [long: @vars[:long], mix: @vars[:mix]]]
end
`,
		"lib/generated.ex": "defmodule Generated do\n  @external_resource \"priv/vars.txt\"\n  @text File.read!(\"priv/vars.txt\")\n  def text, do: @text <> :table.salve()\nend\n",
		".gitignore":       "_build/\ndeps/\n",
	}}
}

// testGenerate: what [generate] makes is there for Mix and for the compiler,
// nothing else is, and a step runs again only for what it reads.
func (k *kit) testGenerate(t *testing.T) {
	s := generated(t)
	s.files["toolchain.lock"] = string(k.lock(t, s))
	dir := folder(t)
	o := start{dir: s.write(t, filepath.Join(dir, "ws"), writeOptions{}), home: filepath.Join(dir, "home")}
	first, paths := k.build(t, o, "-o", filepath.Join(dir, "one"))
	files := archiveFiles(t, paths[0])
	const lib = "lib/generated-1.2.3/" // the version of configure.ac
	if want := "{greeting, <<\"salve\">>}.\n{long, 8}.\n{mix, yes}.\n{version, \"1.2.3\"}.\n"; files[lib+"priv/vars.txt"] != want {
		t.Errorf("priv/vars.txt is %q, want %q", files[lib+"priv/vars.txt"], want)
	}
	if !strings.Contains(files[lib+"ebin/table.beam"], "salve") {
		t.Errorf("no module was made of the generated source; the release has %d files", len(files))
	}
	// Another folder and store give the same.
	other := start{dir: s.write(t, filepath.Join(dir, "elsewhere", "ws"), writeOptions{reverse: true}), home: filepath.Join(dir, "home2"), umask: "077"}
	if second, _ := k.build(t, other); second != first {
		t.Errorf("a second build: %s differs", diffNames(second, first))
	}
	// Code is no input of configure, and its own text is.
	ran := func(r result) string {
		var out []string
		for _, step := range []string{"generate:configure", "generate:tables", "project", "compile"} {
			if strings.Contains(r.stderr, "\nretort: "+step+" ...") || strings.HasPrefix(r.stderr, "retort: "+step+" ...") {
				out = append(out, step)
			}
		}
		return strings.Join(out, " ")
	}
	write(t, filepath.Join(o.dir, "lib", "more.ex"), "defmodule More do\nend\n")
	if got := ran(k.must(t, o, "build", "--progress", "plain")); got != "compile" {
		t.Errorf("after an edit of code %q ran", got)
	}
	write(t, filepath.Join(o.dir, "configure.ac"), "dnl a comment\n"+s.files["configure.ac"])
	if got := ran(k.must(t, o, "build", "--progress", "plain")); got != "generate:configure project compile" {
		t.Errorf("after a comment in configure.ac %q ran: of generate:tables no input changed", got)
	}
	if r := k.must(t, o, "exec", "--at", "generate:configure", "--", "ls"); r.stdout != "configure.ac\nsrc\nvars.config.in\n" {
		t.Errorf("configure sees %s", r)
	}
	if r := k.must(t, o, "explain", "generate:configure"); !strings.Contains(r.stdout, "autoconf") {
		t.Errorf("explain: %s", r)
	}
	k.refuseGenerate(t, o, s)
}

// archiveFiles are the files of a tar.gz with their content.
func archiveFiles(t *testing.T, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	eachEntry(t, path, func(h *tar.Header, content []byte) { out[h.Name] = string(content) })
	return out
}

// refuseGenerate: what a user gets wrong.
func (k *kit) refuseGenerate(t *testing.T, o start, s app) {
	manifest := filepath.Join(o.dir, "toolchain.toml")
	spoil := func(from, to string) {
		text := strings.Replace(s.files["toolchain.toml"], from, to, 1)
		if text == s.files["toolchain.toml"] {
			t.Fatalf("the manifest has no %q", from)
		}
		write(t, manifest, text)
	}
	spoil(`"src/gen"]`, `"src/gen", "src/lost"]`)
	k.refuse(t, o, exitBuild, []string{"left no src/lost", "in step generate:configure", "hint: retort shell --at generate:configure"}, "build")
	spoil(`"*.in"`, `"*.inn"`)
	k.refuse(t, o, exitFailed, []string{`generate.configure.inputs`, `no file of the project matches "*.inn"`}, "build")
	spoil(`packages = ["autoconf"]`, `packages = ["autoconf", "automake"]`)
	k.refuse(t, o, exitLock, []string{"lock is stale"}, "build")
	spoil(`"autoconf", "./conf`, `"curl http://127.0.0.1/", "./conf`)
	k.refuse(t, o, exitBuild, []string{"curl", "not found"}, "build")
}
