// Package elftest writes ELF files for tests.
package elftest

import (
	"bytes"
	"encoding/binary"
	"sort"

	"github.com/retort-build/retort/internal/elf"
)

// The parts of the ELF and GNU specifications which are used.
const (
	headerSize = 64
	progSize   = 56

	etDyn     = 3
	emX86_64  = 62
	emAArch64 = 183

	ptLoad    = 1
	ptDynamic = 2
	ptInterp  = 3

	dtNull       = 0
	dtNeeded     = 1
	dtStrtab     = 5
	dtStrsz      = 10
	dtSoname     = 14
	dtRpath      = 15
	dtRunpath    = 29
	dtVerdef     = 0x6ffffffc
	dtVerdefnum  = 0x6ffffffd
	dtVerneed    = 0x6ffffffe
	dtVerneednum = 0x6fffffff
)

// Build writes the smallest shared object that says what f says.
func Build(f elf.File) []byte {
	strs := []byte{0}
	str := func(s string) uint64 {
		at := len(strs)
		strs = append(append(strs, s...), 0)
		return uint64(at)
	}
	le := binary.LittleEndian
	var dyn [][2]uint64
	for _, n := range f.Needed {
		dyn = append(dyn, [2]uint64{dtNeeded, str(n)})
	}
	if f.Soname != "" {
		dyn = append(dyn, [2]uint64{dtSoname, str(f.Soname)})
	}
	if f.Rpath != nil {
		dyn = append(dyn, [2]uint64{dtRpath, str(join(f.Rpath))})
	}
	if f.Runpath != nil {
		dyn = append(dyn, [2]uint64{dtRunpath, str(join(f.Runpath))})
	}
	var need, def []byte
	var libs []string
	for lib := range f.VerNeed {
		libs = append(libs, lib)
	}
	sort.Strings(libs)
	for i, lib := range libs {
		vs := f.VerNeed[lib]
		next := uint32(16 + 16*len(vs))
		if i == len(libs)-1 {
			next = 0
		}
		need = le.AppendUint16(le.AppendUint16(need, 1), uint16(len(vs)))
		need = le.AppendUint32(need, uint32(str(lib)))
		need = le.AppendUint32(le.AppendUint32(need, 16), next)
		for j, v := range vs {
			next := uint32(16)
			if j == len(vs)-1 {
				next = 0
			}
			need = le.AppendUint32(need, 0)
			need = le.AppendUint16(le.AppendUint16(need, 0), uint16(j+2))
			need = le.AppendUint32(le.AppendUint32(need, uint32(str(v))), next)
		}
	}
	for i, v := range f.VerDef {
		next := uint32(28)
		if i == len(f.VerDef)-1 {
			next = 0
		}
		def = le.AppendUint16(le.AppendUint16(def, 1), 0)
		def = le.AppendUint16(le.AppendUint16(def, uint16(i+2)), 1)
		def = le.AppendUint32(le.AppendUint32(def, 0), 20)
		def = le.AppendUint32(def, next)
		def = le.AppendUint32(le.AppendUint32(def, uint32(str(v))), 0)
	}
	interp := append([]byte(f.Interp), 0)

	progs := 3
	at := uint64(headerSize + progs*progSize)
	interpAt := at
	at += uint64(len(interp))
	strAt := at
	at += uint64(len(strs))
	needAt := at
	at += uint64(len(need))
	defAt := at
	at += uint64(len(def))
	dynAt := at
	// Addresses differ from offsets so that mixing them up shows.
	const base = 0x10000
	dyn = append(dyn, [2]uint64{dtStrtab, base + strAt}, [2]uint64{dtStrsz, uint64(len(strs))})
	if need != nil {
		dyn = append(dyn, [2]uint64{dtVerneed, base + needAt}, [2]uint64{dtVerneednum, uint64(len(libs))})
	}
	if def != nil {
		dyn = append(dyn, [2]uint64{dtVerdef, base + defAt}, [2]uint64{dtVerdefnum, uint64(len(f.VerDef))})
	}
	dyn = append(dyn, [2]uint64{dtNull, 0})
	end := dynAt + uint64(16*len(dyn))

	var b bytes.Buffer
	head := make([]byte, headerSize)
	copy(head, "\x7fELF\x02\x01\x01")
	le.PutUint16(head[16:], etDyn)
	number := map[elf.Machine]uint16{elf.AMD64: emX86_64, elf.ARM64: emAArch64, "": emX86_64}[f.Machine]
	le.PutUint16(head[18:], number)
	le.PutUint64(head[32:], headerSize)
	le.PutUint16(head[54:], progSize)
	le.PutUint16(head[56:], uint16(progs))
	b.Write(head)
	prog := func(kind uint32, offset, size uint64) {
		p := make([]byte, progSize)
		le.PutUint32(p, kind)
		le.PutUint64(p[8:], offset)
		le.PutUint64(p[16:], base+offset)
		le.PutUint64(p[32:], size)
		b.Write(p)
	}
	prog(ptLoad, 0, end)
	if f.Interp != "" {
		prog(ptInterp, interpAt, uint64(len(interp)))
	} else {
		prog(0, 0, 0)
	}
	prog(ptDynamic, dynAt, uint64(16*len(dyn)))
	for _, part := range [][]byte{interp, strs, need, def} {
		b.Write(part)
	}
	for _, d := range dyn {
		b.Write(le.AppendUint64(le.AppendUint64(nil, d[0]), d[1]))
	}
	return b.Bytes()
}

func join(list []string) string {
	var b bytes.Buffer
	for i, s := range list {
		if i > 0 {
			b.WriteByte(':')
		}
		b.WriteString(s)
	}
	return b.String()
}
