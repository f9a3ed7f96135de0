package debian_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/env/debian"
	"github.com/retort-build/retort/internal/fetch"
)

// The closures that facts were measured on.
var (
	setT = []string{"build-essential", "erlang-dev", "erlang-nox", "elixir", "ca-certificates"}
	setF = []string{"build-essential", "erlang", "elixir"}
	setN = append(slices.Clone(setT),
		"autoconf", "automake", "cargo", "cmake", "default-libmysqlclient-dev", "git", "imagemagick", "libcurl4-openssl-dev",
		"libexpat1-dev", "libffi-dev", "libgit2-dev", "libjpeg-dev", "libleveldb-dev", "libmagickwand-dev", "libncurses-dev",
		"libopenblas-dev", "libpng-dev", "libpq-dev", "librocksdb-dev", "libsnappy-dev", "libsodium-dev", "libsqlite3-dev",
		"libssl-dev", "libtool", "libvips-dev", "libwebp-dev", "libwxgtk3.2-dev", "libxml2-dev", "libyaml-dev", "libzmq3-dev",
		"nodejs", "pkg-config", "python3-dev", "rustc", "unixodbc-dev", "zlib1g-dev")
)

// transitional packages are empty: apt brings them in when it comes by their
// name before it comes by the package that provides the name.
var transitional = []string{"libfreetype6-dev", "x11proto-core-dev"}

func e2e(t *testing.T) {
	t.Helper()
	if os.Getenv("RETORT_E2E") != "1" {
		t.Skip("needs a Debian mirror and apt: set RETORT_E2E=1")
	}
}

// dirCache is a Cache in a directory.
type dirCache string

func (c dirCache) Load(_ context.Context, d digest.Digest) ([]byte, error) {
	return os.ReadFile(filepath.Join(string(c), d.Encoded()))
}

func (c dirCache) Save(_ context.Context, d digest.Digest, b []byte) error {
	return os.WriteFile(filepath.Join(string(c), d.Encoded()), b, 0o644)
}

// TestAgainstAPT compares our closures with those of apt's own solver.
func TestAgainstAPT(t *testing.T) {
	e2e(t)
	mirrors, err := debian.FromAPT("/")
	if err != nil {
		t.Fatal(err)
	}
	archive := &debian.Archive{Mirrors: mirrors, Cache: dirCache(t.TempDir())}
	dirs := t.TempDir() // outlives the subtests
	for _, c := range []struct {
		suite string
		p     env.Platform
	}{
		{"trixie", env.LinuxAMD64}, {"trixie", env.LinuxARM64}, {"bookworm", env.LinuxAMD64}, {"forky", env.LinuxAMD64},
	} {
		var once sync.Once
		var root string
		for _, s := range []struct {
			name  string
			roots []string
		}{{"T", setT}, {"F", setF}, {"N", setN}} {
			t.Run(fmt.Sprintf("%s/%s/%s", c.suite, c.p.Arch(), s.name), func(t *testing.T) {
				began := time.Now()
				res, err := archive.Resolve(t.Context(), debian.Request{
					Suite: c.suite, Essential: true, Now: time.Now(), Manifest: digest.FromString("m"),
					Sets:         map[env.Platform]map[string][]string{c.p: {"toolchain": s.roots}},
					AllowExpired: []string{c.suite, c.suite + "-updates", c.suite + "-security"},
				})
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%d packages in %v, missing suites %q", len(res.Lock.Packages), time.Since(began), res.Missing)
				if err := res.Lock.Validate(); err != nil {
					t.Error(err)
				}
				once.Do(func() { root = aptRoot(t, dirs, mirrors, res.Lock.Suites, c.p) })
				want := slices.DeleteFunc(aptChoice(t, root, slices.Concat(s.roots, res.Lock.Sets[c.p]["essential"])), func(s string) bool {
					name, _, _ := strings.Cut(s, " ")
					return slices.Contains(transitional, name) && !slices.Contains(choice(res.Lock), s)
				})
				if diff := cmp.Diff(want, choice(res.Lock)); diff != "" {
					t.Errorf("apt -, ours +:\n%s", diff)
				}
			})
		}
	}
}

