package elf_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/retort-build/retort/internal/elf"
)

func loader(files map[string]elf.File) elf.Loader {
	return elf.Loader{Machine: elf.AMD64, Triplet: "x86_64-linux-gnu", Lookup: func(p string) (elf.Object, bool, error) {
		f, ok := files[p]
		if f.Machine == "" {
			f.Machine = elf.AMD64
		}
		return elf.Object{Path: p, File: f}, ok, nil
	}}
}

func TestClose(t *testing.T) {
	const libc = "/usr/lib/x86_64-linux-gnu/libc.so.6"
	glibc := elf.File{VerDef: []string{"GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.41", "GLIBC_PRIVATE"}}
	tests := []struct {
		name     string
		root     elf.Object
		files    map[string]elf.File
		want     []string
		problems []string
	}{{
		name: "a static program needs nothing",
		root: elf.Object{Path: "/app/tool", File: elf.File{Machine: elf.AMD64}},
	}, {
		name:  "libraries of libraries, and the interpreter",
		root:  elf.Object{Path: "/app/beam", File: elf.File{Machine: elf.AMD64, Interp: "/lib64/ld.so", Needed: []string{"libz.so"}}},
		files: map[string]elf.File{"/lib64/ld.so": {}, "/usr/lib/libz.so": {Needed: []string{"libc.so.6"}}, libc: glibc},
		want:  []string{"/lib64/ld.so", "/usr/lib/libz.so", libc},
	}, {
		name:  "RUNPATH relative to the file comes first",
		root:  elf.Object{Path: "/app/lib/x/priv/x.so", File: elf.File{Machine: elf.AMD64, Needed: []string{"liby.so"}, Runpath: []string{"$ORIGIN/../y"}}},
		files: map[string]elf.File{"/app/lib/x/y/liby.so": {}, "/usr/lib/liby.so": {}},
		want:  []string{"/app/lib/x/y/liby.so"},
	}, {
		name:  "RPATH is ignored beside RUNPATH",
		root:  elf.Object{Path: "/x.so", File: elf.File{Machine: elf.AMD64, Needed: []string{"liby.so"}, Runpath: []string{"/run"}, Rpath: []string{"/r"}}},
		files: map[string]elf.File{"/r/liby.so": {}, "/run/liby.so": {}},
		want:  []string{"/run/liby.so"},
	}, {
		name:     "a missing soname names the file",
		root:     elf.Object{Path: "/x.so", File: elf.File{Machine: elf.AMD64, Needed: []string{"libnone.so.3"}}},
		problems: []string{"/x.so needs libnone.so.3"},
	}, {
		name:     "a symbol version newer than the library's",
		root:     elf.Object{Path: "/x.so", File: elf.File{Machine: elf.AMD64, Needed: []string{"libc.so.6"}, VerNeed: map[string][]string{"libc.so.6": {"GLIBC_2.2.5", "GLIBC_2.42"}}}},
		files:    map[string]elf.File{libc: glibc},
		want:     []string{libc},
		problems: []string{"/x.so needs GLIBC_2.42 of libc.so.6, which " + libc + " does not define (newest: GLIBC_2.41)"},
	}, {
		name:     "a file for another machine",
		root:     elf.Object{Path: "/x.so", File: elf.File{Machine: elf.ARM64, Needed: []string{"libc.so.6"}}},
		problems: []string{"/x.so is for arm64"},
	}, {
		name:     "a library for another machine is passed over",
		root:     elf.Object{Path: "/x.so", File: elf.File{Machine: elf.AMD64, Needed: []string{"liby.so"}, Runpath: []string{"relative", "/arm"}}},
		files:    map[string]elf.File{"/arm/liby.so": {Machine: elf.ARM64}},
		problems: []string{"/x.so needs liby.so"},
	}, {
		name:     "no interpreter",
		root:     elf.Object{Path: "/app/beam", File: elf.File{Machine: elf.AMD64, Interp: "/lib/ld-musl.so.1"}},
		problems: []string{"/app/beam needs the interpreter /lib/ld-musl.so.1"},
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := elf.Close([]elf.Object{test.root}, loader(test.files))
			if err != nil {
				t.Fatal(err)
			}
			var libs, problems []string
			for _, o := range got.Libraries {
				libs = append(libs, o.Path)
			}
			for _, p := range got.Problems {
				problems = append(problems, p.String())
			}
			if d := cmp.Diff(test.want, libs); d != "" {
				t.Errorf("libraries (-want +got):\n%s", d)
			}
			if d := cmp.Diff(test.problems, problems); d != "" {
				t.Errorf("problems (-want +got):\n%s", d)
			}
		})
	}
}

func TestCloseEndsOnCyclesAndErrors(t *testing.T) {
	files := map[string]elf.File{"/lib/a": {Needed: []string{"b"}}, "/lib/b": {Needed: []string{"a"}}}
	got, err := elf.Close([]elf.Object{{Path: "/r", File: elf.File{Machine: elf.AMD64, Needed: []string{"a"}}}}, loader(files))
	if err != nil || len(got.Libraries) != 2 {
		t.Errorf("cycle: %+v, %v", got, err)
	}
	broken := errors.New("disk on fire")
	l := loader(nil)
	l.Lookup = func(string) (elf.Object, bool, error) { return elf.Object{}, false, broken }
	if _, err := elf.Close([]elf.Object{{Path: "/r", File: elf.File{Machine: elf.AMD64, Needed: []string{"a"}}}}, l); !errors.Is(err, broken) {
		t.Errorf("Close: %v, want %v", err, broken)
	}
}
