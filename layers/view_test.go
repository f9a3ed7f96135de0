package layers

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestView(t *testing.T) {
	tests := []struct {
		name     string
		specs    []spec
		override []bool
		want     []string
		conflict string // path, and what each layer has there
	}{
		{name: "nothing", want: nil},
		{
			name:  "disjoint and shared directories",
			specs: []spec{{"usr/lib/a": "a"}, {"usr/lib/b": "b", "etc/": ""}},
			want:  []string{"drwxr-xr-x etc", "drwxr-xr-x usr", "drwxr-xr-x usr/lib", "-rw-r--r-- usr/lib/a a", "-rw-r--r-- usr/lib/b b"},
		},
		{
			name:  "the same twice",
			specs: []spec{{"f": "x", "s": "-> f", "h": "=> f"}, {"f": "x", "s": "-> f", "h": "x"}},
			want:  []string{"-rw-r--r-- f x", "-rw-r--r-- h x", "Lrwxrwxrwx s f"},
		},
		{name: "different files", specs: []spec{{"a/f": "x"}, {"a/f": "y"}}, conflict: "path a/f: "},
		{
			name: "different files, later overrides", specs: []spec{{"f": "x"}, {"f": "y"}}, override: []bool{false, true},
			want: []string{"-rw-r--r-- f y"},
		},
		{name: "earlier flag does not help", specs: []spec{{"f": "x"}, {"f": "y"}}, override: []bool{true, false}, conflict: "path f: "},
		{name: "file over directory", specs: []spec{{"d/f": "x"}, {"d": "y"}}, conflict: "path d: "},
		{
			name: "file over directory, overrides", specs: []spec{{"d/e/f": "x", "dd/f": "x"}, {"d": "y"}}, override: []bool{false, true},
			want: []string{"-rw-r--r-- d y", "drwxr-xr-x dd", "-rw-r--r-- dd/f x"},
		},
		{
			name: "directory over file, overrides", specs: []spec{{"d": "x"}, {"d/f": "y"}}, override: []bool{false, true},
			want: []string{"drwxr-xr-x d", "-rw-r--r-- d/f y"},
		},
		{
			name: "directory over symlink to directory", specs: []spec{{"usr/lib/": "", "lib": "-> usr/lib"}, {"lib/x": "y"}},
			override: []bool{false, true}, conflict: "path lib: ",
		},
		{
			name: "directory over a chain of symlinks to directory", specs: []spec{{"usr/lib/": "", "a/b": "-> ../c", "c": "-> /usr/./lib"}, {"a/b/x": "y"}},
			override: []bool{false, true}, conflict: "path a/b: ",
		},
		{
			name: "directory over dangling symlink, overrides", specs: []spec{{"lib": "-> lib"}, {"lib/x": "y"}}, override: []bool{false, true},
			want: []string{"drwxr-xr-x lib", "-rw-r--r-- lib/x y"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			var ls []ViewLayer
			for i, sp := range tt.specs {
				l := ViewLayer{Layer: addLayer(t, s, "", sp)}
				l.Override = tt.override != nil && tt.override[i]
				ls = append(ls, l)
			}
			dir, err := s.View(t.Context(), ls)
			if tt.conflict != "" {
				var conflict *ConflictError
				if !errors.As(err, &conflict) || !strings.HasPrefix(conflict.Error(), tt.conflict) {
					t.Fatalf("error %v, want %q", err, tt.conflict)
				}
				if conflict.Below != ls[0].DiffID || conflict.Above != ls[1].DiffID {
					t.Errorf("layers %s and %s", conflict.Below, conflict.Above)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, onDisk(t, dir)); d != "" {
				t.Error(d)
			}
			again, err := s.View(t.Context(), ls)
			if err != nil || again != dir {
				t.Errorf("again: %s, %v", again, err)
			}
		})
	}
}

// An inode that can have no more names is copied, with what makes it equal.
func TestCopyFile(t *testing.T) {
	s := newStore(t)
	l := addLayer(t, s, "", spec{"f": "x", "s": "-> f"})
	entries, err := s.Entries(t.Context(), l)
	must(t, err)
	dir := t.TempDir()
	for _, e := range entries {
		must(t, copyFile(s.Path(l)+"/"+e.Path, dir+"/"+e.Path, e))
	}
	if d := cmp.Diff(onDisk(t, s.Path(l)), onDisk(t, dir)); d != "" {
		t.Error(d)
	}
}

func TestViewNeedsLayers(t *testing.T) {
	s, other := newStore(t), newStore(t)
	l := addLayer(t, other, "", spec{"f": "x"})
	if _, err := s.View(t.Context(), []ViewLayer{{Layer: l}}); !errors.Is(err, ErrNotFound) {
		t.Errorf("error %v", err)
	}
}

func BenchmarkView(b *testing.B) {
	s := newStore(b)
	var ls []ViewLayer
	for i := range 160 {
		sp := make(spec)
		for j := range 94 {
			sp[fmt.Sprintf("usr/share/pkg%d/d%d/file%d", i, j%6, j)] = fmt.Sprintf("%d %d", i, j)
		}
		ls = append(ls, ViewLayer{Layer: addLayer(b, s, "", sp)})
	}
	b.Run("cold", func(b *testing.B) {
		var cpu time.Duration
		defer func() { b.ReportMetric(float64(cpu.Milliseconds())/float64(b.N), "cpu-ms/op") }()
		for b.Loop() {
			b.StopTimer()
			if err := os.RemoveAll(s.path(viewsDir)); err != nil {
				b.Fatal(err)
			}
			if err := os.Mkdir(s.path(viewsDir), 0o755); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			start := cpuTime(b)
			if _, err := s.View(b.Context(), ls); err != nil {
				b.Fatal(err)
			}
			cpu += cpuTime(b) - start
		}
	})
	b.Run("warm", func(b *testing.B) {
		start := cpuTime(b)
		defer func() { reportCPU(b, start) }()
		for b.Loop() {
			if _, err := s.View(b.Context(), ls); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkWriter15k(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s := newStore(b)
		sp := make(spec)
		for i := range 15_000 {
			sp[fmt.Sprintf("usr/share/d%d/file%d", i%400, i)] = strings.Repeat("x", i%8192)
		}
		b.StartTimer()
		start := cpuTime(b)
		addLayer(b, s, testKey("k"), sp)
		b.ReportMetric(float64((cpuTime(b) - start).Milliseconds()), "cpu-ms/op") // of the last one
	}
}