// TestEverySuite resolves for both platforms at once, and fetches what came
// out of it.
func TestEverySuite(t *testing.T) {
	e2e(t)
	mirrors, err := debian.FromAPT("/")
	if err != nil {
		t.Fatal(err)
	}
	mirrors.Snapshot = "none"
	archive := &debian.Archive{Mirrors: mirrors, Cache: dirCache(t.TempDir())}
	client := &fetch.Client{}
	for _, suite := range []string{"bookworm", "trixie", "forky", "sid"} {
		t.Run(suite, func(t *testing.T) {
			sets := map[string][]string{"toolchain": setT}
			req := debian.Request{
				Suite: suite, Essential: true, Now: time.Now(), Manifest: digest.FromString("m"),
				Sets:         map[env.Platform]map[string][]string{env.LinuxAMD64: sets, env.LinuxARM64: sets},
				AllowExpired: []string{suite, suite + "-updates", suite + "-security"},
			}
			res, err := archive.Resolve(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if err := res.Lock.Validate(); err != nil {
				t.Error(err)
			}
			began := time.Now()
			again, err := archive.Resolve(t.Context(), req)
			if diff := cmp.Diff(res, again); err != nil || diff != "" {
				t.Errorf("%v\n%s", err, diff)
			}
			t.Logf("%d packages, missing suites %q, skew %v; again in %v", len(res.Lock.Packages), res.Missing, res.Skew, time.Since(began))
			for _, p := range res.Lock.Packages {
				if p.Name != "elixir" && p.Name != "zlib1g" {
					continue
				}
				var buf fetch.Buffer
				_, err := client.Get(t.Context(), fetch.Request{URLs: mirrors.Candidates(p, res.Lock.Suites), Digest: p.Digest, Size: p.Size}, &buf)
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestEverySuitesSources reads the real indices of sources. Of a suite that
// moves a mirror may lack what its index lists.
func TestEverySuitesSources(t *testing.T) {
	e2e(t)
	mirrors, err := debian.FromAPT("/")
	if err != nil {
		t.Fatal(err)
	}
	mirrors.Snapshot = "none"
	archive := &debian.Archive{Mirrors: mirrors, Cache: dirCache(t.TempDir())}
	client := &fetch.Client{}
	for _, suite := range []string{"bookworm", "trixie", "forky", "sid"} {
		list, err := archive.Tarballs(t.Context(), debian.Request{
			Suite: suite, Now: time.Now(), AllowExpired: []string{suite, suite + "-updates", suite + "-security"},
		})
		if err != nil {
			t.Error(err)
			continue
		}
		newest := map[string]env.Source{}
		for _, s := range list {
			if newest[s.Tool].Version == "" {
				newest[s.Tool] = s
			}
		}
		for _, tool := range []string{env.ToolOTP, env.ToolElixir, env.ToolOpenSSL, env.ToolRebar3} {
			if newest[tool].Version == "" {
				t.Errorf("%s has no %s", suite, tool)
			}
		}
		otp := newest[env.ToolOTP]
		otp.Want = otp.Version
		if err := (&env.Lock{Manifest: otp.Digest, Sources: []env.Source{otp}}).Validate(); err != nil {
			t.Error(err)
		}
		urls, _ := mirrors.SourceCandidates(otp)
		if err := client.Served(t.Context(), fetch.Request{URLs: urls, Size: otp.Size}); err != nil && (suite == "bookworm" || suite == "trixie") {
			t.Error(err)
		}
		t.Logf("%s: %d tarballs, OTP %s, Elixir %s, OpenSSL %s", suite, len(list), otp.Version, newest[env.ToolElixir].Version, newest[env.ToolOpenSSL].Version)
	}
}

func choice(l env.Lock) []string {
	var out []string
	for _, p := range l.Packages {
		out = append(out, p.Name+" "+p.Version)
	}
	slices.Sort(out)
	return out
}

// aptRoot makes a private apt configuration with the given suites' indices.
func aptRoot(t *testing.T, dirs string, mirrors debian.Mirrors, suites []env.Suite, p env.Platform) string {
	t.Helper()
	dir, err := os.MkdirTemp(dirs, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial", "etc/preferences.d", "etc/trusted"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	keys, err := filepath.Abs("keys/debian-archive-keyring.pgp")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	var list strings.Builder
	for _, s := range suites {
		u := mirrors.Candidates(env.Package{Archive: s.Archive, Suite: s.Name, Path: "x"}, nil)[0]
		fmt.Fprintf(&list, "deb %s %s main\n", strings.TrimSuffix(u, "/x"), s.Name)
	}
	for name, data := range map[string]string{
		"etc/sources.list":     list.String(),
		"etc/trusted/keys.gpg": string(raw),
		"status":               "",
		"apt.conf": strings.ReplaceAll(`Dir::Etc::sourcelist "@/etc/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "@/etc/preferences.d";
Dir::Etc::trusted "@/etc/trusted/keys.gpg";
Dir::Etc::trustedparts "@/etc/trusted";
Dir::State::status "@/status";
Dir::State::lists "@/lists";
Dir::Cache "@/cache";
APT::Architecture "`+p.Arch()+`";
APT::Architectures "`+p.Arch()+`";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
`, "@", dir),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	apt(t, dir, "update")
	return dir
}

func apt(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := aptRun(t, dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func aptRun(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "apt-get", append([]string{"-q"}, args...)...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(dir, "apt.conf"), "LC_ALL=C.UTF-8")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("apt-get %s: %w\n%s%s", args, err, out.Bytes(), errs.Bytes())
	}
	return out.String(), nil
}

var instLine = regexp.MustCompile(`(?m)^Inst ([^ :]+)(?::\S+)? \((\S+) `)

func aptChoice(t *testing.T, dir string, roots []string) []string {
	t.Helper()
	return installed(apt(t, dir, append([]string{"-s", "install"}, roots...)...))
}

// installed are the packages that apt says it would install.
func installed(said string) []string {
	var out []string
	for _, m := range instLine.FindAllStringSubmatch(said, -1) {
		out = append(out, m[1]+" "+m[2])
	}
	slices.Sort(out)
	return out
}
