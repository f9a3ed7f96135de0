package hex

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMetadata(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       Metadata
	}{
		{
			"as Hex 2 writes it",
			`{<<"app">>,<<"jason">>}.
{<<"build_tools">>,[<<"mix">>]}.
{<<"description">>,<<"A fast é"/utf8>>}.
{<<"elixir">>,<<"~> 1.4">>}.
{<<"files">>,[<<"lib">>,<<"lib/a.ex">>]}.
{<<"licenses">>,[<<"Apache-2.0">>]}.
{<<"links">>,[{<<"GitHub">>,<<"https://x">>}]}.
{<<"name">>,<<"jason">>}.
{<<"requirements">>,
 [[{<<"app">>,<<"decimal">>},
   {<<"name">>,<<"decimal">>},
   {<<"optional">>,true},
   {<<"repository">>,<<"hexpm">>},
   {<<"requirement">>,<<"~> 1.0 or ~> 2.0">>}]]}.
{<<"version">>,<<"1.4.1">>}.
`,
			Metadata{Name: "jason", Version: "1.4.1", App: "jason", Description: "A fast é", Elixir: "~> 1.4",
				BuildTools: []string{"mix"}, Licenses: []string{"Apache-2.0"}, Files: []string{"lib", "lib/a.ex"},
				Requires: []Requirement{{App: "decimal", Name: "decimal", Version: "~> 1.0 or ~> 2.0", Repo: "hexpm", Optional: true}}},
		},
		{
			"as rebar3 writes it",
			"%% comment\n{<<\"name\">>,<<\"idna\">>}.\n{<<\"version\">>,<<\"6.1.1\">>}.\n" +
				"{<<\"requirements\">>,\n [{<<\"uuc\">>,\n   [{<<\"app\">>,<<\"unicode_util_compat\">>},\n    {<<\"optional\">>,false},\n    {<<\"requirement\">>,<<\"~>0.7.0\">>}]}]}.\n",
			Metadata{Name: "idna", Version: "6.1.1", App: "idna",
				Requires: []Requirement{{App: "unicode_util_compat", Name: "uuc", Version: "~>0.7.0", Repo: "hexpm"}}},
		},
		{
			"maps, strings, bytes and unknown keys",
			`{"name","x"}.{"version", "1." "0.0"}.{<<"extra">>,#{a => 1.5, 'B c' => [-2]}}.{<<"description">>,<<97,"b",195,169>>}.{<<"requirements">>,#{<<"y">> => #{<<"requirement">> => <<"1.0">>}}}.`,
			Metadata{Name: "x", Version: "1.0.0", App: "x", Description: "abé",
				Requires: []Requirement{{App: "y", Name: "y", Version: "1.0", Repo: "hexpm"}}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseMetadata([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseMetadataRefuses(t *testing.T) {
	good := `{<<"name">>,<<"x">>}.{<<"version">>,<<"1.0.0">>}.`
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "no package name"},
		{"no full stop", `{<<"name">>,<<"x">>}`, "full stop"},
		{"key twice", good + `{<<"name">>,<<"y">>}.`, "stands twice"},
		{"no pair", good + `a.`, "another element"},
		{"name is a path", `{<<"name">>,<<"../x">>}.{<<"version">>,<<"1.0.0">>}.`, "no package name"},
		{"app is a path", good + `{<<"app">>,<<"../x">>}.`, "no application"},
		{"requirement without name", good + `{<<"requirements">>,[[{<<"app">>,<<"y">>}]]}.`, "no package"},
		{"function", good + `{<<"files">>,fun() -> x end}.`, "neither a comma"},
		{"variable", good + `{<<"files">>,X}.`, "unexpected"},
		{"deep", strings.Repeat("[", 100), "too deep"},
		{"no binary end", `{<<"a`, "without its pair"},
		{"not UTF-8", "{<<\"\xff\">>,1}.", "not UTF-8"},
		{"byte too large", `{<<256>>,1}.`, "no byte"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := ParseMetadata([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestErlangEscapes(t *testing.T) {
	terms, err := parseErlang(`"a\n\x41\x{1F600}\101\^A\"\e\s\
b".`)
	if err != nil || len(terms) != 1 || terms[0].text != "a\nA😀A\x01\"\x1b b" {
		t.Errorf("%+v, %v", terms, err)
	}
}

func FuzzParseMetadata(f *testing.F) {
	f.Add([]byte(`{<<"name">>,<<"x"/utf8>>}.{<<"version">>,<<"1.0.0">>}.{<<"requirements">>,[[{<<"name">>,<<"y">>}]]}.`))
	f.Add([]byte(`{"name","x"}.{'a b',#{1 => -1.5e3}}.%c`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMetadata(data)
		if err == nil && (!packageName.MatchString(m.Name) || !appName.MatchString(m.App)) {
			t.Errorf("%+v", m)
		}
	})
}
