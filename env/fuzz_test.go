package env

import (
	"bytes"
	"os"
	"testing"

	"github.com/BurntSushi/toml"
)

func FuzzManifest(f *testing.F) {
	data, err := os.ReadFile("testdata/every-key.toml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(minimal))
	f.Add([]byte("extends = \"base.toml\"\n"))
	f.Add([]byte("a = \"\"\"x\\\"\"\"\"\"\nb = '''y''''\n[[c.\"d.e\"]]\nf = {g.h = [1, # i\n 2.5]}\n"))
	open := func(rel string) ([]byte, string, error) { return []byte(minimal), rel, nil }
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest("m.toml", data, open)
		if err != nil {
			if list, ok := err.(ErrorList); !ok || len(list) == 0 || err.Error() == "" {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		for _, p := range m.Platforms() {
			for _, target := range append(m.Targets(), "") {
				c, err := m.For(p, target)
				if err != nil || c.Toolchain.OTP.Version == "" || c.Toolchain.Elixir.Version == "" || c.Base.Suite == "" {
					t.Fatalf("incomplete: %+v, %v", c, err)
				}
			}
		}
		again, err := ParseManifest("m.toml", data, open)
		if err != nil || again.LockDigest() != m.LockDigest() {
			t.Fatalf("not the same twice: %v", err)
		}
	})
}

// The scanner agrees with the parser on where statements begin: text that is
// TOML is scanned to its end, and each key at its top is found.
func FuzzScan(f *testing.F) {
	f.Add([]byte("a.b = \"\"\"x\n\"\"\"\n['c'] # d\ne = [\n1, {f = 2}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines, end, err := scanTOML(data)
		if err != nil {
			return
		}
		if end < 0 || end > len(data) {
			t.Fatalf("end %d of %d", end, len(data))
		}
		for path, n := range lines {
			if n < 1 || n > 1+bytes.Count(data, []byte("\n")) {
				t.Fatalf("%s on line %d", path, n)
			}
		}
		var values map[string]any
		if _, err := toml.Decode(string(data), &values); err != nil {
			return
		}
		if end != len(data) {
			t.Fatalf("scanned %d of %d bytes", end, len(data))
		}
		for key := range values {
			// Escapes of a quoted key may be read differently, at the cost of
			// its line number.
			if !bytes.Contains(data, []byte(`\`)) && lines[joinKey("", key)] == 0 {
				t.Fatalf("%q not found in %v", key, lines)
			}
		}
	})
}

func FuzzLock(f *testing.F) {
	f.Add(EncodeLock(sample()))
	f.Add(EncodeLock(&Lock{Manifest: sum("")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := DecodeLock("l", data)
		if err != nil {
			if list, ok := err.(ErrorList); !ok || len(list) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if !bytes.Equal(EncodeLock(l), data) {
			t.Fatal("two forms of one lock")
		}
		if _, _, err := parseTOML(data); err != nil {
			t.Fatalf("accepted, but not TOML: %v", err)
		}
		for p, sets := range l.Sets {
			for _, roots := range sets {
				if _, err := l.Closure(p, roots...); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func FuzzInitial(f *testing.F) {
	f.Add("app: :shop, elixir: \"~> 1.18\"", "erlang 27.3.4.1\nelixir 1.18.3-otp-27\n", "[tools]\nerlang = \"27\"\n")
	f.Add("elixir: \">= 1.14.0 and < 1.19.0 or == 1.20.0\"", "elixir ref:main", "[tools]\nelixir = {version = \"1.18\"}\nerlang = [\"27\", \"26\"]\n")
	f.Fuzz(func(t *testing.T, mix, tools, mise string) {
		text, _ := draft(findHints(mix, tools, mise))
		if _, err := ParseManifest("toolchain.toml", text, nil); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}
