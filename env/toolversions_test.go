package env

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadToolVersions(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want map[string]string
	}{
		".tool-versions": {"# ours\nerlang 27.3.4.1 # the newest\nelixir 1.18.3-otp-27 1.17.3\nnodejs 22.1.0\nrebar 3.24.0\nelixir 1.16.0\n",
			map[string]string{"otp": "27.3.4.1", "elixir": "1.18.3", "rebar3": "3.24.0"}},
		"none/.tool-versions": {"erlang ref:main\nelixir latest\n", map[string]string{"otp": "", "elixir": ""}},
		"mise.toml":           {"[tools]\nerlang = \"27\"\nelixir = [\"1.18.3-otp-27\", \"1.17\"]\nnode = \"22\"\nhex = {version = \"2.0.6\"}\n", map[string]string{"otp": "27", "elixir": "1.18.3", "hex": "2.0.6"}},
		"empty/mise.toml":     {"[settings]\nx = 1\n", map[string]string{}},
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(tt.text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := ReadToolVersions(path)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
	bad := filepath.Join(t.TempDir(), "mise.toml")
	if _, err := ReadToolVersions(bad); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.WriteFile(bad, []byte("[tools]\nerlang = \n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadToolVersions(bad); err == nil || !strings.Contains(err.Error(), "mise.toml:2") {
		t.Error(err)
	}
}

func TestSetVersions(t *testing.T) {
	versions := map[string]string{"otp": "27.3.4.1", "elixir": "1.18.3"}
	for _, tt := range []struct{ name, in, want string }{
		{"strings", "[toolchain] # ours\notp    = \"25.2.3\"   # old\nelixir = '1.14.0'\nhex = \"2.0.6\"\n",
			"[toolchain] # ours\notp    = \"27.3.4.1\"   # old\nelixir = \"1.18.3\"\nhex = \"2.0.6\"\n"},
		{"inline tables", "[toolchain]\notp = { from = \"source\", patches = [\"a, }#\", 'b'], version=\"25.2.3\" } # x\nelixir = {version = \"1.14.0\"}\n",
			"[toolchain]\notp = { from = \"source\", patches = [\"a, }#\", 'b'], version=\"27.3.4.1\" } # x\nelixir = {version = \"1.18.3\"}\n"},
		{"tables", "[toolchain.otp]\nfrom = \"source\"\npatches = [\n  \"a\", # \"b\n]\nversion = \"25.2.3\"\n\n[toolchain.elixir]\nversion = \"\"\"1.14.0\"\"\"\n",
			"[toolchain.otp]\nfrom = \"source\"\npatches = [\n  \"a\", # \"b\n]\nversion = \"27.3.4.1\"\n\n[toolchain.elixir]\nversion = \"1.18.3\"\n"},
		{"dotted keys", "toolchain.otp.version = \"25\"\ntoolchain.\"elixir\" = \"1.14\"\n[image]\nshell = true\n",
			"toolchain.otp.version = \"27.3.4.1\"\ntoolchain.\"elixir\" = \"1.18.3\"\n[image]\nshell = true\n"},
		{"one table", "toolchain = { otp = \"25\", elixir = { version = \"1.14\" } }\r\n", "toolchain = { otp = \"27.3.4.1\", elixir = { version = \"1.18.3\" } }\r\n"},
		{"overrides stay", "[target.old.toolchain]\notp = \"24\"\n[toolchain]\notp = \"25\"\nelixir = \"1.18.3\"\n[matrix]\notp = [\"25\"]\n",
			"[target.old.toolchain]\notp = \"24\"\n[toolchain]\notp = \"27.3.4.1\"\nelixir = \"1.18.3\"\n[matrix]\notp = [\"25\"]\n"},
	} {
		got, changed, err := SetVersions("m.toml", []byte(tt.in), versions)
		if err != nil || string(got) != tt.want || len(changed) == 0 {
			t.Errorf("%s: %v, changed %q\n%s", tt.name, err, changed, got)
		}
		again, changed, err := SetVersions("m.toml", got, versions)
		if err != nil || !slices.Equal(again, got) || len(changed) > 0 {
			t.Errorf("%s: a second time: %v, changed %q", tt.name, err, changed)
		}
	}
	_, changed, err := SetVersions("m.toml", []byte(minimal+"hex = {version = \"1\"}\n"), map[string]string{"otp": "28.0", "hex": "2"})
	if want := []string{"toolchain.hex.version: 1 -> 2", "toolchain.otp: 27.3.4.1 -> 28.0"}; err != nil || !slices.Equal(changed, want) {
		t.Errorf("changed %q, %v", changed, err)
	}
	_, _, err = SetVersions("m.toml", []byte("[toolchain]\nelixir = \"1\"\n"), versions)
	if !errors.Is(err, ErrNotSet) || err.Error() != "m.toml: toolchain.otp: not set here" {
		t.Error(err)
	}
	if _, _, err = SetVersions("m.toml", []byte("[toolchain\n"), versions); err == nil || !strings.HasPrefix(err.Error(), "m.toml:2: ") {
		t.Error(err)
	}
}

func FuzzSetVersions(f *testing.F) {
	f.Add("[toolchain]\notp = { version = \"25\", configure = [\"a\", 'b'] }\nelixir = '1.14' # old\n")
	f.Add("toolchain = { otp = \"25\", elixir.version = \"1.14\" }\n")
	f.Add("[toolchain.otp]\nversion = \"\"\"\n25\"\"\"\n[toolchain.elixir]\nversion = '''1'''\n")
	f.Fuzz(func(t *testing.T, text string) {
		versions := map[string]string{"otp": "27.3.4.1", "elixir": "1.18.3"}
		out, _, err := SetVersions("m.toml", []byte(text), versions)
		if err != nil {
			return
		}
		values, _, err := parseTOML(out)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for tool, want := range versions {
			if _, got, ok := versionKey(values, tool); !ok || got != want {
				t.Fatalf("%s is %q\n%s", tool, got, out)
			}
		}
	})
}

func FuzzToolVersions(f *testing.F) {
	f.Add("erlang 27.3.4.1\nelixir 1.18.3-otp-27 # x\n")
	f.Add("[tools]\nerlang = [\"27\"]\nelixir = { version = \"1.18\" }\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, path := range ToolVersionFiles() {
			named, err := namedVersions(path, []byte(text))
			if err != nil {
				continue
			}
			for tool, version := range toolsOf(named) {
				if version != "" && problem(checkVersion, version) != nil || !slices.Contains(ToolNames(), tool) {
					t.Fatalf("%s: %q", tool, version)
				}
			}
		}
	})
}
