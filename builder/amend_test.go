package builder

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/retort-build/retort/layers"
)

// beam is a compiled module of chunks, given as name and content in turn.
func beam(chunks ...string) string {
	out := []byte("FOR1\x00\x00\x00\x00BEAM")
	for pair := range slices.Chunk(chunks, 2) {
		out = binary.BigEndian.AppendUint32(append(out, pair[0]...), uint32(len(pair[1])))
		out = append(out, pair[1]...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	binary.BigEndian.PutUint32(out[4:], uint32(len(out)-8))
	return string(out)
}

func TestStrip(t *testing.T) {
	a := amendment{Chunks: []string{"Code", "Atom", "LitT"}, Known: []string{"Atom", "Code", "Dbgi", "LitT"}}
	for _, tt := range []struct{ name, module, want string }{
		{"order and padding", beam("Atom", "a", "Dbgi", "12345", "Code", "xyzzy"), beam("Code", "xyzzy", "Atom", "a")},
		{"nothing", beam(), beam()},
		{"unknown chunk", beam("Atom", "a", "Meta", "m"), ""},
		{"a chunk twice", beam("Atom", "a", "Atom", "b"), ""},
		{"compressed", "\x1f\x8b\x08" + beam("Atom", "a"), ""},
		{"cut off", beam("Atom", "a", "Code", "12345678")[:34], ""},
		{"ends in a header", beam("Atom", "a") + "Code", ""},
		{"a size beyond the end", strings.Replace(beam("Atom", "a"), "\x00\x00\x00\x01a", "\xff\xff\xff\xffa", 1), ""},
		{"empty", "", ""},
	} {
		got, err := a.strip([]byte(tt.module))
		if (err != nil) != (tt.want == "") || string(got) != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.name, got, err, tt.want)
		}
		if err != nil && !errors.Is(err, errNotAmendable) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func FuzzStrip(f *testing.F) {
	a := amendment{Chunks: []string{"Code", "Atom"}, Known: []string{"Atom", "Code", "Dbgi"}}
	f.Add([]byte(beam("Atom", "a", "Dbgi", "12345", "Code", "xyzzy")))
	f.Add([]byte(beam("Atom", "")))
	f.Fuzz(func(t *testing.T, module []byte) {
		once, err := a.strip(module)
		if err != nil {
			return
		}
		if twice, err := a.strip(once); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%q is stripped to %q, and that to %q: %v", module, once, twice, err)
		}
	})
}

// TestAmend runs a program that copies modules, and then again after edits.
func TestAmend(t *testing.T) {
	const (
		ebin  = "_build/prod/lib/app/ebin/"
		state = "AtomCode\x00AtomCodeDbgi\x00lib/read.ex\x00ebin/Read.beam"
	)
	first := map[string]string{
		"lib/a.ex": "a", "lib/read.ex": "r", ebin + "app.app": "app",
		ebin + "A.beam": beam("Code", "1", "Dbgi", "x", "Atom", "a"), ebin + "Read.beam": beam("Atom", "r"),
	}
	for _, tt := range []struct {
		name, state string
		more        map[string]string // edits besides that of A
		clean, ran  bool
	}{
		{name: "a module"},
		{name: "no state", state: "none", ran: true},
		{name: "copies that are made in another way", state: "Code" + state[8:], ran: true},
		{name: "a clean build", clean: true, ran: true},
		{name: "a module that was looked at", more: map[string]string{ebin + "Read.beam": beam("Atom", "s")}, ran: true},
		{name: "a source that was looked at", more: map[string]string{"lib/read.ex": "s"}, ran: true},
		{name: "what is no module", more: map[string]string{ebin + "app.app": "other"}, ran: true},
		{name: "a file more", more: map[string]string{ebin + "B.beam": beam("Atom", "b")}, ran: true},
		{name: "a chunk that nobody knows", more: map[string]string{ebin + "A.beam": beam("Atom", "a", "Meta", "m")}, ran: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			content := maps.Clone(first)
			release := func(p Process) error {
				a := amendment{Chunks: []string{"Atom", "Code"}, Known: []string{"Atom", "Code", "Dbgi", "Meta"}}
				for _, name := range []string{"A.beam", "Read.beam"} {
					copied, err := a.strip([]byte(content[ebin+name]))
					if err := errors.Join(err, writes("out/lib/app-1/ebin/"+name, string(copied))(p)); err != nil {
						return err
					}
				}
				return writes(stateFile, cmp.Or(tt.state, state))(p)
			}
			engine := &scripted{do: map[string]func(Process) error{"release": release}}
			b := newBuilder(t, engine, content)
			realise := func(incremental bool) layers.Layer {
				t.Helper()
				b.Incremental = incremental
				names := slices.Sorted(maps.Keys(content))
				built := func(name string) bool { return strings.HasPrefix(name, "_build/") }
				r := program("release", "code", "compile")
				r.Outputs, r.Amends = []layers.Output{{Path: "out", Strip: true}}, []string{"code", "compile"}
				done, err := b.Realise(t.Context(), layers.Plan{Recipes: []layers.Recipe{
					source(content, "compile", slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !built(name) })...),
					source(content, "code", slices.DeleteFunc(names, built)...), r,
				}})
				if err != nil {
					t.Fatal(err)
				}
				return done["release"]
			}
			realise(true)
			maps.Copy(content, map[string]string{"lib/a.ex": "b", ebin + "A.beam": beam("Code", "2", "Dbgi", "y", "Atom", "a")})
			maps.Copy(content, tt.more)
			got := realise(!tt.clean)
			if ran := len(engine.runs) > 1; ran != tt.ran {
				t.Errorf("the program ran again is %v, want %v", ran, tt.ran)
			}
			if again := realise(!tt.clean); again != got {
				t.Errorf("the same again is %v, was %v", again, got)
			}
			if want := realise(false); want.DiffID != got.DiffID {
				t.Errorf("the result is %s, and %s from nothing", got.DiffID, want.DiffID)
			}
		})
	}
}
