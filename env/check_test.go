package env

import (
	"strings"
	"testing"
)

func TestChecks(t *testing.T) {
	key := func(check func(string) error) func(string) (string, error) {
		return func(s string) (string, error) { return s, check(s) }
	}
	long := strings.Repeat("a", 5000)
	for _, tt := range []struct {
		name  string
		check func(string) (string, error)
		good  []string
		bad   []string
	}{
		{"Debian package", checkDebianPackage,
			[]string{"g++", "libssl3t64", "libstdc++-14-dev", "0ad", "7zip"},
			[]string{"", "g", "G++", "-x", "libc6:arm64", "libc6=2.41", "a b", "a\n", "../x", long}},
		{"version", checkVersion,
			[]string{"27.3.4.1", "1.18.3", "1.19.0-rc.0", "3.5.7"},
			[]string{"", "v1.18", "~> 1.18", "1.18 ", "latest", "1/2", "1" + long}},
		{"exact Hex version", checkSemver,
			[]string{"1.15.0", "0.0.1", "1.0.0-rc.1", "1.0.0+build.5", "1.0.0-a-b.1+c"},
			[]string{"", "1", "1.2", "01.2.3", "1.2.3.4", "1.2.3-", "~> 1.2.3", "9999999999.0.0"}},
		{"suite", checkSuite, []string{"trixie", "trixie-backports", "sid", "non-free"}, []string{"", "Trixie", "13", "a/b", "../x"}},
		{"day", checkDate, []string{"2026-11-20", "2024-02-29"}, []string{"", "2026-2-1", "2026-13-01", "2025-02-29", "1999-01-01", "2026-11-20T00:00:00Z"}},
		{"release version", checkReleaseVersion, []string{"1.4.0", "2026.11-rc1+g1234"}, []string{"", "-1", "1 0", "1/0", "$(id)"}},
		{"repository", checkRepository,
			[]string{"shop", "registry.example/shop", "localhost:5000/a/b-c__d.e", "GHCR.io/team/shop"},
			[]string{"", "shop:1", "shop@sha256:00", "Shop", "a//b", "a/b/", "/a", "a/Shop", "https://x/y", "a___b/..", "r:5000000/x", long}},
		{"port", checkPort, []string{"1", "4000/tcp", "65535/udp", "9/sctp"}, []string{"", "0", "65536", "-1", "+1", "04000", "4000/", "4000/TCP", "4000-4010", "/tcp"}},
		{"user", checkUser, []string{"0", "1000:0", "65532:65532"}, []string{"", "app", "1000:", ":1000", "-1", "4294967295", "1:2:3", "01"}},
		{"volume", checkVolume, []string{"/data", "/var/lib/shop"}, []string{"", "/", "data", "/data/", "/a/../b", "//a", "/a\x00"}},
		{"signal", checkSignal, []string{"SIGTERM", "SIGQUIT"}, []string{"", "TERM", "15", "SIGSTOP"}},
		{"URL", checkURL,
			[]string{"https://hex.example", "http://127.0.0.1:4000/repo", "https://[::1]:443"},
			[]string{"", "hex.example", "file:///etc/passwd", "https://", "https://u:p@h", "https://h?a=b", "https://h?", "https://h#f", "https://h\n", "https://" + long}},
		{"file", checkFile, []string{"keys/a.gpg", "../../toolchain.toml", "a"}, []string{"", "/a", "a/", `a\b`, "a\x00b", long}},
		{"project file", checkProjectFile, []string{"VERSION", "apps/a/VERSION", "..a"}, []string{"", ".", "..", "../a", "a/../../b", "./a", "/a", "a//b"}},
		{"variable", checkEnvName, []string{"PORT", "_x", "a1"}, []string{"", "1a", "A=B", "A-B", "Ä"}},
		{"text", checkText, []string{"", "Grüße", "a b"}, []string{"a\nb", "\x1b[31m", "\xff", long}},
		{"platform", checkPlatform, []string{"amd64", "linux/arm64"}, []string{"", "any", "linux/riscv64", "windows/amd64", "linux/amd64/v3"}},
		{"label", key(checkLabel), []string{"org.opencontainers.image.source", "a/b=c"}, []string{"", "a b", "ä", "a\n", long}},
		{"target", key(checkTarget), []string{"staging", "eu-1"}, []string{"", "Staging", "1a", "a.b", "a/b"}},
		{"dependency", key(checkApp), []string{"exqlite", "p1_utils", "eSNMP"}, []string{"", "Elixir", "a-b", "a.b", "../a"}},
		{"Hex repository", key(checkHexRepo), []string{"hexpm", "acme", "hexpm:acme"}, []string{"", "a:b:c", ":a", "a:", "A", "a/b"}},
	} {
		for _, s := range tt.good {
			if _, err := tt.check(s); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		for _, s := range tt.bad {
			if _, err := tt.check(s); err == nil {
				t.Errorf("%s: %q is accepted", tt.name, s)
			} else if len(err.Error()) > 300 {
				t.Errorf("%s: message of %d bytes", tt.name, len(err.Error()))
			}
		}
	}
}

// A password in a URL must not come back in the message that refuses it.
func TestURLMessageKeepsSecret(t *testing.T) {
	for _, s := range []string{"https://u:hunter2@h", "ftp://u:hunter2@h", "https://u:hunter2@h:port/%zz"} {
		if _, err := checkURL(s); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func TestScanStrings(t *testing.T) {
	in := "a = \"\"\"\nx = 1 # no\\\"\"\" \n\"\"\"\"\"\nb = '''\n[c]\n''''' # d\n\"e.f\" = 'g' # h\n[ i . 'j' ]\nk = [ # l = 1\n  \"]\",\n]\nm.n = 1"
	lines, end, err := scanTOML([]byte(in))
	if err != nil || end != len(in) {
		t.Fatal(end, err)
	}
	for path, want := range map[string]int{"a": 1, "b": 4, `"e.f"`: 7, "i": 8, "i.j": 8, "i.j.k": 9, "i.j.m": 12, "i.j.m.n": 12} {
		if lines[path] != want {
			t.Errorf("%s on line %d, want %d", path, lines[path], want)
		}
	}
	if len(lines) != 8 {
		t.Errorf("%v", lines)
	}
}
