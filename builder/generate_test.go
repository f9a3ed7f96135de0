package builder

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/retort-build/retort/env"
	"github.com/retort-build/retort/layers"
)

func TestGeneratePlan(t *testing.T) {
	app, project := shop()
	root := layers.RootFS{
		Recipes:  []layers.Recipe{{Name: "deb:autoconf", Kind: layers.UnpackDeb, Platform: env.LinuxAMD64}, {Name: "configure:generate:a", Kind: layers.Configure, Platform: env.LinuxAMD64}},
		Packages: []string{"deb:autoconf"}, Config: "configure:generate:a",
	}
	app.Generate = []Generate{
		{Name: "a", Root: root, Files: []layers.SourceFile{file("configure.ac")}, Run: []string{"autoconf", "./configure"}, Outputs: []string{"vars.config"}},
		{Name: "b", Root: root, Files: app.Source, Run: []string{"make gen"}, Outputs: []string{"src/gen"}},
	}
	plan, err := app.ReleasePlan(project, "shop")
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Check(); err != nil {
		t.Fatal(err)
	}
	work := func(step string) []string {
		r, ok := plan.Recipe(step)
		if !ok {
			t.Fatalf("the plan has no step %s", step)
		}
		return r.Work
	}
	if got := work("generate:a"); !slices.Equal(got, []string{"source:generate:a"}) {
		t.Errorf("generate:a reads %v", got)
	}
	if got := work("generate:b"); !slices.Equal(got, []string{"source:generate:b", "generate:a"}) {
		t.Errorf("generate:b reads %v", got)
	}
	// What is generated lies over the source wherever there is source.
	for _, r := range plan.Recipes {
		source := slices.ContainsFunc(r.Work, func(in string) bool { return in == stepMix || in == stepCode })
		if !source {
			continue
		}
		for _, in := range []string{"generate:a", "generate:b"} {
			at := slices.Index(r.Work, in)
			if at < slices.Index(r.Work, stepMix) || at < slices.Index(r.Work, stepCode) {
				t.Errorf("%s reads %v: %s does not lie over the source", r.Name, r.Work, in)
			}
		}
	}
	r, _ := plan.Recipe("generate:a")
	if !keeps(r.Outputs, "vars.config") || keeps(r.Outputs, "config.log") {
		t.Errorf("generate:a keeps %v", r.Outputs)
	}
}

// The program of a generate step, without a sandbox around it.
func TestCommands(t *testing.T) {
	for _, tt := range []struct {
		name         string
		run, outputs []string
		want         string // in the output
		fails        bool
	}{
		{"in order", []string{"echo one > x", "cat x"}, []string{"x"}, "$ echo one > x\n$ cat x\none\n", false},
		{"shells of their own", []string{"v=1; cd /", "echo =$v; test -e x || echo two > x"}, []string{"x"}, "=\n", false},
		{"several lines", []string{"if true\nthen echo yes > x\nfi"}, []string{"x"}, "", false},
		{"ends at the first failure", []string{"false; echo on", "echo on"}, nil, "$ false", true},
		{"in the middle of a line", []string{"false\necho on"}, nil, "$ false", true},
		{"leaves nothing", []string{"true"}, []string{"some where"}, "left no some where", true},
		{"a link to nowhere is something", []string{"ln -s nowhere x"}, []string{"x"}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			argv := commands(tt.run, tt.outputs)
			cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
			cmd.Dir = t.TempDir()
			out, err := cmd.CombinedOutput()
			if (err != nil) != tt.fails || !strings.Contains(string(out), tt.want) || strings.Contains(string(out), "\non\n") {
				t.Errorf("%v: %q", err, out)
			}
		})
	}
}

func TestSelect(t *testing.T) {
	files := []layers.SourceFile{file("Makefile.in"), file("a/b/c.m4"), file("a/x.m4"), file("configure.ac"), file("m4/deep/b.m4"), file("m4/x.m4"), file("m4x")}
	for _, tt := range []struct {
		patterns []string
		want     string // "" is an error
	}{
		{nil, "Makefile.in a/b/c.m4 a/x.m4 configure.ac m4/deep/b.m4 m4/x.m4 m4x"},
		{[]string{"configure.ac", "*.in"}, "Makefile.in configure.ac"},
		{[]string{"m4"}, "m4/deep/b.m4 m4/x.m4"},
		{[]string{"m4/**"}, "m4/deep/b.m4 m4/x.m4"},
		{[]string{"m4/*"}, "m4/deep/b.m4 m4/x.m4"},
		{[]string{"m4/*.m4"}, "m4/x.m4"},
		{[]string{"**/*.m4"}, "a/b/c.m4 a/x.m4 m4/deep/b.m4 m4/x.m4"},
		{[]string{"a/**/c.m4"}, "a/b/c.m4"},
		{[]string{"a/**/x.m4"}, "a/x.m4"},
		{[]string{"**/**/**/**/x.m4"}, "a/x.m4 m4/x.m4"},
		{[]string{"**"}, "Makefile.in a/b/c.m4 a/x.m4 configure.ac m4/deep/b.m4 m4/x.m4 m4x"},
		{[]string{"m4x/**"}, ""},
		{[]string{"configure.ac", "nothing*"}, ""},
	} {
		got, err := Select(files, tt.patterns)
		var names []string
		for _, f := range got {
			names = append(names, f.Path)
		}
		if strings.Join(names, " ") != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%v: %v, %v, want %s", tt.patterns, names, err, tt.want)
		}
	}
}

func FuzzSelect(f *testing.F) {
	f.Add("a/**/[b-d]*", "a/b/c/d")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		all, err := Select([]layers.SourceFile{file(name)}, []string{pattern})
		if err == nil && len(all) != 1 {
			t.Fatalf("%q %q: %v", pattern, name, all)
		}
	})
}
