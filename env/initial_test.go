package env

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const mixExs = `defmodule Shop.MixProject do
  def project do
    [
      app: :shop,
      version: "0.1.0",
      elixir: "~> 1.18",
    ]
  end
end
`

func TestInitialGolden(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"mix.exs": mixExs})
	text, warnings, err := Initial(dir)
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	golden(t, "initial.golden", text)
}

func TestInitial(t *testing.T) {
	for _, tt := range []struct {
		name     string
		files    map[string]string
		suite    string
		warnings []string
	}{
		{"mix.exs alone", map[string]string{"mix.exs": mixExs}, "trixie", nil},
		{"says nothing", map[string]string{"mix.exs": "x"}, "trixie", nil},
		{"asdf", map[string]string{"mix.exs": mixExs, ".tool-versions": "# tools\nelixir 1.18.3-otp-27\nerlang 27.3.4.1 # pinned\nnodejs 22.1.0\n"}, "trixie", nil},
		{"old", map[string]string{"mix.exs": "elixir: \"~> 1.14\"", ".tool-versions": "elixir 1.14.0\nerlang 25.2.3\n"}, "bookworm",
			[]string{"Debian bookworm has no Hex: dependencies from Hex need suite trixie or later"}},
		{"mise", map[string]string{"mix.exs": mixExs, "mise.toml": "[tools]\nerlang = \"27\"\nelixir = { version = \"1.18\" }\n"}, "trixie", nil},
		{"hidden mise", map[string]string{"mix.exs": mixExs, ".mise.toml": "[tools]\nerlang = [\"26.2.5\", \"27\"]\n"}, "trixie",
			[]string{`the project asks for Erlang/OTP 26.2.5, Debian trixie has 27.3.4.1: otp = { version = "26.2.5", from = "source" } compiles it`}},
		{"broken mise", map[string]string{"mix.exs": mixExs, "mise.toml": "[tools"}, "trixie", nil},
		{"no versions", map[string]string{"mix.exs": mixExs, ".tool-versions": "erlang latest\nelixir ref:main\n"}, "trixie", nil},
		{"newer", map[string]string{"mix.exs": "elixir: \"~> 1.20\"", ".tool-versions": "elixir 1.20.4-otp-28\n"}, "trixie", []string{
			`the project asks for Elixir 1.20.4, Debian trixie has 1.18.3: elixir = { version = "1.20.4", from = "source" } compiles it`,
			`mix.exs asks for Elixir "~> 1.20", Debian trixie has 1.18.3`,
		}},
		{"odd requirement", map[string]string{"mix.exs": "elixir: \"~> 1.18-dev\""}, "trixie",
			[]string{`mix.exs asks for Elixir "~> 1.18-dev", which was not understood: check it against 1.18.3`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, tt.files)
			text, warnings, err := Initial(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got := config(t, parse(t, string(text)), LinuxAMD64, "").Base.Suite; got != tt.suite {
				t.Errorf("suite %s, want %s", got, tt.suite)
			}
			if diff := cmp.Diff(tt.warnings, warnings); diff != "" {
				t.Error(diff)
			}
			// What is proposed in comments is valid too.
			var open bytes.Buffer
			for line := range strings.Lines(string(text)) {
				if i := strings.Index(line, "# ["); i == 0 || strings.HasPrefix(line, "# ") && strings.Contains(line, " = ") {
					line = line[2:]
				}
				open.WriteString(line)
			}
			parse(t, open.String())
		})
	}
}

func TestInitialWithoutProject(t *testing.T) {
	if _, _, err := Initial(t.TempDir()); err == nil || !strings.HasSuffix(err.Error(), "has no mix.exs") {
		t.Error(err)
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "mix.exs"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Initial(dir); err == nil {
		t.Error("a folder is no mix.exs")
	}
}

func TestMeets(t *testing.T) {
	for _, tt := range []struct {
		requirement string
		ok, known   bool
	}{
		{"~> 1.18", true, true},
		{"~> 1.14", true, true},
		{"~> 2.0", false, true},
		{"~> 1.19", false, true},
		{"~> 1.18.0", true, true},
		{"~> 1.17.0", false, true},
		{"~> 1.18.4", false, true},
		{">= 1.14.0 and < 1.18.0", false, true},
		{">= 1.14.0 and < 1.19.0", true, true},
		{"== 1.17.0 or == 1.18.3", true, true},
		{"1.18.3", true, true},
		{"!= 1.18.3", false, true},
		{"> 1.18.2", true, true},
		{"<= 1.18.3", true, true},
		{"~> 1", false, false},
		{"", false, false},
		{"~> 1.18-rc.0", false, false},
		{"latest", false, false},
		{"~> 99999999999.1", false, false},
	} {
		if ok, known := meets("1.18.3", tt.requirement); ok != tt.ok || known != tt.known {
			t.Errorf("%q: %t, %t", tt.requirement, ok, known)
		}
	}
}
