package main

import (
	"archive/tar"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// probes are Elixir expressions that a module of the canary evaluates when it
// is compiled; the value is in its BEAM file.
var probes = map[string]string{
	// What a program may never learn: where, as whom and beside what it runs.
	"Env":    `System.get_env() |> Enum.sort() |> inspect(limit: :infinity, printable_limit: :infinity)`,
	"Host":   `inspect({:inet.gethostname(), node(), :net_adm.localhost()})`,
	"User":   `inspect({System.cmd("id", []), System.user_home(), File.read!("/etc/passwd"), File.stat!(".").uid})`,
	"Umask":  `inspect(System.cmd("sh", ["-c", "umask; touch /tmp/f; stat -c %a /tmp/f"]))`,
	"Path":   `inspect({File.cwd!(), __ENV__.file, System.argv(), :code.root_dir()})`,
	"Zone":   `inspect({:calendar.universal_time_to_local_time({{2026, 7, 1}, {12, 0, 0}}), System.cmd("date", ["-d", "@1751371200"])})`,
	"Locale": `inspect({:io.getopts() |> Keyword.get(:encoding), :file.native_name_encoding(), System.cmd("locale", [])})`,
	"Limits": `inspect(System.cmd("bash", ["-c", "ulimit -a"]))`,
	"Files":  `inspect({System.cmd("sh", ["-c", "ls -l /proc/self/fd | wc -l"]), File.ls!("lib"), File.ls!("/")})`,
	"Stat":   `inspect({File.stat!(__ENV__.file, time: :posix).mtime, File.stat!("lib", time: :posix).mtime, File.stat!(__ENV__.file).mode})`,
	"Net":    `inspect({:inet.getifaddrs(), :gen_tcp.connect({127, 0, 0, 1}, 80, [], 500)})`,
	"Pid":    `inspect(System.pid())`,
	// What Elixir and OTP 27 would show by chance: how many processors compile,
	// counters of macro variables, and bytes of compiled regular expressions that
	// PCRE leaves unset.
	"Schedulers": `inspect({System.schedulers_online(), System.schedulers()})`,
	"Counter":    `inspect(for name <- [:a, :b], do: Macro.unique_var(name, Enum))`,
	"Regex":      `inspect(~r/(a)\1(?<x>b)\k<x>(?<longer>c)/.re_pattern, limit: :infinity)`,
	// What no sandbox can hide from a program that asks. The matrix must see it.
	"Time":   `inspect(System.os_time())`,
	"Random": `inspect(:crypto.strong_rand_bytes(16))`,
	// What no namespace covers. It is the same under most variations.
	"Processors": `inspect(System.cmd("nproc", []))`,
	"System":     `inspect(:erlang.system_info(:schedulers))`,
	"Priority":   `inspect(System.cmd("nice", []))`,
}

// Probes that differ between any two builds, and those that may.
var (
	leaks   = []string{"Time", "Random"}
	visible = []string{"Processors", "System", "Priority"}
)

// canary is a project whose modules hold what they saw when they were compiled.
func (k *kit) canary(t *testing.T) app {
	t.Helper()
	s := k.example(t, "hello") // for its toolchain and lock
	files := map[string]string{
		"toolchain.toml": s.files["toolchain.toml"],
		"toolchain.lock": s.files["toolchain.lock"],
		"mix.exs": `defmodule Canary.MixProject do
  use Mix.Project
  def project, do: [app: :canary, version: "0.1.0", deps: []]
  def application, do: [extra_applications: [:crypto]]
end
`,
	}
	for name, probe := range probes {
		files["lib/"+strings.ToLower(name)+".ex"] = fmt.Sprintf("defmodule Canary.%s do\n  @seen %s\n  def seen, do: @seen\nend\n", name, probe)
	}
	return app{example: "canary", manifest: s.manifest, files: files}
}

// testCanary builds a project that looks at everything around it, under the
// first and the farthest variations. What the sandbox hides is the same in
// both; and what it cannot hide, the comparison notices, so that an equal
// result of testMatrix means something.
func (k *kit) testCanary(t *testing.T) {
	needRoot(t)
	s := k.canary(t)
	hello := k.example(t, "hello")
	var first string
	var want digests
	for _, v := range variations() {
		t.Run(v.name, func(t *testing.T) {
			v.home = nil
			v.primed = true
			_, paths, got := k.varyPrimed(t, s, hello, v)
			if first == "" {
				first, want = filepath.Join(folder(k.t), "first.tar.gz"), got
				copyFile(t, paths[0], first)
				return
			}
			if got.release == want.release || got.image == want.image {
				t.Error("a build with the time and a random number in it equals the first: this comparison sees nothing")
			}
			changed := changedFiles(t, first, paths[0])
			for name := range probes {
				differs := slices.ContainsFunc(changed, func(p string) bool { return strings.HasSuffix(p, "/Elixir.Canary."+name+".beam") })
				if leak := slices.Contains(leaks, name); leak != differs && !slices.Contains(visible, name) {
					t.Errorf("probe %s differs: %v, want %v", name, differs, leak)
				}
			}
			for _, p := range changed {
				if !slices.ContainsFunc(slices.Concat(leaks, visible), func(l string) bool { return strings.HasSuffix(p, "/Elixir.Canary."+l+".beam") }) {
					t.Errorf("%s differs", p)
				}
			}
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// changedFiles names the entries of two archives that are not in both with
// the same header and content.
func changedFiles(t *testing.T, a, b string) []string {
	t.Helper()
	x, y := archiveEntries(t, a), archiveEntries(t, b)
	var out []string
	for name, sum := range x {
		if y[name] != sum {
			out = append(out, name)
		}
	}
	for name := range y {
		if _, ok := x[name]; !ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// archiveEntries describes the entries of a tar.gz.
func archiveEntries(t *testing.T, path string) map[string]string {
	t.Helper()
	out := map[string]string{}
	eachEntry(t, path, func(h *tar.Header, content []byte) {
		out[h.Name] = fmt.Sprintf("%c %o %d:%d %s %d %x", h.Typeflag, h.Mode, h.Uid, h.Gid, h.Linkname, h.ModTime.Unix(), sha256.Sum256(content))
	})
	return out
}

// diffArchives says which entries differ, for the message of a test.
func diffArchives(t *testing.T, a, b string) string {
	t.Helper()
	changed := changedFiles(t, a, b)
	if len(changed) == 0 {
		return "the archives' entries are equal"
	}
	if len(changed) > 20 {
		changed = append(changed[:20], fmt.Sprintf("and %d more", len(changed)-20))
	}
	return strings.Join(changed, "\n")
}
