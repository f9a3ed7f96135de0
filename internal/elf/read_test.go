package elf_test

import (
	"bytes"
	stdelf "debug/elf"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/retort-build/retort/internal/elf"
	"github.com/retort-build/retort/internal/elf/elftest"
)

func TestReadGivesWhatTheFileSays(t *testing.T) {
	want := elf.File{
		Machine: elf.ARM64, Dynamic: true, Interp: "/lib/ld-linux-aarch64.so.1", Soname: "libx.so.1",
		Needed: []string{"libz.so.1", "libc.so.6"}, Rpath: []string{"/a"}, Runpath: []string{"$ORIGIN/../lib", "/b"},
		VerNeed: map[string][]string{"libc.so.6": {"GLIBC_2.17", "GLIBC_2.38"}, "libz.so.1": {"ZLIB_1.2"}},
		VerDef:  []string{"X_1.0", "X_1.1"},
	}
	got, isELF, err := elf.Read(bytes.NewReader(elftest.Build(want)))
	if err != nil || !isELF {
		t.Fatalf("Read: isELF %v, %v", isELF, err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Read (-want +got):\n%s", d)
	}
}

func TestReadTellsWhatIsNoProgram(t *testing.T) {
	object := elftest.Build(elf.File{})
	object[16] = 1
	for name, data := range map[string][]byte{
		"empty": {}, "text": []byte("#!/bin/sh\nexit 0\n"), "magic only": []byte("\x7fELF"), "object file": object,
	} {
		if _, isELF, err := elf.Read(bytes.NewReader(data)); isELF || err != nil {
			t.Errorf("%s: isELF %v, %v; want false, nil", name, isELF, err)
		}
	}
	for name, at := range map[string][2]byte{"32 bit": {4, 1}, "big endian": {5, 2}, "riscv": {18, 243}} {
		data := elftest.Build(elf.File{})
		data[at[0]] = at[1]
		f, isELF, err := elf.Read(bytes.NewReader(data))
		if !isELF || err != nil || f.Machine == elf.AMD64 {
			t.Errorf("%s: %+v, %v, %v; want another machine", name, f, isELF, err)
		}
	}
}

func TestReadRefusesDamage(t *testing.T) {
	whole := elftest.Build(elf.File{
		Interp: "/lib/ld.so", Soname: "libx.so", Needed: []string{"libc.so.6"},
		VerNeed: map[string][]string{"libc.so.6": {"GLIBC_2.38"}}, VerDef: []string{"X_1"},
	})
	for n := 20; n < len(whole)-16; n++ { // the last entry is DT_NULL
		if f, _, err := elf.Read(bytes.NewReader(whole[:n])); err == nil {
			t.Fatalf("cut to %d of %d bytes: read as %+v", n, len(whole), f)
		}
	}
	control := elftest.Build(elf.File{Soname: "lib\nx.so"})
	if _, _, err := elf.Read(bytes.NewReader(control)); err == nil || !strings.Contains(err.Error(), "control") {
		t.Errorf("control character in soname: %v", err)
	}
}

// The standard library reads the same through sections, where files have them.
func TestReadAgreesWithDebugELF(t *testing.T) {
	files, _ := filepath.Glob("/usr/lib/*-linux-gnu/lib*.so.*")
	if len(files) == 0 {
		t.Skip("no shared libraries on this machine")
	}
	if len(files) > 300 {
		files = files[:300]
	}
	for _, name := range files {
		compareWithDebugELF(t, name)
	}
}

func compareWithDebugELF(t *testing.T, name string) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	std, err := stdelf.NewFile(f)
	if err != nil || std.Class != stdelf.ELFCLASS64 {
		return
	}
	got, isELF, err := elf.Read(f)
	if err != nil || !isELF {
		t.Errorf("%s: isELF %v, %v", name, isELF, err)
		return
	}
	var want elf.File
	want.Needed, _ = std.DynString(stdelf.DT_NEEDED)
	if s, _ := std.DynString(stdelf.DT_SONAME); len(s) == 1 {
		want.Soname = s[0]
	}
	needs, _ := std.DynamicVersionNeeds()
	for _, n := range needs {
		for _, d := range n.Needs {
			if d.Flags&stdelf.VER_FLG_WEAK == 0 {
				if want.VerNeed == nil {
					want.VerNeed = map[string][]string{}
				}
				want.VerNeed[n.Name] = append(want.VerNeed[n.Name], d.Dep)
			}
		}
		sort.Strings(want.VerNeed[n.Name])
	}
	defs, _ := std.DynamicVersions()
	for _, d := range defs {
		if d.Flags&stdelf.VER_FLG_BASE == 0 {
			want.VerDef = append(want.VerDef, d.Name)
		}
	}
	sort.Strings(want.VerDef)
	opts := cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(elf.File{}, "Machine", "Dynamic", "Interp", "Rpath", "Runpath")}
	if d := cmp.Diff(want, got, opts); d != "" {
		t.Errorf("%s (-debug/elf +ours):\n%s", name, d)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(elftest.Build(elf.File{Soname: "libx.so.1", Needed: []string{"libc.so.6"}, VerDef: []string{"X_1", "X_2"}}))
	f.Add(elftest.Build(elf.File{Interp: "/lib/ld.so", Runpath: []string{"$ORIGIN"}, VerNeed: map[string][]string{"libc.so.6": {"GLIBC_2.2.5"}}}))
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, isELF, err := elf.Read(bytes.NewReader(data))
		if err != nil || !isELF {
			return
		}
		if len(file.Needed) > 4096 || len(file.VerDef) > 4096 {
			t.Errorf("bounds exceeded: %d needed, %d versions", len(file.Needed), len(file.VerDef))
		}
		loader := elf.Loader{Machine: elf.AMD64, Triplet: "x", Lookup: func(p string) (elf.Object, bool, error) {
			return elf.Object{Path: p, File: file}, strings.HasPrefix(p, "/lib"), nil
		}}
		if _, err := elf.Close([]elf.Object{{Path: "/r", File: file}}, loader); err != nil {
			t.Log(err)
		}
	})
}
