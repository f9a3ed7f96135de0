package hex

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

const (
	sumA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	sumB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func sha(s string) digest.Digest { return digest.NewDigestFromEncoded(digest.SHA256, s) }

func TestParseLock(t *testing.T) {
	tuple := `{:hex, :jason_pkg, "1.4.1", "` + sumA + `", [:mix, :"rebar3"], [{:decimal, "~> 1.0 or ~> 2.0", [hex: :decimal, repo: "hexpm", optional: true]}], "hexpm:acme", "` + strings.ToUpper(sumB) + `"}`
	git := `{:git, "https://git.example/x.git", "0123456789012345678901234567890123456789", [tag: "v1", sparse: "a/b", depth: 1, submodules: true]}`
	lock := "# a comment\n%{\n  \"jason\": " + tuple + ",\n  icons: " + git + `,
  "old4" => {:hex, :old4, "0.1.0", "` + sumA + `"},
  :old6 => {:hex, :old6, "0.1.0-rc.1+b", "` + sumA + `", nil, []},
  "old7": {:hex, :old7, "0.1.0", "` + sumA + `", [:make], [], "own",},
}
`
	got, err := ParseLock("mix.lock", []byte(lock))
	if err != nil {
		t.Fatal(err)
	}
	want := []Locked{
		{App: "icons", Kind: Git, Text: git, URL: "https://git.example/x.git", Commit: "0123456789012345678901234567890123456789",
			Options: []Option{{"tag", "v1"}, {"sparse", "a/b"}, {"depth", "1"}, {"submodules", "true"}}},
		{App: "jason", Kind: Package, Text: tuple, Name: "jason_pkg", Version: "1.4.1", Inner: sha(sumA), Outer: sha(sumB),
			Managers: []string{"mix", "rebar3"}, Repo: "hexpm:acme",
			Requires: []Requirement{{App: "decimal", Name: "decimal", Version: "~> 1.0 or ~> 2.0", Repo: "hexpm", Optional: true}}},
		{App: "old4", Kind: Package, Text: `{:hex, :old4, "0.1.0", "` + sumA + `"}`, Name: "old4", Version: "0.1.0", Inner: sha(sumA), Repo: "hexpm"},
		{App: "old6", Kind: Package, Text: `{:hex, :old6, "0.1.0-rc.1+b", "` + sumA + `", nil, []}`, Name: "old6", Version: "0.1.0-rc.1+b", Inner: sha(sumA), Repo: "hexpm"},
		{App: "old7", Kind: Package, Text: `{:hex, :old7, "0.1.0", "` + sumA + `", [:make], [], "own",}`, Name: "old7", Version: "0.1.0", Inner: sha(sumA), Managers: []string{"make"}, Repo: "own"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var missing *MissingOuterError
	if err := CheckOuter("mix.lock", got); !errors.As(err, &missing) {
		t.Fatalf("CheckOuter: %v", err)
	}
	if diff := cmp.Diff([]string{"old4", "old6", "old7"}, missing.Apps); diff != "" {
		t.Error(diff)
	}
	if text := missing.Error(); !strings.Contains(text, "mix deps.get") || !strings.Contains(text, "mix deps.update old4 old6 old7") {
		t.Errorf("no remedy in %q", text)
	}
	if err := CheckOuter("mix.lock", got[:2]); err != nil {
		t.Errorf("CheckOuter of complete entries: %v", err)
	}
}

func TestParseLockEmpty(t *testing.T) {
	for _, text := range []string{"", "\n", "%{}", "%{\n}\n"} {
		if got, err := ParseLock("mix.lock", []byte(text)); err != nil || len(got) != 0 {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestParseLockRefuses(t *testing.T) {
	hex := func(rest string) string { return `%{"a": {:hex, ` + rest + `}}` }
	for _, tt := range []struct{ name, text, want string }{
		{"merge conflict", "%{\n<<<<<<< HEAD\n}", "line 2: a merge conflict"},
		{"code", `%{"a": System.cmd("x")}`, `"System" is no literal`},
		{"interpolation", `%{"a": {:hex, :a, "#{1}", "x"}}`, "interpolation"},
		{"not a map", `[]`, "not a map"},
		{"text after", `%{} x`, "after the end"},
		{"too early", `%{"a": {`, "too early"},
		{"no string end", `%{"a`, "without an end"},
		{"twice", `%{"a": {:git, "u", "0123456789012345678901234567890123456789", []}, "a": {:git, "u", "0123456789012345678901234567890123456789", []}}`, "locked twice"},
		{"application that is a path", `%{"../a": {:hex, :a, "1.0.0", "` + sumA + `"}}`, "no application"},
		{"package that is a path", hex(`:"../a", "1.0.0", "` + sumA + `"`), "no package name"},
		{"version that is a path", hex(`:a, "../1.0.0", "` + sumA + `"`), "no version"},
		{"checksum", hex(`:a, "1.0.0", "abc"`), "no SHA-256"},
		{"repository", hex(`:a, "1.0.0", "` + sumA + `", [], [], "a/b", "` + sumA + `"`), "no repository"},
		{"too short", hex(`:a, "1.0.0"`), "3 elements"},
		{"too long", hex(`:a, "1.0.0", "` + sumA + `", [], [], "hexpm", "` + sumA + `", 1`), "9 elements"},
		{"unknown source", `%{"a": {:svn, "u"}}`, "neither"},
		{"git commit", `%{"a": {:git, "u", "master", []}}`, "no commit"},
		{"git option in place of a URL", `%{"a": {:git, "--upload-pack=x", "0123456789012345678901234567890123456789", []}}`, "no git repository"},
		{"deep", strings.Repeat("[", 100), "too deep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseLock("mix.lock", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "parse mix.lock: ") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestElixirStrings(t *testing.T) {
	for text, want := range map[string]string{
		`"a\n\t\"\\\#{x}"`:        "a\n\t\"\\#{x}",
		`"\x41\u00e9\u{1F600}\s"`: "Aé😀 ",
		`"ünï"`:                   "ünï",
		"\"a\\\nb\"":              "ab",
	} {
		if got, err := parseElixir(text); err != nil || got.text != want {
			t.Errorf("%s: %q, %v", text, got.text, err)
		}
	}
	for _, text := range []string{`"\x"`, `"\u{110000}"`, `"\u{}"`, `"\`, "\"\xff\"", "1..2", ":", "-", `{a: 1}`, `[a: 1, 2]`} {
		if got, err := parseElixir(text); err == nil {
			t.Errorf("%s: accepted as %+v", text, got)
		}
	}
}

func FuzzParseLock(f *testing.F) {
	f.Add([]byte(`%{"a": {:hex, :a, "1.0.0", "` + sumA + `", [:mix], [{:b, "~> 1.0", [hex: :b, repo: "hexpm", optional: false]}], "hexpm", "` + sumB + `"}}`))
	f.Add([]byte(`%{b: {:git, "https://x", "0123456789012345678901234567890123456789", [ref: "x", depth: 1]}}`))
	f.Add([]byte(`%{:a => 1_0.5e3, "é\u{e9}" => nil, [a: true] => {}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		locked, err := ParseLock("mix.lock", data)
		if err != nil {
			return
		}
		for _, l := range locked {
			if !strings.Contains(string(data), l.Text) || !appName.MatchString(l.App) {
				t.Errorf("entry %+v", l)
			}
			// The verbatim text is an entry of its own.
			again, err := ParseLock("mix.lock", []byte(`%{"`+l.App+`": `+l.Text+"}"))
			if err != nil || len(again) != 1 || !cmp.Equal(again[0], l) {
				t.Errorf("%s: parsed again: %+v, %v", l.Text, again, err)
			}
			if l.Kind == Package {
				Marker(l)
				_, _, _ = Candidates(l, nil)
			}
		}
	})
}
